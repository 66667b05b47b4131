//! Traffic control (tc(8)): what a link sends is held to a rate, and what it receives is made to pass another link first.
//!
//! The kernel can only hold back what is sent. What a link receives is led to an *ifb*, a link that receives whatever is sent
//! over it as if it came where it came from first; what is sent over that one can be held back.

use super::wire::{LinkHeader, attribute, info, kind};
use super::{Index, Links};
use crate::netlink::Message;
use rustix::io::Errno;
use std::io;

/// `RTM_NEWQDISC`, `RTM_DELQDISC` and `RTM_NEWTFILTER`.
const NEW_QUEUE: u16 = 36;
const DEL_QUEUE: u16 = 37;
const NEW_FILTER: u16 = 44;

/// `TCA_KIND` and `TCA_OPTIONS`.
const KIND: u16 = 1;
const OPTIONS: u16 = 2;

/// `TC_H_ROOT`: what a link sends. `TC_H_INGRESS`: what it receives.
const ROOT: u32 = 0xffff_ffff;
const INGRESS: u32 = 0xffff_fff1;

/// The numbers of what is at the first of these places, by turns, and of what is at the second.
const BUCKETS: [u32; 2] = [0x0001_0000, 0x0002_0000];
const RECEIVED: u32 = 0xffff_0000;
/// Whatever is there.
const ANY: u32 = 0;

/// The first filter of the first table, which `u32` makes by itself.
const FILTER: u32 = 0x8000_0800;
/// The first of the filters, for `ETH_P_ALL`: packets of every protocol.
const EVERY_PACKET: u32 = 1 << 16 | (0x0003_u16.to_be() as u32);

/// `TCA_TBF_…`
mod bucket {
    pub(super) const PARAMETERS: u16 = 1;
    pub(super) const RATE: u16 = 4;
    pub(super) const BURST: u16 = 6;
    /// `TC_LINKLAYER_ETHERNET`: the kernel works out by itself how long a packet takes.
    pub(super) const ETHERNET: u8 = 1;
}

/// `TCA_U32_…`, `TC_U32_TERMINAL`, and `struct tc_u32_sel` without keys: a filter that asks nothing.
mod filter {
    pub(super) const SELECTOR: u16 = 5;
    pub(super) const ACTIONS: u16 = 7;
    pub(super) const TERMINAL: u8 = 1;
    pub(super) const SELECTOR_LENGTH: usize = 16;
}

/// `TCA_ACT_…`, `TCA_MIRRED_PARMS`, `TC_ACT_STOLEN` and `TCA_EGRESS_REDIR`.
mod action {
    pub(super) const FIRST: u16 = 1;
    pub(super) const KIND: u16 = 1;
    pub(super) const OPTIONS: u16 = 2;
    pub(super) const PARAMETERS: u16 = 2;
    pub(super) const STOLEN: u32 = 4;
    pub(super) const SEND_INSTEAD: u32 = 1;
}

/// So long may what a bucket lets pass at once have been saved up, and so long may a packet wait, in parts of a second.
const SAVED: u64 = 20;
const WAITING: u64 = 10;
/// The least that a queue has room for in bytes: TCP needs some packets under way to notice how fast it may be.
const LEAST_QUEUE: u64 = 32 << 10;
/// The most of both, which fits the kernel's numbers with room.
const MOST: u64 = 256 << 20;
/// More than the header of a packet on Ethernet, with marks of VLANs.
const HEADER: u64 = 26;

/// A token bucket (tc-tbf(8)): how fast a link may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Bytes a second.
    pub rate: u64,
    /// The most bytes that are sent at once after a pause.
    pub burst: u32,
    /// The most bytes that wait; what comes then is dropped.
    pub queue: u32,
}

