//! `devices`: which device files may be used (Documentation/admin-guide/cgroup-v1/devices.rst).
//!
//! v1 has no list of rules. It has one default, and exceptions from it; a rule that takes a part out of an exception is
//! lost on it without a word. So the rules are folded into that form first, and what does not fit is an error.

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::limits::{DeviceAccess, DeviceKind, DeviceRule};
use rustix::io::Errno;

const LIST: &str = "devices.list";
const ALLOW: &str = "devices.allow";
const DENY: &str = "devices.deny";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Devices {
    kind: DeviceKind,
    major: Option<u32>,
    minor: Option<u32>,
}

impl Devices {
    fn of(rule: &DeviceRule) -> Self {
        Self { kind: rule.kind, major: rule.major, minor: rule.minor }
    }

    fn covers(self, other: Self) -> bool {
        let wider = |mine: Option<u32>, others: Option<u32>| mine.is_none() || mine == others;
        self.kind == other.kind && wider(self.major, other.major) && wider(self.minor, other.minor)
    }

    fn meets(self, other: Self) -> bool {
        let meet = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
        self.kind == other.kind && meet(self.major, other.major) && meet(self.minor, other.minor)
    }

    fn line(self, access: DeviceAccess) -> String {
        DeviceRule::new(true, self.kind, self.major, self.minor, access).to_string()
    }
}

/// What the kernel keeps; the exceptions in the order of the rules, in which the kernel lists them too.
#[derive(Debug, PartialEq, Eq)]
struct Policy {
    allow_rest: bool,
    exceptions: Vec<(Devices, DeviceAccess)>,
}

impl Policy {
    fn fold(rules: &[DeviceRule]) -> Result<Self> {
        let mut policy = Self { allow_rest: true, exceptions: Vec::new() };
        for rule in rules {
            if rule.kind == DeviceKind::All {
                policy = Self { allow_rest: rule.allow, exceptions: Vec::new() };
            } else if rule.allow == policy.allow_rest {
                policy.take_back(rule)?;
            } else {
                policy.except(rule);
            }
        }
        Ok(policy)
    }

    /// An open must be allowed by one exception alone, so that each carries what wider ones allow too. To make a node is a right by
    /// itself.
    fn except(&mut self, rule: &DeviceRule) {
        let devices = Devices::of(rule);
        let mut access = rule.access;
        for (other, more) in &mut self.exceptions {
            if devices.covers(*other) {
                *more = more.union(rule.access.without(DeviceAccess::MKNOD));
            } else if other.covers(devices) {
                access = access.union(more.without(DeviceAccess::MKNOD));
            }
        }
        match self.exceptions.iter_mut().find(|(other, _)| *other == devices) {
            Some((_, all)) => *all = all.union(access),
            None => self.exceptions.push((devices, access)),
        }
    }

    fn take_back(&mut self, rule: &DeviceRule) -> Result<()> {
        let devices = Devices::of(rule);
        for (other, access) in &mut self.exceptions {
            let left = access.without(rule.access);
            if devices.covers(*other) {
                *access = left;
            } else if devices.meets(*other) && left != *access {
                let word = if rule.allow { "allow" } else { "deny" };
                return Err(Error::DeviceException { rule: format!("{word} {rule}") });
            }
        }
        self.exceptions.retain(|(_, access)| !access.is_empty());
        Ok(())
    }

    /// `devices.list` shows the exceptions from a denial; those from an allowance it keeps to itself.
    fn read(dir: &Dir) -> Result<Self> {
        let text = dir.read(LIST)?;
        let mut policy = Self { allow_rest: false, exceptions: Vec::new() };
        for line in text.lines() {
            let rule: DeviceRule =
                line.parse().map_err(|_| Error::Parse { path: dir.file(LIST), text: line.to_owned() })?;
            if rule.kind == DeviceKind::All {
                policy.allow_rest = true;
            } else {
                policy.exceptions.push((Devices::of(&rule), rule.access));
            }
        }
        Ok(policy)
    }
}

/// Sees that v1 can say what the rules say.
pub(super) fn probe(rules: &[DeviceRule]) -> Result<()> {
    Policy::fold(rules).map(drop)
}

/// What is allowed beside a general denial, each entry alone enough for what it says; `None` when all is allowed.
///
/// # Errors
/// For what is neither: an allowance with exceptions.
pub(crate) fn allowed(rules: &[DeviceRule]) -> Result<Option<Vec<DeviceRule>>> {
    let policy = Policy::fold(rules)?;
    let rule = |(devices, access): &(Devices, DeviceAccess)| {
        DeviceRule::new(!policy.allow_rest, devices.kind, devices.major, devices.minor, *access)
    };
    let mut exceptions = policy.exceptions.iter().map(rule);
    if !policy.allow_rest {
        return Ok(Some(exceptions.collect()));
    }
    match exceptions.next() {
        None => Ok(None),
        Some(denied) => Err(Error::DeviceException { rule: format!("deny {denied}") }),
    }
}

