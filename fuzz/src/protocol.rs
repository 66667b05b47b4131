//! What comes over sockets, and the account files of an image.

use tinyd_runtime::state::ExitRecord;
use tinyd_runtime::{Failure, Request, frame, fuzzing};

/// Reads the input as each kind of packet, and as account files.
pub fn protocol(data: &[u8]) {
    if let Some((kind, payload)) = frame::parse(data) {
        assert_eq!([&[kind as u8], payload].concat(), data);
        if let Some((rows, columns)) = frame::parse_resize(payload) {
            assert_eq!(frame::resize(rows, columns), payload);
        }
        json::<Request>(payload);
        json::<Failure>(payload);
        json::<ExitRecord>(payload);
    }
    let _ = fuzzing::wish(data);
    if let Some(report) = fuzzing::report(data) {
        assert_eq!(fuzzing::report(&report), Some(report));
        assert_eq!(report[0], data[0]);
    }
    if let Some(identity) = fuzzing::identity(data) {
        assert!(data.starts_with(&identity), "what is read is what was sent");
        assert_eq!(fuzzing::identity(&identity), Some(identity));
    }
    accounts(data);
}

/// A record survives its own writing.
pub(crate) fn json<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(
    text: &[u8],
) {
    if let Ok(record) = serde_json::from_slice::<T>(text) {
        let written = serde_json::to_vec(&record).expect("a record can be written");
        assert_eq!(serde_json::from_slice::<T>(&written).expect("and read again"), record);
    }
}

/// The first line is a user, a line of two dashes parts the files.
fn accounts(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (user, files) = data.split_at(end);
    let Ok(user) = std::str::from_utf8(user) else { return };
    let parted = files.windows(4).position(|window| window == b"\n--\n").unwrap_or(files.len());
    let (passwd, group) = files.split_at(parted);
    let Ok((uid, gid, groups, packet)) = fuzzing::account(user, passwd, group) else { return };
    assert!([uid, gid].iter().chain(&groups).all(|id| i32::try_from(*id).is_ok()), "ids end at 2147483647");
    assert!(groups.len() <= 512);
    assert_eq!(fuzzing::identity(&packet), Some(packet), "the child is told the same");
    let name = user.split(':').next().unwrap_or_default();
    if uid == 0 {
        let named = passwd.split(|byte| *byte == b'\n').any(|line| {
            let mut fields = line.split(|byte| *byte == b':');
            fields.next() == Some(name.as_bytes()) && fields.nth(1) == Some(b"0")
        });
        assert!(name == "0" || named, "{name:?} became root, and nobody said so");
    }
}