impl Bucket {
    /// One for a rate of bits a second, over a link whose packets have at most `mtu` bytes.
    #[must_use]
    pub fn for_bits(rate: u64, mtu: u32) -> Self {
        let rate = rate / 8;
        // A packet that is longer than the bucket is deep would never pass.
        let packet = u64::from(mtu) + HEADER;
        let bytes =
            |parts: u64, least: u64| u32::try_from((rate / parts).max(least).min(MOST)).unwrap_or(u32::MAX);
        Self { rate, burst: bytes(SAVED, 2 * packet), queue: bytes(WAITING, LEAST_QUEUE.max(4 * packet)) }
    }
}

impl Links {
    /// Holds what a link sends to a rate, in place of the one that this set before. What waits just then is
    /// dropped.
    ///
    /// # Errors
    /// `ENOENT` or `EOPNOTSUPP` where the kernel has no token buckets (sch_tbf); `ENODEV` when the link is gone; the
    /// kernel's.
    pub fn shape(&mut self, link: Index, wanted: &Bucket) -> io::Result<()> {
        // A bucket that is there is not changed: made shallower than the packet that waits first, it would let nothing pass ever.
        // One with another number takes its place.
        let mut last = Errno::EXIST;
        for number in BUCKETS {
            let mut message = Message::put_anew(NEW_QUEUE, &header(link, number, ROOT, 0));
            message.put_text(KIND, "tbf");
            message.nest(OPTIONS, |options| {
                options.put(bucket::PARAMETERS, &parameters(wanted));
                options.put(bucket::RATE, &wanted.rate.to_ne_bytes());
                options.put_u32(bucket::BURST, wanted.burst);
            });
            match self.0.run(message) {
                Ok(()) => return Ok(()),
                Err(Errno::EXIST) => {}
                Err(errno) => last = errno,
            }
        }
        Err(last.into())
    }

    /// Lets a link send as fast as it can, where [`shape`](Self::shape) kept it from that.
    ///
    /// # Errors
    /// The kernel's.
    pub fn unshape(&mut self, link: Index) -> io::Result<()> {
        unless_gone(self.0.run(Message::change(DEL_QUEUE, &header(link, ANY, ROOT, 0))))
    }

    /// Makes an ifb, switched on.
    ///
    /// # Errors
    /// `EOPNOTSUPP` when the kernel has no such kind; `EEXIST` when there is a link of this name; the kernel's.
    pub fn make_ifb(&mut self, name: &str, mtu: u32) -> io::Result<()> {
        let mut message = Message::make(kind::NEW_LINK, &LinkHeader::default().bytes());
        message.put_text(attribute::NAME, name);
        message.put_u32(attribute::MTU, mtu);
        message.nest(attribute::INFO, |inner| inner.put_text(info::KIND, "ifb"));
        self.0.run(message)?;
        let settled = self.settle_port(name, false);
        if settled.is_err()
            && let Ok(Some(link)) = self.find(name)
        {
            let _ = self.remove(link.index);
        }
        Ok(settled?)
    }

    /// Has whatever a link receives sent over an ifb, from which it comes back as if nothing had been. Without the ifb it is
    /// dropped.
    ///
    /// # Errors
    /// `ENOENT` or `EOPNOTSUPP` when the kernel lacks a part of it (sch_ingress, cls_u32, act_mirred); `ENODEV` when a link is
    /// gone; the kernel's.
    pub fn divert(&mut self, from: Index, to: Index) -> io::Result<()> {
        let mut queue = Message::make(NEW_QUEUE, &header(from, RECEIVED, INGRESS, 0));
        queue.put_text(KIND, "ingress");
        match self.0.run(queue) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut message = Message::put_in_place(NEW_FILTER, &header(from, FILTER, RECEIVED, EVERY_PACKET));
        message.put_text(KIND, "u32");
        message.nest(OPTIONS, |options| {
            let mut selector = [0; filter::SELECTOR_LENGTH];
            selector[0] = filter::TERMINAL;
            options.put(filter::SELECTOR, &selector);
            options.nest(filter::ACTIONS, |actions| {
                actions.nest(action::FIRST, |redirect| {
                    redirect.put_text(action::KIND, "mirred");
                    redirect.nest(action::OPTIONS, |options| {
                        // `struct tc_mirred`; between the two, numbers that the kernel chooses and counts.
                        let words = [0, 0, action::STOLEN, 0, 0, action::SEND_INSTEAD, to.0];
                        options.put(action::PARAMETERS, &words.map(u32::to_ne_bytes).concat());
                    });
                });
            });
        });
        Ok(self.0.run(message)?)
    }

