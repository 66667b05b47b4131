//! Which capabilities a container has.

use crate::error::{Error, Result};
use tinyd_engine::Security;
use tinyd_ns::caps::{CapSet, Capability};

/// A word of `--cap-add` or `--cap-drop`.
enum Word {
    All,
    One(Capability),
}

/// The capabilities of a container, out of those that can be given. What is added by name must be among these.
pub(crate) fn of(security: &Security, available: CapSet) -> Result<CapSet> {
    let added = words("capability to add", &security.cap_add)?;
    let dropped = words("capability to drop", &security.cap_drop)?;
    for word in &added {
        if let Word::One(one) = word
            && !available.contains(*one)
        {
            let problem = "is not in the bounding set of this process, so it cannot be given to a container";
            return Err(Error::invalid("capability to add", one.name(), problem));
        }
    }
    let all = |words: &[Word]| words.iter().any(|word| matches!(word, Word::All));
    let by_name = |words: &[Word]| -> CapSet {
        words
            .iter()
            .filter_map(|word| match word {
                Word::One(one) => Some(*one),
                Word::All => None,
            })
            .collect()
    };
    let base = match (security.privileged || all(&added), all(&dropped)) {
        (true, _) => available,
        (false, true) => CapSet::EMPTY,
        (false, false) => CapSet::DEFAULT.intersect(available),
    };
    // Both by name: as in Docker, what is added is there.
    Ok(base.difference(by_name(&dropped)).union(by_name(&added)))
}

fn words(field: &'static str, names: &[String]) -> Result<Vec<Word>> {
    let word = |name: &String| match name.to_ascii_uppercase().as_str() {
        "ALL" | "CAP_ALL" => Ok(Word::All),
        _ => match Capability::from_name(name) {
            Ok(one) => Ok(Word::One(one)),
            Err(_) => {
                Err(Error::invalid(field, name, "is none of capabilities(7), such as NET_ADMIN, nor ALL"))
            }
        },
    };
    names.iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(add: &[&str], drop: &[&str], privileged: bool) -> Result<CapSet> {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let security =
            Security { cap_add: list(add), cap_drop: list(drop), privileged, ..Security::default() };
        of(&security, CapSet::all().without(Capability::SysResource))
    }

    #[test]
    fn pure_words_count_as_in_docker() {
        let all = CapSet::all().without(Capability::SysResource);
        let only = |caps: &[Capability]| caps.iter().copied().collect::<CapSet>();
        assert_eq!(with(&[], &[], false).unwrap(), CapSet::DEFAULT);
        assert_eq!(with(&["net_admin"], &[], false).unwrap(), CapSet::DEFAULT.with(Capability::NetAdmin));
        assert_eq!(with(&[], &["CAP_CHOWN"], false).unwrap(), CapSet::DEFAULT.without(Capability::Chown));
        assert_eq!(with(&["CHOWN"], &["ALL"], false).unwrap(), only(&[Capability::Chown]));
        assert_eq!(with(&["all"], &["CHOWN"], false).unwrap(), all.without(Capability::Chown));
        assert_eq!(with(&[], &[], true).unwrap(), all);
        assert_eq!(with(&[], &["SYS_ADMIN"], true).unwrap(), all.without(Capability::SysAdmin));
        assert_eq!(with(&[], &["ALL"], false).unwrap(), CapSet::EMPTY);
    }

    #[test]
    fn pure_what_does_not_exist_or_cannot_be_given_is_refused() {
        for (add, drop) in
            [("SYS_RESOURCE", "CHOWN"), ("NONSENSE", "CHOWN"), ("CHOWN", "NONSENSE"), ("", "CHOWN")]
        {
            let said = with(&[add], &[drop], false).unwrap_err().to_string();
            assert!(said.contains("capability to "), "{said}");
        }
    }
}
