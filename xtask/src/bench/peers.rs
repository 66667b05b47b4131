//! Other engines, each in folders of its own.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tinyd_tests::Env;

use super::contender::{Words, words};
use super::word;
use crate::shell;

/// The name of the image in their stores.
const IMAGE: &str = "tinyd-bench";

/// How long a daemon may take to answer, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// podman, which has no daemon.
pub(super) struct Podman(Words);

impl Podman {
    /// Puts the image into a store.
    pub(super) fn prepare(env: &Env, image: &Path) -> Result<Podman> {
        let folder = env.files().join("podman");
        fs::create_dir_all(&folder)?;
        // Root may lack CAP_SYS_RESOURCE: its own defaults raise limits.
        let settings = folder.join("containers.conf");
        fs::write(
            &settings,
            "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n[engine]\nevents_logger = \"file\"\n",
        )?;
        let mut line = words(["env".into(), setting("CONTAINERS_CONF", &settings), "podman".into()]);
        for (option, place) in
            [("--root", "root"), ("--runroot", "run"), ("--network-config-dir", "networks")]
        {
            line.extend([option.into(), word(&folder.join(place))]);
        }
        line.extend(words(["--cgroup-manager", "cgroupfs", "--runtime", "runc"]));
        let podman = Podman(line);
        podman.import(&folder, image)?;
        Ok(podman)
    }

    fn import(&self, folder: &Path, image: &Path) -> Result<()> {
        let archive = archive(folder, image)?;
        let mut line = self.0.clone();
        line.extend(["import".into(), word(&archive), IMAGE.into()]);
        run_quietly(&line)
    }

    /// A container that goes with its end.
    pub(super) fn run(&self, port: &str, command: &str) -> Words {
        let mut line = self.0.clone();
        line.extend(words(["run", "--rm", "--network", "podman", "-p", port, IMAGE, command]));
        line
    }
}

/// A docker daemon, which ends with this value.
pub(super) struct Dockerd {
    daemon: Child,
    /// One that lets containers live on has a containerd that is not its child, as distributions have it: its own dies with it, and
    /// the next one does not start.
    _containerd: Option<Killed>,
    folder: PathBuf,
    options: Vec<String>,
    socket: PathBuf,
}

impl Dockerd {
    /// Starts one and puts the image into its store.
    pub(super) fn start(env: &Env, image: &Path) -> Result<Dockerd> {
        Dockerd::start_with(env, image, &[])
    }

    /// The same with further options.
    pub(super) fn start_with(env: &Env, image: &Path, options: &[&str]) -> Result<Dockerd> {
        let folder = env.files().join("docker");
        fs::create_dir_all(&folder)?;
        let socket = folder.join("docker.sock");
        let mut options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        let containerd = match options.is_empty() {
            true => None,
            false => {
                let address = folder.join("containerd.sock");
                options.extend(["--containerd".to_owned(), address.display().to_string()]);
                Some(containerd(&folder, &address)?)
            }
        };
        let daemon = Dockerd::spawn(&folder, &socket, &options)?;
        let mut dockerd = Dockerd { daemon, _containerd: containerd, folder, options, socket };
        dockerd.wait()?;
        let archive = archive(&dockerd.folder, image)?;
        let mut line = dockerd.client();
        line.extend(["import".into(), word(&archive), IMAGE.into()]);
        run_quietly(&line)?;
        Ok(dockerd)
    }

    fn spawn(folder: &Path, socket: &Path, options: &[String]) -> Result<Child> {
        let log = File::create(folder.join("log"))?;
        // A bench that is killed, or whose reader goes away, drops nothing: the daemon is told by the kernel then.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "dockerd"]);
        for (option, place) in [("--data-root", "root"), ("--exec-root", "run"), ("--pidfile", "pid")] {
            command.arg(option).arg(folder.join(place));
        }
        command.arg("-H").arg(format!("unix://{}", socket.display()));
        command.args(options);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.spawn().context("cannot start dockerd")
    }

    fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut asked = self.client();
        asked.push("version".into());
        while run_quietly(&asked).is_err() {
            self.check(deadline)?;
            sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    /// An error when it has ended, or should have answered.
    fn check(&mut self, deadline: Instant) -> Result<()> {
        if Instant::now() > deadline || self.daemon.try_wait()?.is_some() {
            let said = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            bail!("dockerd does not answer; it said: {}", said.lines().last().unwrap_or_default());
        }
        Ok(())
    }

    /// Starts so many containers that sleep, without a network.
    pub(super) fn start_many(&self, count: usize) -> Result<()> {
        for _ in 0..count {
            let mut line = self.client();
            line.extend(words(["run", "-d", "--network", "none", IMAGE, "sleep", "100000"]));
            run_quietly(&line)?;
        }
        Ok(())
    }

    /// Removes all that run.
    fn remove_all(&self) -> Result<()> {
        let listed = self.ids(Duration::from_secs(30)).context("dockerd does not list containers")?;
        if listed.is_empty() {
            return Ok(());
        }
        let mut line = self.client();
        line.extend(words(["rm", "-f"]));
        line.extend(listed.into_iter().map(Into::into));
        run_quietly(&line)
    }

    /// Kills it and starts it again; how long that took, to its answer to how many containers there are.
    pub(super) fn come_back(&mut self, count: usize) -> Result<Duration> {
        self.daemon.kill().context("cannot kill dockerd")?;
        self.daemon.wait()?;
        let began = Instant::now();
        self.daemon = Dockerd::spawn(&self.folder, &self.socket, &self.options)?;
        let deadline = began + PATIENCE;
        loop {
            if self.ids(PATIENCE).is_ok_and(|ids| ids.len() == count) {
                return Ok(began.elapsed());
            }
            self.check(deadline)?;
            sleep(Duration::from_millis(2));
        }
    }

    /// The ids of those that run, asked without a client of its own.
    fn ids(&self, patience: Duration) -> Result<Vec<String>> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(b"GET /containers/json HTTP/1.0\r\nHost: docker\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").context("no answer")?.1;
        let listed: serde_json::Value = serde_json::from_str(body).context("no list")?;
        let all = listed.as_array().context("no list")?;
        Ok(all.iter().filter_map(|one| one["Id"].as_str().map(str::to_owned)).collect())
    }

    fn client(&self) -> Words {
        words(["docker", "-H", &format!("unix://{}", self.socket.display())])
    }

    /// A container that goes with its end.
    pub(super) fn run(&self, port: &str, command: &str) -> Words {
        let mut line = self.client();
        line.extend(words(["run", "--rm", "-p", port, IMAGE, command]));
        line
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        // Where it lets containers live on, they would outlive this too.
        if let Err(error) = self.remove_all() {
            println!("containers of dockerd are left: {error:#}");
        }
        // Asked, it ends what it has started. It was not waited for: the number is its own.
        let _ = pidfd_open(Pid::from_child(&self.daemon), PidfdFlags::empty())
            .and_then(|pidfd| pidfd_send_signal(pidfd, Signal::TERM));
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && matches!(self.daemon.try_wait(), Ok(None)) {
            sleep(Duration::from_millis(50));
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        // One that lets containers live on leaves its folder mounted on itself; of another there is nothing.
        let _ = rustix::mount::unmount(self.folder.join("root"), rustix::mount::UnmountFlags::DETACH);
    }
}

/// A program that is killed with this.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts one that listens there.
fn containerd(folder: &Path, address: &Path) -> Result<Killed> {
    let settings = folder.join("containerd.toml");
    fs::write(&settings, "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n")?;
    let log = File::create(folder.join("containerd.log"))?;
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "containerd", "--config"]).arg(&settings);
    for (option, place) in [("--root", "containerd"), ("--state", "containerd-run")] {
        command.arg(option).arg(folder.join(place));
    }
    command.arg("--address").arg(address);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let started = Killed(command.spawn().context("cannot start containerd")?);
    let deadline = Instant::now() + PATIENCE;
    while UnixStream::connect(address).is_err() {
        if Instant::now() > deadline {
            bail!("containerd does not listen");
        }
        sleep(Duration::from_millis(50));
    }
    Ok(started)
}

fn setting(name: &str, value: &Path) -> std::ffi::OsString {
    let mut text: std::ffi::OsString = format!("{name}=").into();
    text.push(value);
    text
}

/// The image as one file, as `import` takes it.
fn archive(folder: &Path, image: &Path) -> Result<PathBuf> {
    let archive = folder.join("image.tar");
    shell::run(Command::new("tar").arg("-C").arg(image).arg("-cf").arg(&archive).arg("."))?;
    Ok(archive)
}

fn run_quietly(line: &Words) -> Result<()> {
    let Some((program, rest)) = line.split_first() else { return Ok(()) };
    let done = Command::new(program).args(rest).stdin(Stdio::null()).output()?;
    match done.status.success() {
        true => Ok(()),
        false => bail!("{}: {}", program.display(), String::from_utf8_lossy(&done.stderr).trim()),
    }
}
