//! The block of 512 bytes in front of each entry (pax(1), "ustar Interchange Format"; GNU tar's own fields).

use super::problem::Problem;
use std::ops::Range;

/// All parts of an archive are multiples of this.
pub(super) const BLOCK: usize = 512;

/// The bytes that are missing to a whole block.
pub(super) fn padding(size: u64) -> usize {
    (size.wrapping_neg() % BLOCK as u64) as usize
}

pub(super) const NAME: Range<usize> = 0..100;
pub(super) const MODE: Range<usize> = 100..108;
pub(super) const UID: Range<usize> = 108..116;
pub(super) const GID: Range<usize> = 116..124;
pub(super) const SIZE: Range<usize> = 124..136;
pub(super) const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const KIND: usize = 156;
pub(super) const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..265;
pub(super) const MAJOR: Range<usize> = 329..337;
pub(super) const MINOR: Range<usize> = 337..345;
const PREFIX: Range<usize> = 345..500;

/// Kinds of entries.
pub(super) mod kind {
    pub(in crate::archive) const FILE: u8 = b'0';
    pub(in crate::archive) const HARD_LINK: u8 = b'1';
    pub(in crate::archive) const SYMLINK: u8 = b'2';
    pub(in crate::archive) const CHARACTER: u8 = b'3';
    pub(in crate::archive) const BLOCK: u8 = b'4';
    pub(in crate::archive) const FOLDER: u8 = b'5';
    pub(in crate::archive) const FIFO: u8 = b'6';
    /// A file that wishes to lie in one piece: nobody has such any more.
    pub(in crate::archive) const CONTIGUOUS: u8 = b'7';
    pub(in crate::archive) const PAX: u8 = b'x';
    pub(in crate::archive) const PAX_GLOBAL: u8 = b'g';
    pub(in crate::archive) const GNU_NAME: u8 = b'L';
    pub(in crate::archive) const GNU_LINK: u8 = b'K';
    pub(in crate::archive) const GNU_SPARSE: u8 = b'S';
    pub(in crate::archive) const GNU_LABEL: u8 = b'V';
}

/// One header.
pub(super) struct Header(pub(super) [u8; BLOCK]);

impl Header {
    /// An empty one of the format that everybody reads.
    pub(super) fn new(kind: u8) -> Self {
        let mut block = [0; BLOCK];
        block[MAGIC].copy_from_slice(b"ustar\x0000");
        block[KIND] = kind;
        Self(block)
    }

    pub(super) fn is_end(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    pub(super) fn kind(&self) -> u8 {
        self.0[KIND]
    }

    /// Puts as much of a text as there is room for; `false` where that is not all of it.
    pub(super) fn put(&mut self, field: Range<usize>, text: &[u8]) -> bool {
        let room = &mut self.0[field];
        let length = text.len().min(room.len());
        room[..length].copy_from_slice(&text[..length]);
        length == text.len()
    }

    /// Puts a number in octal; `false`, and zero in its place, where there is no room for it.
    pub(super) fn put_number(&mut self, field: Range<usize>, number: u64) -> bool {
        let digits = field.len() - 1;
        let fits = number >> (3 * digits) == 0;
        let mut rest = if fits { number } else { 0 };
        for place in self.0[field.start..field.end - 1].iter_mut().rev() {
            *place = b'0' + (rest & 7) as u8;
            rest >>= 3;
        }
        fits
    }

    /// To be called when all is in it.
    pub(super) fn seal(&mut self) {
        let sum = self.sum();
        self.put_number(CHECKSUM.start..CHECKSUM.end - 1, sum);
        self.0[CHECKSUM.end - 1] = b' ';
    }

    fn sum(&self) -> u64 {
        let outside = |place: &usize| !CHECKSUM.contains(place);
        (0..BLOCK).filter(outside).map(|place| u64::from(self.0[place])).sum::<u64>() + 8 * u64::from(b' ')
    }

    /// Old programs took the bytes for signed numbers.
    fn signed_sum(&self) -> i64 {
        let high = |place: &usize| !CHECKSUM.contains(place) && self.0[*place] >= 0x80;
        self.sum() as i64 - 256 * (0..BLOCK).filter(high).count() as i64
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        let sum = self.number(CHECKSUM, "checksum").map_err(|_| Problem::Checksum)?;
        if sum == self.sum() as i64 || sum == self.signed_sum() { Ok(()) } else { Err(Problem::Checksum) }
    }

    /// A text up to its first zero byte.
    pub(super) fn text(&self, field: Range<usize>) -> &[u8] {
        until_zero(&self.0[field])
    }

    /// The whole name, with the part that ustar keeps apart. (GNU's header has times in its place.)
    pub(super) fn name(&self) -> Vec<u8> {
        let (name, prefix) = (self.text(NAME), self.text(PREFIX));
        let has_prefix = self.0[MAGIC] == *b"ustar\x0000" && !prefix.is_empty();
        if has_prefix { [prefix, b"/", name].concat() } else { name.to_vec() }
    }

    /// Octal digits, or GNU's binary number; nothing is 0.
    pub(super) fn number(&self, field: Range<usize>, what: &'static str) -> Result<i64, Problem> {
        number(&self.0[field]).ok_or(Problem::Number(what))
    }
}

pub(super) fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number in the form that headers have.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    match field {
        [first, rest @ ..] if first & 0x80 != 0 => {
            // Big-endian; the first byte's second bit is the sign, its first says that it is no text.
            let negative = first & 0x40 != 0;
            let mut value = i128::from(first & 0x3f) - if negative { 0x40 } else { 0 };
            for byte in rest {
                value = value.checked_mul(256)?.checked_add(i128::from(*byte))?;
            }
            value.try_into().ok()
        }
        _ => {
            let text = field.trim_ascii_start();
            let end = text.iter().position(|byte| matches!(byte, 0 | b' ')).unwrap_or(text.len());
            if !text[end..].iter().all(|byte| matches!(byte, 0 | b' ')) {
                return None;
            }
            text[..end].iter().try_fold(0_i64, |value, digit| match digit {
                b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
                _ => None,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_numbers_of_all_programs_are_read() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"77777777"), Some(0o7777_7777));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"\x80\0\0\0\xee\x6b\x28\x00"), Some(4_000_000_000));
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xfe"), Some(-2));
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x27\x95\xe4"), Some(-14_182_940));
        for bad in
            [&b"0000648\0"[..], b"64 4\0\0\0\0", b"-0000001", b"\x80\x01\0\0\0\0\0\0\0\0\0\0", b"0x644\0\0\0"]
        {
            assert_eq!(number(bad), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn pure_what_is_written_is_read() {
        let mut header = Header::new(kind::FILE);
        assert!(header.put(NAME, b"a/b"));
        assert!(header.put_number(SIZE, 0o77_777_777_777));
        assert!(!header.put_number(UID, 0o1000_0000));
        header.seal();
        header.check().unwrap();
        assert_eq!(header.name(), b"a/b");
        assert_eq!(header.number(SIZE, "size").unwrap(), 0o77_777_777_777);
        assert_eq!(header.number(UID, "uid").unwrap(), 0);
        header.0[3] = 1;
        assert!(matches!(header.check(), Err(Problem::Checksum)));
    }

    #[test]
    fn pure_padding_fills_a_block() {
        assert_eq!([0, 1, 511, 512, 513].map(padding), [0, 511, 1, 0, 511]);
        assert_eq!(padding(u64::MAX), 1);
    }
}
