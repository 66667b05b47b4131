//! Who uses a port: the kernel's lists of sockets, and the open files of processes.

use crate::Protocol;
use std::fmt;
use std::fs;
use std::net::{IpAddr, SocketAddr};

/// A process that uses a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its name, as `ps` shows it.
    pub command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.command, self.pid)
    }
}

/// Whose socket is in the way of one at this address: `None` where there is none, `Some(None)` where its process is not to
/// be seen.
pub(super) fn find(wanted: SocketAddr, protocol: Protocol) -> Option<Option<Holder>> {
    let inode = in_the_way(wanted, protocol).iter().map(|socket| socket.inode).max()?;
    Some(holder(inode))
}

/// The addresses of all sockets that are in the way of one at this address; `None` where none is to be seen.
pub(super) fn addresses(wanted: SocketAddr, protocol: Protocol) -> Option<Vec<IpAddr>> {
    let sockets = in_the_way(wanted, protocol);
    (!sockets.is_empty()).then(|| sockets.iter().map(|socket| socket.address.ip()).collect())
}

fn in_the_way(wanted: SocketAddr, protocol: Protocol) -> Vec<Socket> {
    let lists: &[&str] = match protocol {
        Protocol::Tcp => &["tcp", "tcp6"],
        Protocol::Udp => &["udp", "udp6"],
        // What listens is listed without its inode.
        Protocol::Sctp => &[],
    };
    let sockets = lists.iter().flat_map(|list| {
        let text = fs::read_to_string(format!("/proc/thread-self/net/{list}")).unwrap_or_default();
        text.lines().skip(1).filter_map(parse).collect::<Vec<_>>()
    });
    sockets.filter(|socket| socket.is_in_the_way(wanted, protocol)).collect()
}

/// A line of `/proc/net/tcp` and the like.
#[derive(Debug, PartialEq, Eq)]
struct Socket {
    address: SocketAddr,
    /// `TCP_…` of the kernel's net/tcp_states.h.
    state: u8,
    /// 0 for one that no process has any more.
    inode: u64,
}

const LISTENS: u8 = 0x0a;
const TIME_WAIT: u8 = 0x06;

impl Socket {
    fn is_in_the_way(&self, wanted: SocketAddr, protocol: Protocol) -> bool {
        let (ours, theirs) = (self.address.ip(), wanted.ip());
        // What takes IPv6 from everywhere takes IPv4 too, unless it said otherwise: that is not listed.
        let meet = ours == theirs
            || ours.is_unspecified() && (ours.is_ipv6() || theirs.is_ipv4())
            || theirs.is_unspecified() && ours.is_ipv4() == theirs.is_ipv4();
        let counts = match protocol {
            Protocol::Udp => true,
            // One that is bound and has no peer holds its port as well, but is not listed.
            _ => self.state == LISTENS || self.state != TIME_WAIT && ours == theirs,
        };
        self.address.port() == wanted.port() && meet && counts
    }
}

fn parse(line: &str) -> Option<Socket> {
    let mut fields = line.split_whitespace().skip(1);
    let (address, port) = fields.next()?.split_once(':')?;
    let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
    let inode = fields.nth(5)?.parse().ok()?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Socket { address: SocketAddr::new(parse_address(address)?, port), state, inode })
}

/// Words of the address as the machine reads them.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(IpAddr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (index, chunk) in bytes.chunks_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index * 8)?);
            }
            // One that takes packets of IPv4 at an address of theirs is in the way of those who do nothing else.
            Some(IpAddr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

/// The process with the lowest number that has this socket open: with those that inherited it, the one that opened it.
fn holder(inode: u64) -> Option<Holder> {
    let link = format!("socket:[{inode}]");
    let pids = fs::read_dir("/proc").ok()?.flatten();
    let mut pids: Vec<u32> = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    let has = |pid: &u32| {
        let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == link.as_str()))
    };
    let pid = pids.into_iter().find(has)?;
    let command = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(Holder { pid, command: command.trim_end().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_a_line_of_the_kernels_list_is_read() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 54321 1 0 100";
        let little_endian = 1u16.to_ne_bytes()[0] == 1;
        let expected = if little_endian { "127.0.0.1:8080" } else { "1.0.0.127:8080" };
        let socket = parse(line).unwrap();
        assert_eq!(socket, Socket { address: expected.parse().unwrap(), state: LISTENS, inode: 54_321 });
        for text in ["", "0: x", "0: 00:1 0 0A", "sl  local_address rem_address   st"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn pure_who_is_in_the_way_depends_on_the_addresses() {
        let cases = [
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "0.0.0.0:80", true),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("[::]:80", "0.0.0.0:80", true),
            ("0.0.0.0:80", "[::]:80", false),
            ("0.0.0.0:81", "0.0.0.0:80", false),
        ];
        for (there, wanted, expected) in cases {
            let socket = Socket { address: there.parse().unwrap(), state: LISTENS, inode: 1 };
            assert_eq!(
                socket.is_in_the_way(wanted.parse().unwrap(), Protocol::Tcp),
                expected,
                "{there} {wanted}"
            );
        }
    }
}
