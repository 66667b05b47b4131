//! The program itself.
//!
//! It runs where monitors do, in their cgroup, and with as little: the sockets, the lock and the null device are all of its
//! descriptors, and it has no capability and can get none. What it reads (names, the host's file of servers) is root's to
//! read without any.

use super::lock::{self, Lock, Record};
use super::{AGAIN, VERB};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use tinyd_cgroup::{CgroupPath, Host, JoinHandle};
use tinyd_net::names::{Server, ServerSpec, Sockets, Zone};
use tinyd_ns::caps::{self, CapSet};
use tinyd_ns::clone::{self, Cloned};
use tinyd_ns::{process, socket};
use tinyd_runtime::state::ProcessId;

/// Serves the network that it is told of over its standard input, in the control group that its word names; or behind the word
/// `again` the one of a lock whose server was killed.
#[must_use]
pub fn run(mut words: impl Iterator<Item = OsString>) -> u8 {
    match serve(words.next().as_deref(), words.next().as_deref()) {
        Ok(()) => 0,
        // Started by tinyd it has nobody to tell; by hand it was started by mistake.
        Err(error) => {
            let _ =
                writeln!(io::stderr(), "tinyd-runtime: {VERB} is internal: do not call it outside: {error}");
            1
        }
    }
}

fn serve(word: Option<&OsStr>, lock_path: Option<&OsStr>) -> io::Result<()> {
    process::reset_signals();
    process::close_from(3)?;
    rustix::process::chdir(c"/")?;
    let found = match (word, lock_path) {
        (Some(word), Some(path)) if word == OsStr::new(AGAIN) => again(Path::new(path))?,
        _ => Some(told()?),
    };
    let Some((network, lock, sockets)) = found else { return Ok(()) };
    if let (Some(group), None) = (word.and_then(OsStr::to_str), lock_path) {
        let group = join_handle(group).ok();
        let folder = group.as_ref().and_then(JoinHandle::v2_dir);
        // SAFETY: this process has a single thread, and the parent only returns to end.
        if let Cloned::Parent { .. } = unsafe { clone::go_on_in(folder) }? {
            return Ok(());
        }
        // One that stays in its caller's group works all the same: only the accounting is not as it should be.
        let _ = group.map(|group| group.join(false));
        let process = ProcessId::of(std::process::id())?;
        lock.write(&Record { process, listen: sockets.addresses()?, network: network.clone() })?;
    }
    // It ends with its network, not with the terminal or the service that it was started from.
    let _ = rustix::process::setsid();
    raise_limit();
    let mut server = Server::new(&network, sockets)?;
    give_up_rights()?;
    server.run(|zone| may_end(zone, &lock))
}

/// What the starter has sent: the network, and then the lock and the sockets, which it has opened.
fn told() -> io::Result<(ServerSpec, Lock, Sockets)> {
    let mut descriptors = Vec::new();
    let text = socket::receive_whole(rustix::stdio::stdin(), |fd| descriptors.push(fd))?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    let network: ServerSpec = serde_json::from_slice(&text)?;
    let count = network.listen.len();
    if descriptors.len() != 1 + 2 * count {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let listeners = descriptors.split_off(1 + count).into_iter().map(TcpListener::from).collect();
    let packets = descriptors.split_off(1).into_iter().map(UdpSocket::from).collect();
    Ok((network, descriptors.swap_remove(0).into(), Sockets { packets, listeners }))
}

/// What the server before had; `None` where there is nothing to do: another one is there, or nobody is left to be served.
fn again(path: &Path) -> io::Result<Option<(ServerSpec, Lock, Sockets)>> {
    let lock = Lock::of_known(path)?;
    if !lock.try_hold()? {
        return Ok(None);
    }
    let Record { listen, network, .. } = lock.read().ok_or(io::ErrorKind::InvalidData)?;
    if lock::path(&network.folder) != path {
        return Err(io::ErrorKind::InvalidData.into());
    }
    if Zone::in_folder(&network.folder).is_empty() {
        return Ok(None);
    }
    // Where the firewall leads, and nowhere else.
    let sockets = Sockets::bind(&listen)?;
    let process = ProcessId::of(std::process::id())?;
    lock.write(&Record { process, listen, network: network.clone() })?;
    Ok(Some((network, lock, sockets)))
}

/// The way into a control group, which is made where it is not there.
fn join_handle(group: &str) -> Result<JoinHandle, Box<dyn std::error::Error>> {
    let path = CgroupPath::new(group)?;
    Ok(Host::detect()?.driver()?.ensure(&path)?.join_handle()?)
}

/// Lets it have a descriptor for each connection and each question that it takes. Where it may not, it takes fewer.
fn raise_limit() {
    const WANTED: u64 = 2048;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|now| now < WANTED) {
        let wanted = limit.maximum.map_or(WANTED, |most| most.min(WANTED));
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    }
}

