//! Running a plugin: a program that reads its configuration, does one operation, and says what came of it (section 2 of the
//! specifications).

use super::answer;
use super::error::CniError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, OFlags, fcntl_getfl, fcntl_setfl, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a plugin can run: the specification says nothing, and most of them need `iptables` or the like.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is kept of what a plugin writes; a result has some hundreds of bytes.
const MOST: usize = 1 << 20;

/// One call of a plugin.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    /// What it is called.
    pub plugin: String,
    /// Its file.
    pub program: PathBuf,
    /// `ADD`, `DEL`.
    pub operation: &'static str,
    /// All of its environment.
    pub environment: Vec<(String, String)>,
    /// What it reads.
    pub config: Vec<u8>,
}

/// The environment of an operation, of which `more` are the words that are about a container.
pub(super) fn environment(
    operation: &str,
    folders: &[PathBuf],
    more: &[(&str, &str)],
) -> Vec<(String, String)> {
    let folders: Vec<_> = folders.iter().map(|folder| folder.to_string_lossy()).collect();
    let folders = folders.join(":");
    let fixed = [("CNI_COMMAND", operation), ("CNI_PATH", &folders), ("PATH", SEARCH_PATH)];
    fixed.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl Call {
    /// Runs it to its end, and gives what it wrote. One that takes longer than `limit` is killed, with whatever it started
    /// in its process group.
    pub(super) fn run(&self, limit: Duration) -> Result<Vec<u8>, CniError> {
        let start = |source| CniError::Start { program: self.program.clone(), source };
        let mut child = self.start().map_err(start)?;
        let (mut said, mut complained) = (Vec::new(), Vec::new());
        let ended = listen(&mut child, Instant::now() + limit, &mut said, &mut complained);
        if !matches!(ended, Ok(true)) {
            // It is not reaped yet: the number of its group is its own.
            let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        }
        let status = child.wait().map_err(start)?;
        if ended.map_err(start)? {
            self.judge(status, said, &complained)
        } else {
            Err(CniError::Slow {
                plugin: self.plugin.clone(),
                operation: self.operation,
                seconds: limit.as_secs_f64(),
                message: answer::last_words(&complained),
            })
        }
    }

    fn start(&self) -> io::Result<Child> {
        // A file and not a pipe: a program that does not read it holds up nobody.
        let mut input = File::from(memfd_create("stdin", MemfdFlags::CLOEXEC)?);
        input.write_all(&self.config)?;
        input.rewind()?;
        Command::new(&self.program)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(Path::new("/"))
            .process_group(0)
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }

    fn judge(&self, status: ExitStatus, said: Vec<u8>, complained: &[u8]) -> Result<Vec<u8>, CniError> {
        if status.success() {
            return Ok(said);
        }
        match answer::refusal(&said) {
            Some((code, message)) => Err(CniError::Refused {
                plugin: self.plugin.clone(),
                operation: self.operation,
                code,
                message,
            }),
            None => Err(CniError::Failed {
                plugin: self.plugin.clone(),
                operation: self.operation,
                status: status.to_string(),
                message: answer::last_words(if complained.is_empty() { &said } else { complained }),
            }),
        }
    }
}

/// Takes what a program writes until it has ended; `false` when it has not by then. Whoever it leaves behind may hold the
/// other ends: nobody waits for them.
fn listen(
    child: &mut Child,
    until: Instant,
    said: &mut Vec<u8>,
    complained: &mut Vec<u8>,
) -> io::Result<bool> {
    let ended = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    for pipe in [out.as_ref().map(AsFd::as_fd), err.as_ref().map(AsFd::as_fd)].into_iter().flatten() {
        fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
    }
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let pipes = [out.as_ref().map(AsFd::as_fd), err.as_ref().map(AsFd::as_fd)];
        let has_ended = wait(ended.as_fd(), &pipes, left)?;
        // What it wrote last is there when it has ended.
        if drained(&mut out, said)? {
            out = None;
        }
        if drained(&mut err, complained)? {
            err = None;
        }
        if has_ended || left.is_zero() {
            return Ok(has_ended);
        }
    }
}

