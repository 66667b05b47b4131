//! Which tests the guest runs: the list in `tests.toml`, against what the built binaries have.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::options::Options;

const LIST: &str = include_str!("tests.toml");

/// Some tests of one binary, and why they are worth an emulated machine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    binary: String,
    #[serde(rename = "why")]
    _why: String,
    /// Starts of names; all tests of the binary when there are none.
    #[serde(default)]
    tests: Vec<String>,
    /// Whole names of tests that stay out, each with its reason.
    #[serde(default)]
    without: BTreeMap<String, String>,
    /// The only layout of hierarchies that the group is for.
    cgroup: Option<String>,
    /// Nothing else runs meanwhile, and they come last.
    #[serde(default)]
    alone: bool,
    /// For the guest whose first process is systemd, and for no other.
    #[serde(default)]
    systemd: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    group: Vec<Group>,
}

/// One test of one binary.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Test {
    pub(super) binary: String,
    pub(super) name: String,
    /// Nothing else may run meanwhile.
    pub(super) alone: bool,
}

impl Test {
    /// As it is called in the output and by a filter.
    pub(super) fn full(&self) -> String {
        format!("{}::{}", self.binary, self.name)
    }
}

/// The binaries that the list names.
pub(super) fn binaries() -> Result<BTreeSet<String>> {
    Ok(read(LIST)?.into_iter().map(|group| group.binary).collect())
}

/// The tests of the list in its order; `known` has the names of all tests of each binary.
pub(super) fn tests(known: &BTreeMap<String, Vec<String>>, options: &Options) -> Result<Vec<Test>> {
    select(&read(LIST)?, known, options)
}

fn read(text: &str) -> Result<Vec<Group>> {
    let list: List = toml::from_str(text).context("xtask/src/vm/tests.toml is not in order")?;
    Ok(list.group)
}

fn select(groups: &[Group], known: &BTreeMap<String, Vec<String>>, options: &Options) -> Result<Vec<Test>> {
    let filter = options.filter.as_deref();
    let mut chosen = Vec::new();
    for group in groups {
        let Some(names) = known.get(&group.binary) else { bail!("no test binary {} is built", group.binary) };
        for wanted in &group.tests {
            // A list that names what is no longer there would run less and less.
            if !names.iter().any(|name| name.starts_with(wanted)) {
                bail!("{} has no test {wanted}: xtask/src/vm/tests.toml is out of date", group.binary);
            }
        }
        for left in group.without.keys() {
            if !names.contains(left) {
                bail!("{} has no test {left}: xtask/src/vm/tests.toml is out of date", group.binary);
            }
        }
        let is_elsewhere = group.cgroup.as_deref().is_some_and(|only| only != options.cgroup.word());
        if is_elsewhere || group.systemd != options.systemd {
            continue;
        }
        let is_wanted = |name: &&String| {
            (group.tests.is_empty() || group.tests.iter().any(|start| name.starts_with(start)))
                && !group.without.contains_key(*name)
        };
        for name in names.iter().filter(is_wanted) {
            let test = Test { binary: group.binary.clone(), name: name.clone(), alone: group.alone };
            if filter.is_none_or(|part| test.full().contains(part)) && !chosen.contains(&test) {
                chosen.push(test);
            }
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::super::options::Cgroup;
    use super::*;

    fn known() -> BTreeMap<String, Vec<String>> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        [("run".to_owned(), names(&["a", "b_one", "b_two"])), ("old".to_owned(), names(&["x"]))].into()
    }

    fn chosen(text: &str, filter: Option<&str>) -> Result<Vec<String>> {
        chosen_with(text, filter, false)
    }

    fn chosen_with(text: &str, filter: Option<&str>, systemd: bool) -> Result<Vec<String>> {
        let filter = filter.map(str::to_owned);
        let options = Options { cgroup: Cgroup::V2, systemd, kernel: None, filter };
        let tests = select(&read(text).unwrap(), &known(), &options)?;
        Ok(tests.iter().map(Test::full).collect())
    }

    #[test]
    fn a_part_of_a_binary_or_all_of_it_each_test_once() {
        let text = "[[group]]\nbinary='run'\nwhy='w'\ntests=['b_']\n[[group]]\nbinary='run'\nwhy='w'\nwithout={ a='r' }\n\
            [[group]]\nbinary='old'\nwhy='w'\ncgroup='v1'\n";
        assert_eq!(chosen(text, None).unwrap(), ["run::b_one", "run::b_two"]);
        assert_eq!(chosen(text, Some("n::b_t")).unwrap(), ["run::b_two"]);
    }

    #[test]
    fn systemds_guest_has_tests_of_its_own() {
        let text = "[[group]]\nbinary='run'\nwhy='w'\n[[group]]\nbinary='old'\nwhy='w'\nsystemd=true\n";
        assert_eq!(chosen(text, None).unwrap(), ["run::a", "run::b_one", "run::b_two"]);
        assert_eq!(chosen_with(text, None, true).unwrap(), ["old::x"]);
    }

    #[test]
    fn a_name_that_nothing_has_is_an_error() {
        for wrong in ["binary='gone'", "binary='run'\ntests=['c']", "binary='run'\nwithout={ b='r' }"] {
            assert!(chosen(&format!("[[group]]\nwhy='w'\n{wrong}\n"), None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_list_of_the_repository_is_in_order() {
        assert!(binaries().unwrap().contains("tinyd_cgroup"));
    }
}
