//! Moves network devices of the host into the container's namespace (rtnetlink(7)): under their new names, with the lasting addresses
//! that they had, and up.

use super::netns::Visit;
use crate::plan::{LINK_NUMBER, Link};
use crate::{Failure, FailureKind};
use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

/// The words of rtnetlink that are said here.
const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const DUMP: u16 = 0x300;
const IFLA_IFNAME: u16 = 3;
const IFLA_NET_NS_FD: u16 = 28;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const PERMANENT: u8 = 0x80;
const NO_CHECK_FOR_DUPLICATES: u8 = 0x02;

/// As many devices of one template as the kernel numbers.
const MOST_NUMBERED: u32 = 32768;

/// Moves them all. The process must have one thread.
pub(super) fn bring(links: &[Link], pid: u32) -> Result<(), Failure> {
    if links.is_empty() {
        return Ok(());
    }
    let path = format!("/proc/{pid}/ns/net");
    let namespace = std::fs::File::open(&path)
        .map_err(|error| super::internal("open the container's network namespace", error))?;
    let names = names(links, Path::new(&path))?;
    let here = Route::open().map_err(|errno| failed("reach rtnetlink for", "the container", errno))?;
    let mut moved = Vec::new();
    for (link, name) in links.iter().zip(&names) {
        let addresses = here
            .send_away(&link.name, name, std::os::fd::AsFd::as_fd(&namespace))
            .map_err(|errno| failed("move network device", &link.name, errno))?;
        moved.push((name, addresses));
    }
    let _visit = Visit::begin(Path::new(&path))?;
    let there = Route::open().map_err(|errno| failed("reach rtnetlink for", "the container", errno))?;
    for (name, addresses) in moved {
        there.take_up(name, &addresses).map_err(|errno| failed("switch on network device", name, errno))?;
    }
    Ok(())
}

/// What the devices are called there: of a template, with the first number that is free. A device that has moved is the
/// namespace's, and may go with it: so whether all can move is looked at before the first does.
fn names(links: &[Link], namespace: &Path) -> Result<Vec<String>, Failure> {
    let cannot = |link: &Link, errno| failed("move network device", &link.name, errno);
    let here = Route::open().map_err(|errno| failed("reach rtnetlink for", "the container", errno))?;
    for link in links {
        name_to_index(&here.0, &link.name).map_err(|errno| cannot(link, errno))?;
    }
    let mut names: Vec<String> = Vec::new();
    let _visit = Visit::begin(namespace)?;
    let there = Route::open().map_err(|errno| failed("reach rtnetlink for", "the container", errno))?;
    for link in links {
        let is_free = |name: &String| !names.contains(name) && name_to_index(&there.0, name).is_err();
        let free = match link.inside.strip_suffix(LINK_NUMBER) {
            None => Some(link.inside.clone()).filter(is_free),
            Some(begin) => (0..MOST_NUMBERED).map(|number| format!("{begin}{number}")).find(is_free),
        };
        names.push(free.ok_or_else(|| cannot(link, Errno::EXIST))?);
    }
    Ok(names)
}

fn failed(operation: &str, name: &str, errno: Errno) -> Failure {
    let kind = match errno {
        Errno::NODEV | Errno::EXIST | Errno::INVAL => FailureKind::Invalid,
        errno => super::explain::kind(errno),
    };
    Failure::new(kind, format!("{operation} {name}")).caused_by(&std::io::Error::from(errno))
}

/// A socket to the kernel's tables of devices and addresses.
struct Route(OwnedFd);

