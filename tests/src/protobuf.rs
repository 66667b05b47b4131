//! Messages of protocol buffers by hand: fields that hold texts, bytes or messages, and numbers, written and read.

/// A field with a text, bytes, or another message.
pub fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut bytes = vec![number << 3 | 2];
    varint(content.len() as u64, &mut bytes);
    bytes.extend(content);
    bytes
}

/// A field with a number.
pub fn number(number: u8, value: u64) -> Vec<u8> {
    let mut bytes = vec![number << 3];
    varint(value, &mut bytes);
    bytes
}

/// What a field with a text, bytes or another message holds; empty where the message does not have it.
pub fn content(message: &[u8], number: u64) -> &[u8] {
    fields(message).into_iter().find(|(found, ..)| *found == number).map_or(&[], |(_, _, content)| content)
}

/// The number that a field holds; 0 where the message does not have it.
pub fn value(message: &[u8], number: u64) -> u64 {
    fields(message).into_iter().find(|(found, ..)| *found == number).map_or(0, |(_, value, _)| value)
}

/// The fields of a message: number, value or length, content.
fn fields(mut rest: &[u8]) -> Vec<(u64, u64, &[u8])> {
    let mut all = Vec::new();
    while !rest.is_empty() {
        let key = read_varint(&mut rest);
        let number = read_varint(&mut rest);
        let length = match key & 7 {
            0 => 0,
            2 => usize::try_from(number).expect("a message is short"),
            kind => panic!("a field of kind {kind}"),
        };
        let (content, more) = rest.split_at(length);
        all.push((key >> 3, number, content));
        rest = more;
    }
    all
}

fn read_varint(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    while let [first, more @ ..] = *bytes {
        *bytes = more;
        value |= u64::from(first & 127) << shift;
        shift += 7;
        if *first < 128 {
            break;
        }
    }
    value
}

/// Seven bits a byte, the lowest first.
pub(crate) fn varint(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 128 {
        bytes.push((value % 128) as u8 | 128);
        value /= 128;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_as_the_documentation_of_the_format_has_them() {
        assert_eq!(number(1, 150), [0x08, 0x96, 0x01]);
        assert_eq!(field(2, "testing"), [&[0x12, 0x07][..], b"testing"].concat());
        let message = [number(1, 150), field(2, "testing")].concat();
        assert_eq!((value(&message, 1), content(&message, 2)), (150, &b"testing"[..]));
        assert_eq!((value(&message, 3), content(&message, 3)), (0, &b""[..]));
    }
}