    /// Has what a link receives go its usual way, where [`divert`](Self::divert) led it elsewhere.
    ///
    /// # Errors
    /// The kernel's.
    pub fn undivert(&mut self, link: Index) -> io::Result<()> {
        unless_gone(self.0.run(Message::change(DEL_QUEUE, &header(link, RECEIVED, INGRESS, 0))))
    }
}

/// A message that removes a link of this namespace, for a process that knows nothing of links.
pub(super) fn removal(name: &str) -> io::Result<Vec<u8>> {
    let mut message = Message::change(kind::DEL_LINK, &LinkHeader::default().bytes());
    message.put_text(attribute::NAME, name);
    Ok(message.finish(0)?)
}

/// What is not there is taken away.
fn unless_gone(answer: Result<(), Errno>) -> io::Result<()> {
    match answer {
        // (Of a link that has nothing but what it came with, `EINVAL` is said where there is no such queue.)
        Ok(()) | Err(Errno::NOENT | Errno::NODEV | Errno::INVAL) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// `struct tcmsg`.
fn header(link: Index, handle: u32, parent: u32, info: u32) -> [u8; 20] {
    let mut bytes = [0; 20];
    for (at, word) in [link.0, handle, parent, info].into_iter().enumerate() {
        bytes[4 * at + 4..][..4].copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// `struct tc_tbf_qopt`: the rate, no second one for peaks, and the room of the queue. The depth is said in bytes elsewhere.
fn parameters(wanted: &Bucket) -> [u8; 36] {
    let mut bytes = [0; 36];
    bytes[1] = bucket::ETHERNET;
    // What has no room here is in an attribute of its own.
    let rate = u32::try_from(wanted.rate).unwrap_or(u32::MAX);
    bytes[8..12].copy_from_slice(&rate.to_ne_bytes());
    bytes[24..28].copy_from_slice(&wanted.queue.to_ne_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_a_bucket_is_deep_enough_for_a_packet_and_fits_the_kernels_numbers() {
        let slow = Bucket::for_bits(8_000, 1500);
        assert_eq!(slow, Bucket { rate: 1_000, burst: 3_052, queue: 32 << 10 });
        let usual = Bucket::for_bits(80_000_000, 1500);
        assert_eq!(usual, Bucket { rate: 10_000_000, burst: 500_000, queue: 1_000_000 });
        let long = Bucket::for_bits(8_000, 65_535);
        assert!(long.burst > 65_549 && long.queue > long.burst);
        let most = Bucket::for_bits(u64::MAX, 65_535);
        assert_eq!((most.burst, most.queue), (256 << 20, 256 << 20));
    }

    #[test]
    fn pure_messages_have_the_kernels_shape() {
        let bytes = header(Index(7), FILTER, ROOT, 9);
        assert_eq!(bytes[..4], [0; 4]);
        let words = [7u32, 0x8000_0800, 0xffff_ffff, 9].map(u32::to_ne_bytes).concat();
        assert_eq!(bytes[4..], words);
        let parameters = parameters(&Bucket { rate: 1 << 40, burst: 5, queue: 6 });
        assert_eq!(parameters[8..12], [0xff; 4], "the rest is in the attribute for 64 bits");
        assert_eq!(parameters[24..28], 6u32.to_ne_bytes());
    }
}