impl Route {
    fn open() -> Result<Self, Errno> {
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        // Its protocol is number 0, which is none to this call.
        let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self(socket))
    }

    /// Moves a device; gives the addresses that it loses by it, as messages that give them back.
    fn send_away(
        &self,
        name: &str,
        name_there: &str,
        namespace: BorrowedFd<'_>,
    ) -> Result<Vec<Vec<u8>>, Errno> {
        let index = name_to_index(&self.0, name)?;
        let addresses = self.ask(GET_ADDRESS, DUMP, &[0; 8])?;
        let addresses = addresses.iter().filter_map(|message| lasting(message, index)).collect();
        let mut message = about(index, 0);
        attribute(&mut message, IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes());
        attribute(&mut message, IFLA_IFNAME, &[name_there.as_bytes(), b"\0"].concat());
        self.ask(NEW_LINK, ACKNOWLEDGE, &message)?;
        Ok(addresses)
    }

    fn take_up(&self, name: &str, addresses: &[Vec<u8>]) -> Result<(), Errno> {
        let index = name_to_index(&self.0, name)?;
        for address in addresses {
            let mut address = address.clone();
            address.get_mut(4..8).ok_or(Errno::PROTO)?.copy_from_slice(&index.to_ne_bytes());
            const CREATE: u16 = 0x400;
            self.ask(NEW_ADDRESS, ACKNOWLEDGE | CREATE, &address)?;
        }
        self.ask(NEW_LINK, ACKNOWLEDGE, &about(index, libc::IFF_UP as u32)).map(drop)
    }

    /// Sends a message, and takes what is answered until the kernel is done.
    fn ask(&self, kind: u16, flags: u16, body: &[u8]) -> Result<Vec<Vec<u8>>, Errno> {
        let length = u32::try_from(16 + body.len()).map_err(|_| Errno::TOOBIG)?;
        let head = [length.to_ne_bytes(), [0; 4], 1u32.to_ne_bytes(), [0; 4]].concat();
        let mut message = [head.as_slice(), body].concat();
        message[4..6].copy_from_slice(&kind.to_ne_bytes());
        message[6..8].copy_from_slice(&(REQUEST | flags).to_ne_bytes());
        rustix::net::send(&self.0, &message, SendFlags::empty())?;
        let mut answers = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let (length, _) = rustix::net::recv(&self.0, &mut buffer, RecvFlags::empty())?;
            let mut rest = buffer.get(..length).ok_or(Errno::MSGSIZE)?;
            while let Some((kind, body, next)) = first(rest) {
                match kind {
                    DONE => return Ok(answers),
                    ERROR => {
                        let code = body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                        return if code == 0 { Ok(answers) } else { Err(Errno::from_raw_os_error(-code)) };
                    }
                    _ => answers.push(body.to_vec()),
                }
                rest = next;
            }
        }
    }
}

/// The first of several messages: its kind, its body, and those behind it.
fn first(messages: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(*messages.first_chunk()?) as usize;
    let kind = u16::from_ne_bytes(*messages.get(4..6)?.first_chunk()?);
    let body = messages.get(16..length)?;
    Some((kind, body, messages.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// `struct ifinfomsg` of a device, with flags that are set.
fn about(index: u32, flags: u32) -> Vec<u8> {
    [[0; 4], index.to_ne_bytes(), flags.to_ne_bytes(), flags.to_ne_bytes()].concat()
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = 4 + value.len();
    message.extend(u16::try_from(length).unwrap_or(4).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// An address of a device that lasts, and holds everywhere: as a message that gives it to a device whose number is still to come.
fn lasting(message: &[u8], index: u32) -> Option<Vec<u8>> {
    let (head, mut rest) = message.split_first_chunk::<8>()?;
    let [family, prefix, flags, scope, number @ ..] = *head;
    if u32::from_ne_bytes(number) != index || scope != 0 || flags & PERMANENT == 0 {
        return None;
    }
    let mut again = vec![family, prefix, NO_CHECK_FOR_DUPLICATES, 0, 0, 0, 0, 0];
    while let Some(length) = rest.first_chunk().map(|length| usize::from(u16::from_ne_bytes(*length))) {
        let kind = u16::from_ne_bytes(*rest.get(2..4)?.first_chunk()?);
        if [IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST].contains(&kind) {
            attribute(&mut again, kind, rest.get(4..length)?);
        }
        rest = rest.get(length.max(4).next_multiple_of(4)..).unwrap_or_default();
    }
    Some(again)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_addresses_that_last_are_given_again() {
        let mut address = vec![2, 24, PERMANENT, 0, 7, 0, 0, 0];
        attribute(&mut address, IFA_LOCAL, &[10, 0, 0, 1]);
        attribute(&mut address, 3, b"eth0\0");
        attribute(&mut address, IFA_BROADCAST, &[10, 0, 0, 255]);
        let mut expected = vec![2, 24, NO_CHECK_FOR_DUPLICATES, 0, 0, 0, 0, 0];
        attribute(&mut expected, IFA_LOCAL, &[10, 0, 0, 1]);
        attribute(&mut expected, IFA_BROADCAST, &[10, 0, 0, 255]);
        assert_eq!(lasting(&address, 7), Some(expected));
        assert_eq!(lasting(&address, 8), None);
        for (at, value) in [(2, 0), (3, 253)] {
            let mut other = address.clone();
            other[at] = value;
            assert_eq!(lasting(&other, 7), None);
        }
        for cut in 0..address.len() {
            let _ = lasting(&address[..cut], 7);
        }
    }

    #[test]
    fn pure_messages_are_taken_apart() {
        let mut two = Vec::new();
        for (kind, body) in [(16u16, [1u8; 6]), (3, [2; 6])] {
            two.extend(22u32.to_ne_bytes());
            two.extend(kind.to_ne_bytes());
            two.extend([0; 10]);
            two.extend(body);
            two.extend([0; 2]);
        }
        let (kind, body, rest) = first(&two).unwrap();
        assert_eq!((kind, body), (16, &[1; 6][..]));
        assert_eq!(first(rest).map(|(kind, ..)| kind), Some(3));
        assert_eq!(first(&two[..15]), None);
    }
}
