//! Headers as blocks (RFC 7541): each a literal that no table keeps.

use crate::protobuf::varint;

/// One header.
pub fn literal(name: &str, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name.as_bytes(), value] {
        length(text.len(), &mut bytes);
        bytes.extend(text);
    }
    bytes
}

/// Several.
pub fn block(headers: &[(&str, &[u8])]) -> Vec<u8> {
    headers.iter().flat_map(|(name, value)| literal(name, value)).collect()
}

/// Those of a call.
pub fn call(path: &str) -> Vec<u8> {
    block(&[
        (":method", b"POST"),
        (":scheme", b"http"),
        (":path", path.as_bytes()),
        (":authority", b"localhost"),
        ("content-type", b"application/grpc"),
        ("te", b"trailers"),
    ])
}

/// An integer in seven bits and what follows.
fn length(value: usize, bytes: &mut Vec<u8>) {
    if value < 127 {
        bytes.push(value as u8);
        return;
    }
    bytes.push(127);
    varint(value as u64 - 127, bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_the_rfcs() {
        let of = |value| {
            let mut bytes = Vec::new();
            length(value, &mut bytes);
            bytes
        };
        assert_eq!((of(10), of(127), of(1_337 + 96)), (vec![10], vec![127, 0], vec![127, 154, 10]));
    }
}
