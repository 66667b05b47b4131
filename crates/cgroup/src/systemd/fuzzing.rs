//! Bytes read as a connection reads them, for the fuzz target.

use super::manager;
use super::wire::{self, FIXED, Message};
use crate::fuzzing::Said;

pub(crate) fn messages(mut bytes: &[u8]) -> Vec<Said> {
    let mut said = Vec::new();
    while let Some(fixed) = bytes.first_chunk::<FIXED>() {
        let Ok(length) = wire::length(fixed) else { break };
        let Some((one, rest)) = bytes.split_at_checked(length) else { break };
        let Ok(message) = Message::parse(one) else { break };
        let first = message.text().map(str::to_owned);
        let ended = manager::ended(&message).map(|(job, result)| (job.to_owned(), result.to_owned()));
        let header = [message.path, message.interface, message.member, message.error_name, message.sender];
        let texts = header.into_iter().chain([Some(message.signature), first]).flatten().collect();
        said.push(Said { length, texts, ended });
        bytes = rest;
    }
    said
}
