//! From a word to a network: its name, its id, or a prefix of one id.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::ids::{is_id, short};
use crate::networks::name;
use crate::networks::record::NetworkRecord;

impl Core {
    /// The network that a word means, which is whole.
    pub(super) fn known_network(&self, word: &str) -> Result<NetworkRecord> {
        let record = self.find_network(word)?;
        match record.whole {
            true => Ok(record),
            false => Err(self.no_such_network(word)),
        }
    }

    /// The network that a word means, be it half made.
    pub(crate) fn find_network(&self, word: &str) -> Result<NetworkRecord> {
        let name = name::canonical(word);
        // Only what is a valid name becomes part of a path; what has the shape of an id is none.
        if name::check(name).is_ok()
            && let Some(record) = self.network_records().get(name)?
        {
            return Ok(record);
        }
        let hex = !word.is_empty() && word.len() <= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut fitting = if hex { self.network_records().all()? } else { Vec::new() };
        fitting.retain(|record| is_id(&record.id) && record.id.starts_with(word));
        match fitting.len() {
            0 => Err(self.no_such_network(word)),
            1 => Ok(fitting.swap_remove(0)),
            _ => {
                let label = |record: &NetworkRecord| format!("{} ({})", short(&record.id), record.name());
                let candidates = fitting.iter().map(label).collect();
                Err(Error::AmbiguousNetwork { word: word.to_owned(), candidates })
            }
        }
    }

    fn no_such_network(&self, word: &str) -> Error {
        let others = self.network_records().names().unwrap_or_default();
        let similar = crate::resolve::most_similar(word, others.iter().map(String::as_str));
        Error::NoSuchNetwork { name: word.to_owned(), similar }
    }
}
