//! From a word to a container: an exact id, an exact name, or a prefix of one id.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::ids::is_id;
use crate::store::Record;
use crate::{names, validate};

impl Core {
    /// The id that a word means.
    pub(crate) fn resolve(&self, word: &str) -> Result<String> {
        let there = |id: &str| self.store.container(id).exists();
        if is_id(word) && there(word) {
            return Ok(word.to_owned());
        }
        // Only what is a valid name becomes part of a path.
        if validate::name(word).is_ok()
            && let Some(id) = names::lookup(&self.store, word)?
            && is_id(&id)
            && there(&id)
        {
            return Ok(id);
        }
        let mut fitting = match !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => self.store.ids()?,
            false => Vec::new(),
        };
        fitting.retain(|id| id.starts_with(word));
        match fitting.len() {
            0 => Err(self.no_such(word)),
            1 => Ok(fitting.swap_remove(0)),
            _ => {
                fitting.sort();
                let candidates = fitting.iter().map(|id| self.label(id, word.len() + 1)).collect();
                Err(Error::Ambiguous { word: word.to_owned(), candidates })
            }
        }
    }

    /// The record of a container that was found.
    pub(crate) fn known(&self, id: &str, word: &str) -> Result<Record> {
        self.store.record(id)?.ok_or_else(|| self.no_such(word))
    }

    /// That there is no such container, with the name that was meant, perhaps.
    pub(crate) fn no_such(&self, word: &str) -> Error {
        let names = self.store.names().unwrap_or_default();
        let names = names.iter().filter_map(|(link, _)| link.file_name()?.to_str());
        Error::NoSuchContainer { word: word.to_owned(), similar: most_similar(word, names) }
    }

    fn label(&self, id: &str, digits: usize) -> String {
        let digits = id.get(..digits.max(12)).unwrap_or(id);
        match self.store.record(id).ok().flatten().and_then(|record| record.spec.name) {
            Some(name) => format!("{digits} ({name})"),
            None => digits.to_owned(),
        }
    }
}

/// The name that was meant, perhaps.
pub(crate) fn most_similar<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let near = names.map(|name| (distance(word, name), name));
    let near = near.filter(|(far, name)| *far <= 2 && *far < name.len()).min();
    near.map(|(_, name)| name.to_owned())
}

/// How many letters have to be changed, added or left out to make one word of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut corner = row[0];
        row[0] = line + 1;
        for (column, &wanted) in other.iter().enumerate() {
            let cheapest =
                (row[column] + 1).min(row[column + 1] + 1).min(corner + usize::from(letter != wanted));
            corner = row[column + 1];
            row[column + 1] = cheapest;
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, FakeLauncher};
    use std::fs;

    #[test]
    fn pure_exact_id_then_name_then_prefix() {
        let (_place, core) = testing::core(FakeLauncher::succeeding());
        let (one, two) = (format!("abc{}", "1".repeat(29)), format!("abd{}", "2".repeat(29)));
        for id in [&one, &two] {
            fs::create_dir(core.store.container(id)).unwrap();
        }
        names::take(&core.store, "web", &one).unwrap();
        names::take(&core.store, "abd", &one).unwrap();
        assert_eq!(core.resolve(&two).unwrap(), two);
        assert_eq!(core.resolve("web").unwrap(), one);
        assert_eq!(core.resolve("abc").unwrap(), one);
        // A name comes before a prefix.
        assert_eq!(core.resolve("abd").unwrap(), one);
        assert_eq!(core.resolve("abd2").unwrap(), two);
        let error = core.resolve("ab").unwrap_err();
        assert!(matches!(&error, Error::Ambiguous { candidates, .. } if candidates.len() == 2), "{error}");
    }

    #[test]
    fn pure_what_is_not_there_may_be_meant_otherwise() {
        let (_place, core) = testing::core(FakeLauncher::succeeding());
        names::take(&core.store, "server", &"1".repeat(32)).unwrap();
        let similar = |word: &str| match core.resolve(word).unwrap_err() {
            Error::NoSuchContainer { similar, .. } => similar,
            other => panic!("{other:?}"),
        };
        assert_eq!(similar("sevrer").as_deref(), Some("server"));
        assert_eq!(similar("server").as_deref(), Some("server"));
        for word in ["client", "", "..", "../x", "/etc/passwd", "a\0b"] {
            assert_eq!(similar(word), None, "{word:?}");
        }
        assert_eq!((distance("abc", "abc"), distance("abc", ""), distance("kitten", "sitting")), (0, 3, 3));
    }
}
