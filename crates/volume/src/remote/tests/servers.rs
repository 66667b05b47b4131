//! Servers for the tests: a real one of SSH, and a wire to it that can be cut.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What root is asked for at the server of SSH, and how that stands in shadow(5).
pub(super) const PASSWORD: &str = "geheim";
const SHADOW: &str = "root:$6$tinyd$qE7qdk5sz7Zse2ynXXq6dYSebJ2niq0NKbJx5hzwvuCVXWP0Jr7pidvBM1K.8/RDKOfbMXX/X4XJarQ2j3VYr1:20000:0:99999:7:::\nsshd:!:20000::::::\n";

/// The host's own passwords are left alone: the server sees others.
const START: &str = "mount --bind \"$1\" /etc/shadow && exec /usr/sbin/sshd -D -e -f \"$2\"";

/// A server of SSH on a port of its own, of which only this test has the key.
pub(super) struct Ssh {
    pub place: tempfile::TempDir,
    child: Child,
    pub port: u16,
}

impl Ssh {
    pub(super) fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for key in ["host", "user"] {
            let args = ["-q", "-t", "ed25519", "-N", "", "-f"];
            assert!(Command::new("ssh-keygen").args(args).arg(at(key)).status().unwrap().success());
        }
        fs::copy(at("user.pub"), at("authorized")).unwrap();
        fs::create_dir(at("data")).unwrap();
        // What sshd needs of the host, which nothing has made where it is no service.
        fs::create_dir_all("/run/sshd").unwrap();
        let port = free_port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPermitRootLogin yes\nPasswordAuthentication yes\nSubsystem sftp internal-sftp\n",
            at("host").display(),
            at("authorized").display()
        );
        fs::write(at("sshd_config"), config).unwrap();
        fs::write(at("shadow"), SHADOW).unwrap();
        let child = Command::new("/usr/bin/unshare")
            .args(["--mount", "--propagation", "private", "/bin/sh", "-c", START, "sh"])
            .args([at("shadow"), at("sshd_config")])
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(at("log")).unwrap())
            .spawn()
            .expect("sshd, which `cargo xtask setup` installs");
        let ssh = Self { child, port, place };
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "{}", ssh.log());
            thread::sleep(Duration::from_millis(20));
        }
        // Keys that are known belong to a name and a port.
        ssh.know(port);
        ssh
    }

    /// Makes its key known as that of another port.
    pub(super) fn know(&self, port: u16) -> PathBuf {
        let key = fs::read_to_string(self.path("host.pub")).unwrap();
        let path = self.path("known");
        // Others may be adding theirs.
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
        file.write_all(format!("[127.0.0.1]:{port} {key}").as_bytes()).unwrap();
        path
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(super) fn secret(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("secret");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

const CARRIES: u8 = 0;
const SILENT: u8 = 1;
const CUT: u8 = 2;

/// A wire to a server, which can carry nothing any more, or end.
pub(super) struct Wire {
    pub port: u16,
    state: Arc<AtomicU8>,
}

impl Wire {
    pub(super) fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(AtomicU8::new(CARRIES));
        let seen = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (here, there) = (stream.unwrap(), TcpStream::connect(("127.0.0.1", server)).unwrap());
                for (from, to) in [(&here, &there), (&there, &here)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let state = Arc::clone(&seen);
                    thread::spawn(move || carry(from, to, &state));
                }
            }
        });
        Self { port, state }
    }

    pub(super) fn goes_silent(&self) {
        self.state.store(SILENT, Ordering::SeqCst);
    }

    pub(super) fn is_cut(&self) {
        self.state.store(CUT, Ordering::SeqCst);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.is_cut();
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, state: &AtomicU8) {
    from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match state.load(Ordering::SeqCst) {
            CUT => break,
            SILENT => {
                thread::sleep(Duration::from_millis(20));
                continue;
            }
            _ => {}
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                if to.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// A server that takes connections and says nothing.
pub(super) fn silent() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let held: Vec<_> = listener.incoming().collect();
        drop(held);
    });
    port
}

/// An address that swallows what it is sent: the kernel drops the first packet of whoever would connect to a server whose
/// queue is full.
pub(super) struct BlackHole {
    pub port: u16,
    _queue: Vec<TcpStream>,
    _listener: TcpListener,
}

impl BlackHole {
    pub(super) fn new() -> Self {
        use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &"127.0.0.1:0".parse::<SocketAddr>().unwrap()).unwrap();
        listen(&socket, 1).unwrap();
        let address = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap();
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            queue.push(stream);
        }
        Self { port: address.port(), _queue: queue, _listener: TcpListener::from(socket) }
    }
}
