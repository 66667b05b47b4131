//! What is received. Nothing in it is believed: a length that does not fit ends the reading.

use rustix::io::Errno;

/// `NLMSG_ERROR`: an error, or with the number 0 an acknowledgement.
const ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a list.
const DONE: u16 = 3;
/// The lowest type that is not one of netlink's own.
const FIRST_OF_FAMILY: u16 = 16;
/// `NLM_F_DUMP_INTR`: what is listed changed meanwhile.
const INTERRUPTED: u16 = 0x10;

const HEADER: usize = 16;

/// A message from the kernel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply<'a> {
    /// What was asked for.
    Item {
        /// Its type.
        kind: u16,
        /// The family's fixed part and the attributes.
        payload: &'a [u8],
    },
    /// It was done, or it was not.
    Answer(Result<(), Errno>),
    /// The list ends.
    Done,
}

/// The messages of a packet that answer the request with this number, or one of those that follow it in a batch.
pub(crate) struct Replies<'a> {
    rest: &'a [u8],
    sequence: u32,
    count: u32,
    /// Which request of the batch the last message answered.
    pub(crate) answered: u32,
    /// What is listed changed while it was: the list is to be asked for again.
    pub(crate) changed: bool,
}

impl<'a> Replies<'a> {
    pub(crate) fn new(packet: &'a [u8], sequence: u32) -> Self {
        Self::to_batch(packet, sequence, 1)
    }

    /// Those that answer one of `count` requests, of which `first` is the first one's number.
    pub(crate) fn to_batch(packet: &'a [u8], first: u32, count: u32) -> Self {
        Self { rest: packet, sequence: first, count, answered: 0, changed: false }
    }
}

impl<'a> Iterator for Replies<'a> {
    type Item = Reply<'a>;

    fn next(&mut self) -> Option<Reply<'a>> {
        loop {
            let length = u32_at(self.rest, 0).and_then(|length| usize::try_from(length).ok())?;
            let message = self.rest.get(..length).filter(|message| message.len() >= HEADER)?;
            let (kind, flags) = (u16_at(message, 4)?, u16_at(message, 6)?);
            self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            // What an earlier request, given up, left behind.
            self.answered = u32_at(message, 8)?.wrapping_sub(self.sequence);
            if self.answered >= self.count {
                continue;
            }
            let payload = &message[HEADER..];
            self.changed |= flags & INTERRUPTED != 0;
            return Some(match kind {
                ERROR => Reply::Answer(answer(payload)?),
                DONE => match answer(payload) {
                    Some(Err(errno)) => Reply::Answer(Err(errno)),
                    _ => Reply::Done,
                },
                kind if kind >= FIRST_OF_FAMILY => Reply::Item { kind, payload },
                _ => continue,
            });
        }
    }
}

fn answer(payload: &[u8]) -> Option<Result<(), Errno>> {
    let number = u32_at(payload, 0)?.cast_signed();
    Some(match number.checked_neg() {
        Some(0) => Ok(()),
        Some(errno @ 1..=4095) => Err(Errno::from_raw_os_error(errno)),
        _ => Err(Errno::PROTO),
    })
}

/// Attributes: kinds and values.
pub(crate) struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// Those behind the first `fixed` bytes of a payload.
    pub(crate) fn behind(payload: &'a [u8], fixed: usize) -> Self {
        Self(payload.get(fixed.next_multiple_of(4)..).unwrap_or_default())
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let length = usize::from(u16_at(self.0, 0)?);
        // The two highest bits say how the value is to be read, not what it is.
        let kind = u16_at(self.0, 2)? & 0x3fff;
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(u32::try_from(HEADER + payload.len()).unwrap().to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn pure_items_answers_and_ends_are_told_apart() {
        let packet = [
            message(16, 0, 7, b"one"),
            message(16, 0, 6, b"another's"),
            message(ERROR, 0, 7, &(-17i32).to_ne_bytes()),
            message(ERROR, 0, 7, &0i32.to_ne_bytes()),
            message(16, INTERRUPTED, 7, b"two"),
            message(DONE, 0, 7, &0i32.to_ne_bytes()),
        ]
        .concat();
        let mut replies = Replies::new(&packet, 7);
        let found: Vec<_> = replies.by_ref().collect();
        let expected = [
            Reply::Item { kind: 16, payload: b"one" },
            Reply::Answer(Err(Errno::EXIST)),
            Reply::Answer(Ok(())),
            Reply::Item { kind: 16, payload: b"two" },
            Reply::Done,
        ];
        assert_eq!(found, expected);
        assert!(replies.changed);
    }

    #[test]
    fn pure_answers_to_a_batch_say_which_request_they_answer() {
        let packet = [
            message(ERROR, 0, u32::MAX - 1, &0i32.to_ne_bytes()),
            message(ERROR, 0, u32::MAX, &0i32.to_ne_bytes()),
            message(ERROR, 0, 1, &(-2i32).to_ne_bytes()),
            message(ERROR, 0, 2, &0i32.to_ne_bytes()),
        ]
        .concat();
        let mut replies = Replies::to_batch(&packet, u32::MAX, 3);
        assert_eq!((replies.next(), replies.answered), (Some(Reply::Answer(Ok(()))), 0));
        assert_eq!((replies.next(), replies.answered), (Some(Reply::Answer(Err(Errno::NOENT))), 2));
        assert_eq!(replies.next(), None);
    }

    #[test]
    fn pure_lengths_that_do_not_fit_end_the_reading() {
        for length in [0u32, 3, 15, 17, 4000, u32::MAX] {
            let mut packet = message(16, 0, 0, b"");
            packet[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(Replies::new(&packet, 0).count(), 0, "{length}");
        }
        for length in [0u16, 3, 9, u16::MAX] {
            let mut bytes = [8, 0, 1, 0, 5, 6, 7, 8];
            bytes[..2].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(Attributes(&bytes).count(), 0, "{length}");
        }
        assert_eq!(
            Attributes(&[8, 0, 1, 0x80, 5, 6, 7, 8, 4, 0, 2, 0]).collect::<Vec<_>>(),
            [(1, &[5, 6, 7, 8][..]), (2, &[])]
        );
    }
}
