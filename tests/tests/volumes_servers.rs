//! I19, W34: volumes on real servers of NFS and CIFS. Their kernels' parts are in the virtual machine alone (`cargo xtask
//! vm-test`), which is nobody's own: the servers are those of its first network namespace.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tinyd_tests::{Env, NO_NETWORK, require, roots, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// A program of the server's; what it says stands in what the test printed.
#[track_caller]
fn done(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).envs([NO_NETWORK]).output().unwrap();
    assert!(output.status.success(), "{program} {words:?}: {output:?}");
}

const PASSWORD: &str = "pass-5f1d7a";

/// A server with its helpers, which end with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let group = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
        let _ = self.0.wait();
    }
}

/// What is mounted for an engine's volumes.
fn mounted(env: &Env) -> Vec<PathBuf> {
    let run = env.run_root().join("volumes");
    let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = all.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    points.filter(|point| point.starts_with(&run)).collect()
}

/// A folder of the server's, with a file.
fn exported(env: &Env) -> PathBuf {
    let folder = env.files().join("exported");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(folder.join("there"), "from the server\n").unwrap();
    folder
}

/// What is written on either side is seen on the other, by two containers at once and by the next one; nothing stays mounted.
fn holds_what_is_written(env: &Env, server: &Path) {
    let image = image();
    let run = |options: &[&str], script: &str| {
        let words = ["run", "--rm", "--net", "none", "--userns", "host"].into_iter();
        env.tinyd(words.chain(options.iter().copied()).chain([&*image, "sh", "-c", script]))
    };
    let seen = run(&["-v", "far:/d"], "cat /d/there; echo from a container > /d/new; mkdir /d/deep; sync");
    assert_eq!(seen.ok().stdout(), "from the server\n");
    assert_eq!(fs::read_to_string(server.join("new")).unwrap(), "from a container\n");
    assert!(server.join("deep").is_dir());
    let start = |name: &str, options: &[&str]| {
        let words = ["run", "-d", "--net", "none", "--userns", "host", "--name", name].into_iter();
        let words = words.chain(options.iter().copied()).chain([&*image, "sleep", "300"]);
        env.tinyd(words).ok();
    };
    start("one", &["-v", "far:/d"]);
    start("two", &["-v", "far:/d:ro"]);
    assert_eq!(mounted(env).len(), 1, "it is mounted once for both");
    env.tinyd(["exec", "one", "sh", "-c", "echo both > /d/shared"]).ok();
    assert_eq!(env.tinyd(["exec", "two", "cat", "/d/shared"]).ok().stdout(), "both\n");
    env.tinyd(["exec", "two", "touch", "/d/x"]).fails(1);
    env.tinyd(["rm", "-f", "one", "two"]).ok();
    assert_eq!(mounted(env), Vec::<PathBuf>::new());
    assert_eq!(run(&["-v", "far:/d:ro"], "cat /d/shared /d/new").ok().stdout(), "both\nfrom a container\n");
    assert_eq!(mounted(env), Vec::<PathBuf>::new());
}