/// Waits until something happens or the time is over; `true` when the program has ended.
fn wait(ended: BorrowedFd<'_>, pipes: &[Option<BorrowedFd<'_>>], left: Duration) -> io::Result<bool> {
    let all = [ended].into_iter().chain(pipes.iter().copied().flatten());
    let mut polled: Vec<_> = all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    let left = Timespec::try_from(left).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    match poll(&mut polled, Some(&left)) {
        Ok(_) => Ok(polled.first().is_some_and(|first| !first.revents().is_empty())),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Takes what is there; `true` when nothing more can come.
fn drained(pipe: &mut Option<impl Read>, into: &mut Vec<u8>) -> io::Result<bool> {
    let Some(pipe) = pipe else { return Ok(true) };
    let mut buffer = [0; 4096];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(length) => {
                let room = MOST.saturating_sub(into.len());
                into.extend_from_slice(&buffer[..length.min(room)]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    /// Runs a script as a plugin.
    fn run(script: &str, limit: Duration) -> Result<String, CniError> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("plugin");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let call = Call {
            plugin: "plugin".to_owned(),
            operation: "ADD",
            environment: environment("ADD", &["/a".into(), "/b".into()], &[("CNI_IFNAME", "eth0")]),
            config: b"{\"x\": 1}".to_vec(),
            program,
        };
        // Of many threads that start programs, one may hold the script open for writing in a child of its own (ETXTBSY).
        for _ in 0..100 {
            match call.run(limit) {
                Err(CniError::Start { source, .. }) if source.kind() == io::ErrorKind::ExecutableFileBusy => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                result => return result.map(|text| String::from_utf8(text).unwrap()),
            }
        }
        panic!("the script stays busy")
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn pure_a_plugin_has_its_configuration_and_its_environment_and_nothing_else() {
        let ours = tempfile::NamedTempFile::new().unwrap();
        let ours_seen = format!("ls -l /proc/self/fd | grep -c {} || true", ours.path().display());
        let said = run(&format!("cat; echo; pwd; env | sort; {ours_seen}"), LONG).unwrap();
        let mut lines: Vec<_> = said.lines().collect();
        // The shell's own.
        lines.retain(|line| !["_=", "SHLVL=", "PWD="].iter().any(|own| line.starts_with(own)));
        let path = format!("PATH={SEARCH_PATH}");
        let wanted =
            ["{\"x\": 1}", "/", "CNI_COMMAND=ADD", "CNI_IFNAME=eth0", "CNI_PATH=/a:/b", path.as_str(), "0"];
        assert_eq!(lines, wanted);
    }

    #[test]
    fn pure_a_plugin_that_refuses_is_quoted_in_one_line() {
        let script =
            r#"printf %s '{"cniVersion": "1.0.0", "code": 7, "msg": "no\nway", "details": "none"}'; exit 1"#;
        let said = run(script, LONG).unwrap_err().to_string();
        assert_eq!(said, "the plugin plugin refused ADD: no way: none (code 7)");
        let said = run("echo some 'words' >&2; exit 3", LONG).unwrap_err().to_string();
        assert_eq!(said, "the plugin plugin failed at ADD with exit status: 3: some words");
        let said = run("echo no JSON; kill -9 $$", LONG).unwrap_err().to_string();
        assert_eq!(said, "the plugin plugin failed at ADD with signal: 9 (SIGKILL): no JSON");
        assert_eq!(
            run("exit 1", LONG).unwrap_err().to_string(),
            "the plugin plugin failed at ADD with exit status: 1"
        );
    }

    #[test]
    fn pure_a_plugin_that_does_not_end_is_killed_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; echo waiting >&2; wait", pid.display());
        let said = run(&script, Duration::from_secs(1)).unwrap_err().to_string();
        assert_eq!(said, "the plugin plugin did not end its ADD within 1 s and was killed: waiting");
        let pid: u32 = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        // Its parent reaps it at its leisure.
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z"), "{state}");
    }

    #[test]
    fn pure_whom_a_plugin_leaves_behind_nobody_waits_for() {
        let begun = Instant::now();
        let said = run("sleep 30 & echo $!", LONG).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(25));
        let pid = Pid::from_raw(said.trim().parse().unwrap()).unwrap();
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        rustix::process::pidfd_send_signal(&pidfd, Signal::KILL).unwrap();
    }

    #[test]
    fn pure_a_plugin_that_reads_nothing_and_writes_much_is_no_trouble() {
        let said =
            run("head -c 3000000 /dev/zero | tr '\\0' x; exec <&-; head -c 300000 /dev/zero >&2", LONG);
        assert_eq!(said.unwrap().len(), MOST);
    }

    #[test]
    fn pure_a_program_that_cannot_be_started_is_named() {
        let call = Call {
            plugin: "x".to_owned(),
            program: "/no/such/x".into(),
            operation: "ADD",
            environment: Vec::new(),
            config: Vec::new(),
        };
        assert_eq!(call.run(LONG).unwrap_err().to_string(), "start the plugin /no/such/x");
    }
}
