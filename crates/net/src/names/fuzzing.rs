//! What is read of names and of questions for them, for the crate's [`fuzzing`](crate::fuzzing).

use super::message::{self, Code, Data, Question};
use super::{Entry, upstream};
use std::net::{IpAddr, SocketAddr};

/// A question that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    packet: Vec<u8>,
    question: Question,
}

impl Asked {
    /// Reads a packet.
    ///
    /// # Errors
    /// What is to be answered to one that is no question, if anything is.
    pub fn read(packet: &[u8]) -> Result<Self, Option<Vec<u8>>> {
        match Question::read(packet) {
            Ok(question) => Ok(Self { packet: packet.to_vec(), question }),
            Err(code) => Err(code.map(|code| message::answer(packet, None, code, &[]))),
        }
    }

    /// The name that is asked for.
    pub fn name(&self) -> &str {
        &self.question.name
    }

    /// The kind and the class of what is asked for.
    pub fn wanted(&self) -> [u16; 2] {
        [self.question.kind, self.question.class]
    }

    /// The longest answer over UDP, in bytes.
    pub fn longest(&self) -> usize {
        self.question.longest
    }

    /// The address whose name is asked for.
    pub fn reverse(&self) -> Option<IpAddr> {
        self.question.reverse()
    }

    /// An answer over TCP with all of these, whether or not they were asked for.
    pub fn answer(&self, addresses: &[IpAddr], name: Option<&str>) -> Vec<u8> {
        let addresses = addresses.iter().copied().map(Data::Address);
        let records: Vec<_> = addresses.chain(name.map(|name| Data::Name(name.to_owned()))).collect();
        message::answer(&self.packet, Some(&self.question), Code::Good, &records)
    }

    /// The same over UDP.
    pub fn over_udp(&self, answer: Vec<u8>) -> Vec<u8> {
        message::cut(answer, &self.question)
    }

    /// Whether what came from another server is an answer.
    pub fn is_answered_by(&self, answer: &[u8]) -> bool {
        self.question.is_answered_by(answer)
    }
}

/// The servers and the domains that a `resolv.conf` names.
pub fn resolv_conf(text: &str) -> (Vec<SocketAddr>, Vec<String>) {
    upstream::parse(text)
}

/// A container's file in a zone, and how it is written.
pub fn entry(text: &str) -> Option<(Entry, String)> {
    let entry = Entry::parse(text)?;
    let text = entry.text();
    Some((entry, text))
}
