//! What clients ask a daemon for, in the messages of the contract.

use std::fmt::Debug;

use prost::Message;
use tinyd_api::proto;
use tinyd_api::wire::Wire;
use tinyd_engine as engine;

/// Reads a message of the kind that the first byte says.
pub fn wire(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 6 {
        0 => hold::<proto::ContainerSpec, engine::ContainerSpec>(data),
        1 => hold::<proto::ExecSpec, engine::ExecSpec>(data),
        2 => hold::<proto::EventsRequest, engine::EventsRequest>(data),
        3 => hold::<proto::LogsRequest, engine::LogsRequest>(data),
        4 => hold::<proto::NetworkCreate, engine::NetworkCreate>(data),
        _ => hold::<proto::VolumeCreate, engine::VolumeCreate>(data),
    }
}

/// What is read travels, and is read again the same; what is refused is one clear line.
fn hold<M: Message + Default, T: Wire<M> + Clone + PartialEq + Debug>(data: &[u8]) {
    let Ok(message) = M::decode(data) else { return };
    match T::from_wire(message) {
        Ok(read) => {
            let bytes = read.clone().into_wire().encode_to_vec();
            let again = M::decode(bytes.as_slice()).expect("what we write is a message");
            assert_eq!(T::from_wire(again).expect("what we write is understood"), read);
        }
        Err(malformed) => {
            let told = malformed.to_string();
            assert!(!told.is_empty() && !told.contains(char::is_control), "{told:?}");
        }
    }
}
