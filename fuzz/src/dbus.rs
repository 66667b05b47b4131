//! What comes over systemd's bus. On the system bus anybody may send to anybody.

use tinyd_cgroup::fuzzing;

/// Reads messages one behind the other.
pub fn dbus(data: &[u8]) {
    let mut rest = data;
    for said in fuzzing::messages(data) {
        assert!(said.length >= 16 && said.length <= 1 << 20, "{} bytes were taken", said.length);
        let (message, behind) =
            rest.split_at_checked(said.length).expect("no byte is read that is not there");
        let ended = said.ended.into_iter().flat_map(|(job, result)| [job, result]);
        for text in said.texts.into_iter().chain(ended) {
            let is_there = text.is_empty() || message.windows(text.len()).any(|part| part == text.as_bytes());
            assert!(is_there, "{text:?} is not in the message");
        }
        rest = behind;
    }
}
