//! Unmarshalling: bytes of somebody else's into values. Every length is checked before it is used.

use super::{Malformed, Read, aligned, signature};

/// How deep containers may nest; the specification allows 64 in all.
const DEEPEST: usize = 64;

/// A place in bytes that begin at a multiple of eight in the message.
#[derive(Debug)]
pub(in crate::systemd) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

impl<'a> Reader<'a> {
    pub(in crate::systemd) fn new(bytes: &'a [u8], big_endian: bool) -> Self {
        Self { bytes, at: 0, big_endian }
    }

    pub(in crate::systemd) fn at(&self) -> usize {
        self.at
    }

    pub(in crate::systemd) fn align(&mut self, alignment: usize) -> Read<()> {
        let gap = self.take(aligned(self.at, alignment) - self.at)?;
        if gap.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(Malformed("a gap is not empty")) }
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(Malformed("a length is larger than what is there"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.align(N)?;
        let mut number = [0; N];
        number.copy_from_slice(self.take(N)?);
        if self.big_endian {
            number.reverse();
        }
        Ok(number)
    }

    pub(in crate::systemd) fn byte(&mut self) -> Read<u8> {
        self.number().map(u8::from_le_bytes)
    }

    pub(in crate::systemd) fn u32(&mut self) -> Read<u32> {
        self.number().map(u32::from_le_bytes)
    }

    fn length(&mut self) -> Read<usize> {
        usize::try_from(self.u32()?).map_err(|_| Malformed("a length is larger than what is there"))
    }

    /// A string or the path of an object.
    pub(in crate::systemd) fn text(&mut self) -> Read<&'a str> {
        let length = self.length()?;
        self.terminated(length)
    }

    pub(in crate::systemd) fn signature(&mut self) -> Read<&'a str> {
        let length = self.byte()?;
        self.terminated(length.into())
    }

    fn terminated(&mut self, length: usize) -> Read<&'a str> {
        let text = self.take(length)?;
        if self.take(1)? != [0] || text.contains(&0) {
            return Err(Malformed("a text does not end where its length says"));
        }
        std::str::from_utf8(text).map_err(|_| Malformed("a text is not UTF-8"))
    }

    /// Where an array ends whose elements have the alignment; the place is before the first element then.
    pub(in crate::systemd) fn array(&mut self, alignment: usize) -> Read<usize> {
        let length = self.length()?;
        self.align(alignment)?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        end.ok_or(Malformed("an array is longer than what is there"))
    }

    /// Passes over the value of a variant, whatever it is.
    pub(in crate::systemd) fn skip_variant(&mut self) -> Read<()> {
        self.skip_variant_in(DEEPEST)
    }

    fn skip_variant_in(&mut self, depth: usize) -> Read<()> {
        let signature = self.signature()?;
        let (one, rest) = signature::first(signature)?;
        if !rest.is_empty() {
            return Err(Malformed("a variant holds more than one value"));
        }
        self.skip(one, depth)
    }

    /// Passes over one value of a type that [`signature::first`] has found whole.
    fn skip(&mut self, kind: &str, depth: usize) -> Read<()> {
        let depth = depth.checked_sub(1).ok_or(Malformed("values are nested too deeply"))?;
        match kind.as_bytes() {
            [b'y'] => self.byte().map(drop),
            [b'n' | b'q'] => self.number::<2>().map(drop),
            [b'b' | b'i' | b'u' | b'h'] => self.u32().map(drop),
            [b'x' | b't' | b'd'] => self.number::<8>().map(drop),
            [b's' | b'o'] => self.text().map(drop),
            [b'g'] => self.signature().map(drop),
            [b'v'] => self.skip_variant_in(depth),
            [b'a', ..] => {
                // Nobody reads the elements, so their bytes are passed over as they are.
                let end = self.array(signature::alignment(&kind[1..]))?;
                self.take(end - self.at).map(drop)
            }
            [b'(' | b'{', .., _] => {
                self.align(8)?;
                let mut rest = &kind[1..kind.len() - 1];
                while !rest.is_empty() {
                    let (one, after) = signature::first(rest)?;
                    self.skip(one, depth)?;
                    rest = after;
                }
                Ok(())
            }
            _ => Err(Malformed("a signature names no type")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_no_length_is_believed() {
        let text = |bytes: &[u8]| Reader::new(bytes, false).text().map(str::to_owned);
        assert_eq!(text(b"\x02\0\0\0ab\0"), Ok("ab".to_owned()));
        for bad in [
            &b"\x03\0\0\0ab\0"[..],
            b"\xff\xff\xff\xffab\0",
            b"\x02\0\0\0abc",
            b"\x02\0\0\0a\0\0",
            b"\x01\0\0\0\xff\0",
            b"\x02\0\0",
            b"",
        ] {
            assert!(text(bad).is_err(), "{bad:?}");
        }
        assert!(Reader::new(b"\xff\xff\xff\x7f\0\0\0\0", false).array(8).is_err());
        let mut gap = Reader::new(b"\x01\x07\0\0\x02\0\0\0", false);
        assert_eq!((gap.byte(), gap.u32()), (Ok(1), Err(Malformed("a gap is not empty"))));
    }

    #[test]
    fn pure_both_byte_orders() {
        assert_eq!(Reader::new(&[1, 2, 3, 4], false).u32(), Ok(0x0403_0201));
        assert_eq!(Reader::new(&[1, 2, 3, 4], true).u32(), Ok(0x0102_0304));
        assert_eq!(Reader::new(&[0, 0, 0, 1, b'x', 0], true).text(), Ok("x"));
    }

    #[test]
    fn pure_variants_nest_only_so_deep() {
        let nested = |times: usize| [&b"\x01v\0".repeat(times)[..], b"\x01y\0\x05"].concat();
        let skip = |bytes: &[u8]| {
            let mut reader = Reader::new(bytes, false);
            reader.skip_variant().map(|()| reader.at())
        };
        assert_eq!(skip(&nested(10)), Ok(34));
        assert!(skip(&nested(1000)).is_err());
        for bad in [&b"\0\0"[..], b"\x02yy\0\x01\x02", b"\x01a\0", b"\x02(y\0\0", b"\x01?\0", b"\x01{\0"] {
            assert!(skip(bad).is_err(), "{bad:?}");
        }
    }
}
