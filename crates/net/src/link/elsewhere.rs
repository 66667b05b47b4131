//! Links of namespaces that this one knows by a number alone (`RTM_NEWNSID` of linux/net_namespace.h).
//!
//! A namespace that lives on can be found again by its number, without a file or a process that would hold it. A number goes
//! with its namespace and is given out again, so that it says nothing by itself: a link is known by its alias.

use super::wire::{LinkHeader, attribute, kind};
use super::{Index, Link, Links, wire};
use crate::netlink::{Attributes, Message, u32_at};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

const NEW_NUMBER: u16 = 88;
const GET_NUMBER: u16 = 90;

/// `NETNSA_NSID` and `NETNSA_FD`.
const NUMBER: u16 = 1;
const FD: u16 = 3;

/// `struct rtgenmsg`, whose family means nothing here, with the padding behind it.
const GENERAL: [u8; 4] = [0; 4];

/// The number of a namespace that is to be chosen by the kernel.
const ANY: u32 = u32::MAX;

impl Links {
    /// Has the kernel give another namespace a number, by which this one finds it again for as long as it is there.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn number(&mut self, netns: BorrowedFd<'_>) -> io::Result<()> {
        let mut message = Message::change(NEW_NUMBER, &GENERAL);
        message.put_u32(NUMBER, ANY);
        message.put_u32(FD, netns.as_raw_fd().cast_unsigned());
        match self.0.run(message) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Gives a link an alias.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn set_alias(&mut self, link: Index, alias: &str) -> io::Result<()> {
        let header = LinkHeader { index: link.0, ..LinkHeader::default() };
        let mut message = Message::change(kind::NEW_LINK, &header.bytes());
        message.put(attribute::ALIAS, alias.as_bytes());
        Ok(self.0.run(message)?)
    }

    /// Removes all links of this alias, here and in every namespace that this one has a number for. None is no error.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn remove_aliased(&mut self, alias: &str) -> io::Result<()> {
        let is_it = |link: &Link| link.alias.as_deref() == Some(alias);
        for link in self.list()?.iter().filter(|link| is_it(link)) {
            self.remove(link.index)?;
        }
        let numbers = self.0.list(|| Message::list(GET_NUMBER, &GENERAL), parse_number)?;
        for number in numbers {
            let there = self.0.list(|| list_in(number), wire::parse_link);
            // What cannot be asked is gone, or about to be.
            for link in there.unwrap_or_default().iter().filter(|link| is_it(link)) {
                let header = LinkHeader { index: link.index.0, ..LinkHeader::default() };
                let mut message = Message::change(kind::DEL_LINK, &header.bytes());
                message.put_u32(attribute::TARGET_NUMBER, number);
                match self.0.run(message) {
                    // It is gone, or its namespace is.
                    Ok(()) | Err(Errno::NODEV | Errno::INVAL) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
        Ok(())
    }
}

fn list_in(number: u32) -> Message {
    let mut message = Message::list(kind::GET_LINK, &LinkHeader::default().bytes());
    message.put_u32(attribute::TARGET_NUMBER, number);
    message
}

pub(super) fn parse_number(payload: &[u8]) -> Option<u32> {
    let value = Attributes::behind(payload, GENERAL.len()).find(|(kind, _)| *kind == NUMBER);
    value.and_then(|(_, value)| u32_at(value, 0))
}
