//! The programs that mount: how they are started, heard and ended.

use super::marked;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Where programs are looked for, and where they look for others; what the user's own environment says counts for nothing.
const FOLDERS: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// What is kept of what a program says, in bytes.
const MOST: u64 = 16 << 10;

/// What is shown of it, in characters.
const SHOWN: usize = 400;

/// Enters what stands before the hyphens by writing to it, and becomes what stands behind them. It is a shell that does so: what
/// it starts is where it is itself, whereas somebody who is put elsewhere later may have started others by then.
const ENTER: &str =
    r#"while [ "$1" != -- ]; do { echo 0 >"$1"; } 2>/dev/null; shift; done; shift; exec "$@""#;

/// A program that was started.
#[derive(Debug)]
pub(super) struct Helper {
    child: Child,
    said: File,
    mark: PathBuf,
}

/// The file of a program.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(|file| file.is_file())
}

impl Helper {
    /// Starts one: with an emptied environment, in a process group of its own, and marked, together with whatever it starts,
    /// as the one of this volume.
    ///
    /// What it says goes into a piece of memory that cannot grow: it may run as long as the mount, after we are gone, and must
    /// neither fill the disk nor end because nobody listens.
    pub(super) fn start(program: &Path, args: &[String], input: Stdio, mark: &Path) -> io::Result<Self> {
        Self::start_in(&[], program, args, input, mark)
    }

    /// The same, as one that lives in these places, as [`Settle`](super::settle::Settle) has them.
    pub(super) fn start_in(
        places: &[PathBuf],
        program: &Path,
        args: &[String],
        input: Stdio,
        mark: &Path,
    ) -> io::Result<Self> {
        let said = File::from(memfd_create("said", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
        said.set_len(MOST)?;
        fcntl_add_seals(&said, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        let mut command = match find("sh").filter(|_| !places.is_empty()) {
            Some(shell) => {
                let mut command = Command::new(shell);
                command.args(["-c", ENTER, "sh"]).args(places).arg("--").arg(program);
                command
            }
            None => Command::new(program),
        };
        let child = command
            .args(args)
            .env_clear()
            .env("PATH", FOLDERS.join(":"))
            .env("LC_ALL", "C")
            .env(marked::NAME, mark)
            .current_dir("/")
            .process_group(0)
            .stdin(input)
            .stdout(said.try_clone()?)
            .stderr(said.try_clone()?)
            .spawn()?;
        Ok(Self { child, said, mark: mark.to_owned() })
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// What it said, in one line; of much, the last lines.
    pub(super) fn words(&self) -> String {
        let mut bytes = vec![0; MOST as usize];
        let length = self.said.read_at(&mut bytes, 0).unwrap_or(0);
        last_lines(&String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()))
    }

    /// Ends it with its process group, and waits for nobody.
    pub(super) fn kill(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It is not reaped yet: the number of its group is its own.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        }
    }

    /// Ends it, with all that it started: those of its process group, and those that left it but bear the mark.
    pub(super) fn end(&mut self) {
        self.kill();
        marked::end(&self.mark, Signal::KILL);
        // One that the kernel holds is not waited for.
        let until = Instant::now() + Duration::from_millis(500);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(crate::patience::LOOK);
        }
    }

    /// Lets it run, and takes note of its end for as long as we live, so that it does not stay as a zombie.
    pub(super) fn leave(self) {
        let mut child = self.child;
        let wait = move || drop(child.wait());
        // Without a thread it is a zombie until we end, and no harm.
        let _ = std::thread::Builder::new().name("volume-helper".to_owned()).spawn(wait);
    }
}

/// The last lines of a text that are not chatter, joined; of a last line that is too long, the end.
fn last_lines(text: &str) -> String {
    let lines = text.split(|letter: char| letter.is_control()).map(str::trim);
    // s3fs tells of its own start, at length.
    let lines = lines.filter(|line| !line.is_empty() && !line.contains(" [INF] "));
    let (mut kept, mut room) = (Vec::new(), SHOWN);
    for line in lines.rev() {
        let length = line.chars().count();
        if length > room && !kept.is_empty() {
            break;
        }
        let begin = line.char_indices().rev().nth(SHOWN - 1).map_or(0, |(at, _)| at);
        kept.push(line.get(begin..).unwrap_or_default());
        room = room.saturating_sub(length);
    }
    kept.reverse();
    kept.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str) -> Helper {
        let args = ["-c".to_owned(), script.to_owned()];
        Helper::start(Path::new("/bin/sh"), &args, Stdio::null(), Path::new("/no/volume")).unwrap()
    }

    fn wait(helper: &mut Helper) -> ExitStatus {
        loop {
            if let Some(status) = helper.ended().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn pure_a_program_has_an_emptied_environment_and_no_descriptor_of_ours() {
        let ours = tempfile::NamedTempFile::new().unwrap();
        let script =
            format!("env | sort; pwd; cat; ls -l /proc/self/fd | grep -c {} || true", ours.path().display());
        let mut helper = run(&script);
        wait(&mut helper);
        let said = helper.words();
        let mut parts: Vec<_> = said.split("; ").collect();
        // The shell's own.
        parts.retain(|part| !["_=", "SHLVL=", "PWD="].iter().any(|own| part.starts_with(own)));
        let path = format!("PATH={}", FOLDERS.join(":"));
        assert_eq!(parts, ["LC_ALL=C", &path, "TINYD_VOLUME=/no/volume", "/", "0"]);
    }

    #[test]
    fn pure_a_program_that_stays_enters_its_places_first() {
        let place = tempfile::tempdir().unwrap();
        let (list, missing) = (place.path().join("a b"), place.path().join("no/such"));
        let args = ["-c", "cat \"$1\"; echo $2; cat", "sh", list.to_str().unwrap(), "-- $HOME"];
        let mut input = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut input, b"its own input").unwrap();
        std::io::Seek::rewind(&mut input).unwrap();
        let mut helper = Helper::start_in(
            &[missing, list.clone()],
            Path::new("/bin/sh"),
            &args.map(str::to_owned),
            input.into(),
            Path::new("/no/volume"),
        )
        .unwrap();
        assert!(wait(&mut helper).success());
        assert_eq!(helper.words(), "0; -- $HOME; its own input");
    }

    #[test]
    fn pure_what_it_says_is_bounded_and_never_ends_it() {
        let mut helper = run("echo first; head -c 100000 /dev/zero | tr '\\0' x; echo lost; exit 3");
        assert_eq!(wait(&mut helper).code(), Some(3));
        let said = helper.words();
        assert!(said.chars().count() <= SHOWN && said.ends_with("xxx"), "{said}");
        let mut helper = run("printf 'one\\n\\033[2Jtwo\\n' >&2");
        wait(&mut helper);
        assert_eq!(helper.words(), "one; [2Jtwo");
    }

    #[test]
    fn pure_the_last_lines_are_told_and_no_chatter() {
        let line = |letter: &str| letter.repeat(150);
        let text = format!("x [INF] y\n{}\n\n{}\r\n{}\n", line("a"), line("b"), line("c"));
        assert_eq!(last_lines(&text), format!("{}; {}", line("b"), line("c")));
        assert_eq!(last_lines(&"ä".repeat(500)), "ä".repeat(SHOWN));
        assert_eq!(last_lines(""), "");
    }

    #[test]
    fn pure_programs_are_looked_for_where_root_puts_them() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program"), None);
    }
}