fn give_up_rights() -> io::Result<()> {
    let none = CapSet::default();
    // Where it may not even do that, it never had them; and nothing that it could execute would give it any.
    let _ = caps::drop_bounding(none);
    caps::set_ambient(none)?;
    caps::set(none, none, none)?;
    Ok(process::set_no_new_privs()?)
}

/// Whoever comes writes a file before it looks at the lock. So the lock is given back first, and then it is looked once more
/// whether somebody came.
fn may_end(zone: &mut Zone, lock: &Lock) -> bool {
    if lock.give_back().is_err() {
        return true;
    }
    zone.is_empty() || !lock.try_hold().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinyd_net::names::Entry;

    fn enter(folder: &Path) {
        let entry = Entry { names: vec!["web".to_owned()], ..Entry::default() };
        entry.write(folder, "aaaa").unwrap();
    }

    #[test]
    fn pure_a_server_ends_when_nobody_is_left_and_stays_when_somebody_came_at_the_last_moment() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("web");
        let open = || Lock::open(&lock::path(&folder)).unwrap();
        let held = open();
        assert!(held.try_hold().unwrap());
        assert!(!open().try_hold().unwrap(), "somebody serves it");
        let mut zone = Zone::in_folder(&folder);
        enter(&folder);
        assert!(!may_end(&mut zone, &held));
        assert!(!open().try_hold().unwrap(), "it took the right back");
        std::fs::remove_file(folder.join("aaaa")).unwrap();
        assert!(may_end(&mut zone, &held));
        assert!(open().try_hold().unwrap());
    }

    #[test]
    fn pure_a_server_comes_back_where_it_was_unless_one_is_there_or_nobody_is_left() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("web");
        let path = lock::path(&folder);
        assert!(again(&path).is_err(), "the network is gone");
        let free = Sockets::bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let listen = free.addresses().unwrap();
        let network = ServerSpec {
            listen: vec!["127.0.0.1:53".parse().unwrap()],
            folder: folder.clone(),
            subnets: Vec::new(),
            resolv_conf: "/etc/resolv.conf".into(),
            internal: true,
        };
        let held = Lock::open(&path).unwrap();
        let process = ProcessId { pid: 1, start_time: 0, unique: None };
        held.write(&Record { process, listen: listen.clone(), network: network.clone() }).unwrap();
        assert!(again(&path).unwrap().is_none(), "nobody is left");
        enter(&folder);
        assert!(held.try_hold().unwrap());
        assert!(again(&path).unwrap().is_none(), "one is there");
        held.give_back().unwrap();
        assert!(again(&path).is_err(), "somebody has its port, and it takes no other");
        drop(free);
        let (found, lock, sockets) = again(&path).unwrap().unwrap();
        assert_eq!((found, sockets.addresses().unwrap()), (network, listen));
        assert_eq!(lock.read().unwrap().process, ProcessId::of(std::process::id()).unwrap());
        assert!(!held.try_hold().unwrap());
    }
}
