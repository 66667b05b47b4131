//! Messages of protocol buffers by hand: fields that hold texts, bytes or messages, and numbers.

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
    }
}