/// I19, W34.
#[test]
#[ignore = "runs in the virtual machine: needs the kernel's NFS, client and server"]
fn a_volume_on_an_nfs_server_holds_what_is_written_and_its_servers_end_holds_up_no_start() {
    require!(root);
    let env = Env::new();
    let server = exported(&env);
    if !Path::new("/proc/fs/nfsd/threads").exists() {
        done("mount", &["-t", "nfsd", "nfsd", "/proc/fs/nfsd"]);
    }
    fs::create_dir_all("/var/lib/nfs/v4recovery").unwrap();
    let place = format!("127.0.0.1:{}", server.display());
    done("exportfs", &["-o", "rw,no_root_squash,insecure,no_subtree_check,fsid=1", &place]);
    done("rpc.mountd", &["--no-nfs-version", "3", "--no-udp"]);
    done("rpc.nfsd", &["--no-nfs-version", "3", "--no-udp", "--lease-time", "10", "--grace-time", "10", "2"]);
    let device = format!("device=127.0.0.1:{}", server.display());
    let words = ["volume", "create", "-d", "remote", "-o", "type=nfs4", "-o", &device, "far"];
    env.tinyd(words).ok();
    holds_what_is_written(&env, &server);
    // The server is gone: nobody is there to answer a mount, or worse, somebody takes it and says nothing.
    done("rpc.nfsd", &["0"]);
    let silent = std::net::TcpListener::bind("127.0.0.1:2049");
    let since = Instant::now();
    let output =
        env.tinyd(["run", "--rm", "--net", "none", "--userns", "host", "-v", "far:/d", &image(), "true"]);
    let took = since.elapsed();
    let said = output.fails(125).stderr();
    assert!(said.contains("far") && said.contains("127.0.0.1") && said.lines().count() == 1, "{said}");
    assert!(took < Duration::from_secs(60), "{took:?}");
    env.tinyd(["ps", "-a"]).ok();
    assert_eq!(mounted(&env), Vec::<PathBuf>::new());
    drop(silent);
    done("exportfs", &["-u", &place]);
    env.tinyd(["volume", "rm", "far"]).ok();
    assert!(server.join("shared").exists(), "what is on the server stays there");
    env.assert_checked();
}

/// I19.
#[test]
#[ignore = "runs in the virtual machine: needs the kernel's CIFS, client and server"]
fn a_volume_on_a_cifs_server_holds_what_is_written_and_its_password_is_seen_by_nobody() {
    require!(root);
    let env = Env::new();
    let server = exported(&env);
    let state = env.files().join("samba");
    fs::create_dir(&state).unwrap();
    let config = env.files().join("smb.conf");
    let folders = [
        "private dir",
        "lock directory",
        "state directory",
        "cache directory",
        "pid directory",
        "ncalrpc dir",
    ];
    let folders: String = folders.map(|folder| format!("{folder} = {}\n", state.display())).concat();
    let share = format!(
        "[global]\n{folders}interfaces = 127.0.0.1\nbind interfaces only = yes\nsmb ports = 445\ndisable netbios = yes\n\
         load printers = no\nlog file = {}/log\n[share]\npath = {}\nread only = no\nforce user = root\n",
        state.display(),
        server.display()
    );
    fs::write(&config, share).unwrap();
    let config = config.to_str().unwrap();
    // The guest's system is this run's alone: nobody misses a password of root's for this server.
    let mut adding = Command::new("smbpasswd");
    adding.args(["-c", config, "-a", "-s", "root"]).envs([NO_NETWORK]).stdin(Stdio::piped());
    let mut adding = adding.stdout(Stdio::null()).spawn().unwrap();
    adding.stdin.take().unwrap().write_all(format!("{PASSWORD}\n{PASSWORD}\n").as_bytes()).unwrap();
    assert!(adding.wait().unwrap().success());
    let mut smbd = Command::new("smbd");
    smbd.args(["--foreground", "--no-process-group", "-s", config]).envs([NO_NETWORK]).process_group(0);
    let _server = Server(smbd.stdin(Stdio::null()).spawn().unwrap());
    let credentials = env.file("credentials", format!("username=root\npassword={PASSWORD}\n"));
    fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600)).unwrap();
    let credentials = format!("credentials={}", credentials.display());
    env.tinyd([
        "volume",
        "create",
        "-d",
        "remote",
        "-o",
        "type=cifs",
        "-o",
        "device=//127.0.0.1/share",
        "-o",
        &credentials,
        "far",
    ])
    .ok();
    wait_until("the server answers", || std::net::TcpStream::connect("127.0.0.1:445").is_ok());
    holds_what_is_written(&env, &server);
    let told = env.tinyd(["volume", "inspect", "far"]).ok().stdout();
    assert!(!told.contains(PASSWORD), "{told}");
    env.tinyd(["volume", "rm", "far"]).ok();
    env.assert_checked();
}
