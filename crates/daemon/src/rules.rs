//! The host's packet rules, watched: what somebody else takes of them may have been ours, and is brought back at once.
//!
//! The kernel tells whoever listens of each change to nf_tables, and who made it. Nothing is asked while nothing changes.
//! Where that cannot be heard, the engine is asked once a second.

use crate::asker::Asker;
use crate::grpc::Readiness;
use crate::log;
use crate::stopping::Stopping;
use rustix::io::Errno;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

/// What goes on is waited for: of a ruleset that is replaced, the new one comes right after.
const SETTLE: Duration = Duration::from_millis(50);
/// The least and the longest time after a repair, however often somebody changes something.
const LEAST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_millis(700);
/// How often is asked where nothing is heard.
const ROUND: Duration = Duration::from_secs(1);

/// The bit of `NFNLGRP_NFTABLES` among a socket's groups.
const GROUP: u32 = 1 << 6;
/// `NFNL_SUBSYS_NFTABLES`.
const NFTABLES: u8 = 10;
/// `NFT_MSG_DELTABLE`, `…DELCHAIN`, `…DELRULE`, `…DELSET`, `…DELSETELEM`: what takes something away.
const TAKES: [u8; 5] = [2, 5, 8, 11, 14];
/// `NFT_MSG_NEWGEN`, which ends a transaction, and `NFTA_GEN_PROC_NAME`, which says whose it was.
const GENERATION: u8 = 15;
const PROCESS_NAME: u16 = 3;
/// What the names of all our processes and threads begin with.
const OURS: &[u8] = b"tinyd";
/// And those of the programs that the engine runs where a network has its rules by them.
const PROGRAMS: [&[u8]; 3] = [b"iptables", b"ip6tables", b"xtables"];

/// Brings back what is missing, whenever something may be, until the word.
pub(crate) async fn keep(asker: Asker, mut stopping: Stopping) {
    let mut watch = Watch::open().ok();
    let (mut pause, mut again, mut echo) = (LEAST, false, false);
    loop {
        let seen = async {
            match &mut watch {
                _ if again => {}
                Some(watch) => watch.loss().await,
                None => tokio::time::sleep(ROUND).await,
            }
        };
        tokio::select! {
            () = stopping.wait() => return,
            () = seen => {}
        }
        tokio::time::sleep(SETTLE).await;
        // What was taken by now is seen by the repair.
        if let Some(watch) = &mut watch {
            watch.drain();
        }
        if let Err(error) = asker.ask(|engine| engine.reload_networks(&[])).await {
            log::line(&format!("what was taken of networks was not all brought back: {error}"));
        }
        // What it does itself with the programs of others looks like what others do with them: one more look, and no third.
        (again, echo) = match watch.as_mut().and_then(Watch::drain) {
            Some(Loss::Certain) => (true, false),
            Some(Loss::Doubtful) if !echo => (true, true),
            Some(Loss::Doubtful) | None => (false, false),
        };
        tokio::time::sleep(pause).await;
        pause = if again { pause.saturating_mul(2).min(LONGEST) } else { LEAST };
    }
}

/// What somebody has taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    /// By a program that the engine runs too.
    Doubtful,
    /// By somebody else.
    Certain,
}

/// An ear for changes of rules in the network namespace of its maker.
struct Watch {
    socket: OwnedFd,
    ready: Readiness,
    taken: bool,
}

