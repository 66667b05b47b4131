//! Ports of the host: whether one is free, and which one is.
//!
//! A firewall leads packets away before any process of the host would see them. A port that a process listens on would so be
//! taken from it without a word: whoever publishes asks here first.

mod holder;

pub use holder::Holder;

use crate::{Protocol, PublishedPort};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, ipproto, sockopt};
use rustix::rand::{GetRandomFlags, getrandom};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

/// A port of the host cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Busy {
    /// A process uses it.
    #[error("port {} is in use{}", wording(address, *protocol), by(holder.as_ref()))]
    Used {
        /// Where.
        address: SocketAddr,
        /// Of which protocol.
        protocol: Protocol,
        /// Who; `None` where that cannot be seen: another user's process, or one of another process namespace.
        holder: Option<Holder>,
    },
    /// The address is none of the host's.
    #[error("port {} cannot be published: this host does not have the address {}", wording(address, *protocol), address.ip())]
    NoAddress {
        /// The address and port.
        address: SocketAddr,
        /// Of which protocol.
        protocol: Protocol,
    },
    /// No port of the range from which they are chosen is free.
    #[error("none of the {protocol} ports {first} to {last} is free (net.ipv4.ip_local_port_range)")]
    Exhausted {
        /// Of which protocol.
        protocol: Protocol,
        /// The first of the range.
        first: u16,
        /// The last of the range.
        last: u16,
    },
    /// It could not be found out.
    #[error("cannot find out whether port {} is free", wording(address, *protocol))]
    Unknown {
        /// Where.
        address: SocketAddr,
        /// Of which protocol.
        protocol: Protocol,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

fn wording(address: &SocketAddr, protocol: Protocol) -> String {
    match address.ip().is_unspecified() {
        true => format!("{}/{protocol}", address.port()),
        false => format!("{address}/{protocol}"),
    }
}

fn by(holder: Option<&Holder>) -> String {
    holder.map(|holder| format!(" by {holder}")).unwrap_or_default()
}

/// Whether no process in this thread's network namespace uses a port. A connection that has ended and that the kernel waits
/// for (`TIME_WAIT`) does not count; UDP has no listeners, and each use counts.
///
/// That nobody takes it meanwhile cannot be promised: who needs to know asks again when the port leads to the container.
///
/// # Errors
/// [`Busy`], with the process that uses it.
pub fn check_free(port: &PublishedPort) -> Result<(), Busy> {
    check_free_but(port, &|_| false)
}

/// The same, where those who listen at some addresses alone are in nobody's way: what is for them is not led away.
pub(crate) fn check_free_but(port: &PublishedPort, is_kept: &dyn Fn(IpAddr) -> bool) -> Result<(), Busy> {
    for address in places(port.host, port.host_port) {
        let errno = match try_bind(address, port.protocol) {
            // The kernel does not have the protocol or the family, so that nobody can use it.
            Ok(()) | Err(Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT | Errno::SOCKTNOSUPPORT) => continue,
            // An IPv6 that is switched off has no addresses, not even the one for all of them.
            Err(Errno::ADDRNOTAVAIL) if address.ip().is_unspecified() => continue,
            // This process may not bind it, but it can look.
            Err(Errno::ACCESS) if holder::find(address, port.protocol).is_none() => continue,
            Err(errno) => errno,
        };
        let protocol = port.protocol;
        if errno == Errno::ADDRINUSE
            && address.ip().is_unspecified()
            && holder::addresses(address, protocol).is_some_and(|all| all.into_iter().all(is_kept))
        {
            continue;
        }
        return Err(match errno {
            Errno::ADDRINUSE | Errno::ACCESS => {
                let holder = holder::find(address, protocol).flatten();
                Busy::Used { address, protocol, holder }
            }
            Errno::ADDRNOTAVAIL => Busy::NoAddress { address, protocol },
            errno => Busy::Unknown { address, protocol, source: errno.into() },
        });
    }
    Ok(())
}

/// A port that no process uses and `is_taken` does not know, of those that the kernel gives to programs that ask for any
/// (`net.ipv4.ip_local_port_range`, less `ip_local_reserved_ports`). Where the search begins is by chance, so that two that
/// look at once hardly meet.
///
/// # Errors
/// [`Busy::Exhausted`]; those of [`check_free`] but `Used`.
pub fn choose_free(
    host: Option<IpAddr>,
    protocol: Protocol,
    is_taken: &dyn Fn(u16) -> bool,
) -> Result<u16, Busy> {
    let range = ephemeral();
    let reserved = reserved();
    let (first, last) = (*range.start(), *range.end());
    let start = first.saturating_add(chance() % (last - first).saturating_add(1).max(1));
    for host_port in (start..=last).chain(first..start) {
        if is_taken(host_port) || reserved.iter().any(|range| range.contains(&host_port)) {
            continue;
        }
        let is_used = |address| try_bind(address, protocol) == Err(Errno::ADDRINUSE);
        // (Who uses it takes long to find out, and nobody wants to know.)
        if places(host, host_port).any(is_used) {
            continue;
        }
        match check_free(&PublishedPort { host, host_port, container_port: host_port, protocol }) {
            Ok(()) => return Ok(host_port),
            Err(Busy::Used { .. }) => {}
            // It is so for every port.
            Err(other) => return Err(other),
        }
    }
    Err(Busy::Exhausted { protocol, first, last })
}

/// Where a port of the host is looked for: of all addresses, in both families.
fn places(host: Option<IpAddr>, port: u16) -> impl Iterator<Item = SocketAddr> {
    let all = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let wanted = all.into_iter().map(move |any| host.unwrap_or(any));
    wanted.take(if host.is_some() { 1 } else { 2 }).map(move |address| SocketAddr::new(address, port))
}

/// Takes a port for a moment. Nobody can connect to it meanwhile: it is bound, and not listened on.
fn try_bind(address: SocketAddr, protocol: Protocol) -> Result<(), Errno> {
    let (sort, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = net::socket_with(family, sort, SocketFlags::CLOEXEC, Some(number))?;
    if address.is_ipv6() {
        // What listens at an address of IPv4 is looked for by itself.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if protocol != Protocol::Udp {
        // Without it, connections that ended lately count; of UDP, with it nobody would.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    net::bind(&socket, &address)
}

/// The ports that the kernel chooses from; what it does by itself where that cannot be read.
fn ephemeral() -> RangeInclusive<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    parse_ephemeral(&text).unwrap_or(32_768..=60_999)
}

fn parse_ephemeral(text: &str) -> Option<RangeInclusive<u16>> {
    let mut numbers = text.split_whitespace().map(|number| number.parse().ok());
    let (first, last): (u16, u16) = (numbers.next()??, numbers.next()??);
    (first != 0 && first <= last).then_some(first..=last)
}

/// Those of them that it gives to nobody.
fn reserved() -> Vec<RangeInclusive<u16>> {
    parse_reserved(&fs::read_to_string("/proc/sys/net/ipv4/ip_local_reserved_ports").unwrap_or_default())
}

fn parse_reserved(text: &str) -> Vec<RangeInclusive<u16>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    text.trim().split(',').filter_map(range).collect()
}

/// A number that nobody foresees. Where there is no chance, the search begins at the first.
fn chance() -> u16 {
    let mut bytes = [0; 2];
    let _ = getrandom(&mut bytes[..], GetRandomFlags::empty());
    u16::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_ranges_of_ports_are_read_as_the_kernel_writes_them() {
        assert_eq!(parse_ephemeral("32768\t60999\n"), Some(32_768..=60_999));
        for text in ["", "1", "x 2", "5 4", "0 7", "1 65536"] {
            assert_eq!(parse_ephemeral(text), None, "{text:?}");
        }
        assert_eq!(parse_reserved("8080,9148-9150\n"), [8080..=8080, 9148..=9150]);
        assert_eq!(parse_reserved("\n"), []);
    }
}