/// From one denial to another only the differences are written, so that nothing that stays allowed is ever denied,
/// and groups below do not matter.
pub(super) fn write(dir: &Dir, rules: &[DeviceRule]) -> Result<()> {
    let wanted = Policy::fold(rules)?;
    if wanted.allow_rest {
        // Its exceptions cannot be read, so it begins from none.
        put(dir, ALLOW, &["a *:* rwm".to_owned()])?;
        let lines: Vec<_> = wanted.exceptions.iter().map(|(d, access)| d.line(*access)).collect();
        return put(dir, DENY, &lines);
    }
    let mut now = Policy::read(dir)?;
    if now.allow_rest {
        put(dir, DENY, &["a *:* rwm".to_owned()])?;
        now.exceptions.clear();
    }
    let nothing = DeviceAccess::ALL.without(DeviceAccess::ALL);
    let difference = |from: &Policy, minus: &Policy, file| {
        let lines = from.exceptions.iter().filter_map(|(devices, access)| {
            let there = minus.exceptions.iter().find(|(other, _)| other == devices);
            let left = access.without(there.map_or(nothing, |(_, access)| *access));
            (!left.is_empty()).then(|| devices.line(left))
        });
        put(dir, file, &lines.collect::<Vec<_>>())
    };
    difference(&now, &wanted, DENY)?;
    difference(&wanted, &now, ALLOW)
}

fn put(dir: &Dir, file: &str, lines: &[String]) -> Result<()> {
    let hint = |errno| match (errno, file) {
        (Errno::INVAL | Errno::BUSY, _) => {
            Some("the group has groups below it: set what is denied in general before they are made")
        }
        (Errno::PERM, ALLOW) => {
            Some("the group above does not allow it, or CAP_SYS_ADMIN is missing: allow it there first")
        }
        (Errno::PERM, _) => Some("CAP_SYS_ADMIN is missing: run as root of the host"),
        _ => None,
    };
    dir.write_each_explained(file, lines, hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::fake;
    use std::fs;

    fn rules(texts: &[&str]) -> Vec<DeviceRule> {
        let rule = |text: &&str| {
            let (word, rest) = text.split_once(' ').unwrap();
            DeviceRule { allow: word == "allow", ..rest.parse().unwrap() }
        };
        texts.iter().map(rule).collect()
    }

    fn exceptions(texts: &[&str]) -> (bool, Vec<String>) {
        let policy = Policy::fold(&rules(texts)).unwrap();
        (policy.allow_rest, policy.exceptions.iter().map(|(d, a)| d.line(*a)).collect())
    }

    #[test]
    fn pure_rules_become_a_default_and_exceptions() {
        let list = exceptions(&[
            "allow c 1:3 rwm",
            "deny a *:* rwm",
            "allow c 1:5 r",
            "allow c 1:5 w",
            "allow b *:* m",
        ]);
        assert_eq!(list, (false, vec!["c 1:5 rw".to_owned(), "b *:* m".to_owned()]));
        // A denial of what is denied anyway, as Docker's for fuse; and one of a whole exception.
        let list = exceptions(&["deny a *:* rwm", "allow c 1:3 rwm", "deny c 10:229 rwm", "deny c 1:* w"]);
        assert_eq!(list, (false, vec!["c 1:3 rm".to_owned()]));
        let list = exceptions(&["deny b 8:* rw", "allow c *:* rwm"]);
        assert_eq!(list, (true, vec!["b 8:* rw".to_owned()]));
        assert_eq!(exceptions(&["deny b 8:0 rwm", "allow b *:* rwm"]), (true, vec![]));
        // One open for both is allowed by two rules, as on v2.
        let list = exceptions(&["deny a *:* rwm", "allow c 1:* r", "allow c 1:3 w", "allow c *:* m"]);
        assert_eq!(list.1, ["c 1:* r", "c 1:3 rw", "c *:* m"]);
    }

    #[test]
    fn pure_what_v1_cannot_say_is_an_error() {
        for texts in [
            ["deny a *:* rwm", "allow c *:* rwm", "deny c 10:229 rwm"],
            ["deny a *:* rwm", "allow c 1:* r", "deny c *:3 r"],
            ["allow a *:* rwm", "deny b 8:* rwm", "allow b 8:1 r"],
        ] {
            let error = probe(&rules(&texts)).unwrap_err().to_string();
            assert!(error.contains(texts[2]) && error.contains("cgroup v2"), "{error}");
        }
        // Another access of the same devices is no part of it.
        probe(&rules(&["deny a *:* rwm", "allow c *:* m", "deny c 10:229 rw"])).unwrap();
    }

    #[test]
    fn pure_only_differences_are_written() {
        let (folder, dir) = fake(&[(LIST, "c 1:3 rwm\nc 1:5 rw\n"), (ALLOW, ""), (DENY, "")]);
        let text = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        write(&dir, &rules(&["deny a *:* rwm", "allow c 1:3 rwm", "allow c 1:5 r", "allow b *:* m"]))
            .unwrap();
        assert_eq!([text(DENY), text(ALLOW)], ["c 1:5 w", "b *:* m"]);
        fs::write(folder.path().join(LIST), "a *:* rwm\n").unwrap();
        for file in [ALLOW, DENY] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        write(&dir, &rules(&["deny a *:* rwm"])).unwrap();
        assert_eq!([text(DENY), text(ALLOW)], ["a *:* rwm", ""]);
        fs::write(folder.path().join(LIST), "what\n").unwrap();
        assert!(matches!(write(&dir, &rules(&["deny a *:* rwm"])), Err(Error::Parse { .. })));
    }
}