impl Watch {
    fn open() -> std::io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(NETFILTER))?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, GROUP))?;
        let ready = Readiness::of(socket.as_fd())?;
        Ok(Self { socket, ready, taken: false })
    }

    /// Returns when somebody else has taken something away.
    async fn loss(&mut self) {
        let mut packet = vec![0; 64 << 10];
        loop {
            // An error is as good as a loss: then nobody knows.
            if self.ready.readable().await.is_err() {
                return;
            }
            match rustix::net::recv(&self.socket, &mut packet[..], RecvFlags::empty()) {
                Ok((length, _)) => {
                    if takes(packet.get(..length).unwrap_or_default(), &mut self.taken).is_some() {
                        return;
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                // `ENOBUFS`: more than there was room for.
                Err(_) => return,
            }
        }
    }

    /// What has been heard so far, without waiting.
    fn drain(&mut self) -> Option<Loss> {
        let (mut packet, mut lost) = (vec![0; 64 << 10], None);
        loop {
            lost = lost.max(match rustix::net::recv(&self.socket, &mut packet[..], RecvFlags::empty()) {
                Ok((length, _)) => takes(packet.get(..length).unwrap_or_default(), &mut self.taken),
                Err(Errno::INTR) => None,
                Err(Errno::NOBUFS) => Some(Loss::Certain),
                Err(_) => return lost,
            });
        }
    }
}

/// Whether a packet ends a transaction of somebody else's in which something was taken, and how sure that is. `taken` is what is known of the
/// transaction that is under way.
fn takes(mut packet: &[u8], taken: &mut bool) -> Option<Loss> {
    let mut lost = None;
    while let Some((message, rest)) = message(packet) {
        packet = rest;
        if message.subsystem != NFTABLES {
            continue;
        }
        if TAKES.contains(&message.kind) {
            *taken = true;
        }
        if message.kind == GENERATION {
            let name = attribute(message.attributes, PROCESS_NAME).unwrap_or_default();
            let loss = match name {
                name if !*taken || name.starts_with(OURS) => None,
                name if PROGRAMS.iter().any(|program| name.starts_with(program)) => Some(Loss::Doubtful),
                _ => Some(Loss::Certain),
            };
            lost = lost.max(loss);
            *taken = false;
        }
    }
    lost
}

struct Message<'a> {
    subsystem: u8,
    kind: u8,
    attributes: &'a [u8],
}

/// The first message, and what follows it.
fn message(packet: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let (length, _) = packet.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_ne_bytes(*length)).ok()?;
    let whole = packet.get(..length)?;
    let [kind, subsystem] = u16::from_ne_bytes([*whole.get(4)?, *whole.get(5)?]).to_le_bytes();
    // After the header of 16 bytes, one of 4 with the family.
    let attributes = whole.get(20..)?;
    let rest = packet.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((Message { subsystem, kind, attributes }, rest))
}

fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (head, _) = attributes.split_first_chunk::<4>()?;
        let [a, b, c, d] = *head;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = attributes.get(4..length)?;
        if u16::from_ne_bytes([c, d]) == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: u8, attributes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(20 + attributes.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(u16::from_le_bytes([kind, NFTABLES]).to_ne_bytes());
        bytes.extend([0; 14]);
        bytes.extend(attributes);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn by(name: &str) -> Vec<u8> {
        let mut attributes = Vec::new();
        for (kind, value) in [(1, b"\0\0\0\x07".as_slice()), (PROCESS_NAME, name.as_bytes())] {
            let length = u16::try_from(4 + value.len()).unwrap();
            attributes.extend(length.to_ne_bytes());
            attributes.extend(kind.to_ne_bytes());
            attributes.extend(value);
            attributes.resize(attributes.len().next_multiple_of(4), 0);
        }
        said(GENERATION, &attributes)
    }

    #[test]
    fn pure_what_others_take_is_a_loss_and_what_we_take_is_none() {
        let (table, rule) = (said(2, &[]), said(6, &[]));
        let whole = |parts: &[&[u8]]| takes(&parts.concat(), &mut false) == Some(Loss::Certain);
        assert!(whole(&[&table, &by("nft\0")]));
        assert!(!whole(&[&table, &by("tinyd-runtime\0")]));
        assert!(!whole(&[&rule, &by("nft\0")]), "something new takes nothing");
        assert!(whole(&[&table, &by("tinyd\0"), &table, &by("firewalld\0")]));
        // The end of a transaction may be in a packet of its own.
        let mut taken = false;
        assert_eq!(takes(&table, &mut taken), None);
        assert_eq!(takes(&by("nft\0"), &mut taken), Some(Loss::Certain));
        assert_eq!(takes(&by("nft\0"), &mut taken), None);
        assert_eq!(takes(&[table.clone(), by("iptables\0")].concat(), &mut taken), Some(Loss::Doubtful));
        // One that does not say whose it was is somebody else's; what is torn is nothing.
        assert!(whole(&[&table, &said(GENERATION, &[])]));
        let torn = [table, by("nft\0")].concat();
        for length in 0..torn.len() - 4 {
            assert_eq!(takes(&torn[..length], &mut false), None, "{length}");
        }
    }
}
