//! Which of two mounts lets more happen.

use super::lines::Verdict;

/// What [`super::facts`] keeps of a mount: `tmpfs rw,nosuid,nodev private size=65536k`.
#[derive(Debug, PartialEq, Eq)]
struct Mount<'a> {
    kind: &'a str,
    options: Vec<&'a str>,
    propagation: &'a str,
    bounds: Vec<&'a str>,
}

impl<'a> Mount<'a> {
    fn read(text: &'a str) -> Option<Mount<'a>> {
        let mut words = text.split(' ');
        let (kind, options) = (words.next()?, words.next()?);
        let (propagation, bounds) = (words.next()?, words.next()?);
        let list = |text: &'a str| text.split(',').filter(|word| *word != "-").collect();
        Some(Mount { kind, options: list(options), propagation, bounds: list(bounds) })
    }

    fn has(&self, option: &str) -> bool {
        self.options.contains(&option) || (option == "ro" && self.bounds.contains(&"ro"))
    }

    /// Bytes that may be put there; `None` where nothing says so.
    fn size(&self) -> Option<u64> {
        let text = self.bounds.iter().find_map(|word| word.strip_prefix("size="))?;
        text.strip_suffix('k')?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
    }
}

/// What takes rights away where it is set. (Times of access, and the like, are no matter of safety.)
const STRICT: [&str; 4] = ["ro", "nosuid", "nodev", "noexec"];

/// Whether the mount that we have above takes away what Docker's below it takes away.
pub(super) fn is_as_strict(docker: &str, ours: &str) -> bool {
    let both = Mount::read(docker).zip(Mount::read(ours));
    both.is_some_and(|(theirs, ours)| STRICT.iter().all(|option| ours.has(option) || !theirs.has(option)))
}

/// Compares two mounts at one place. What cannot be written to needs no bounds.
pub(super) fn judge(docker: &str, ours: &str) -> Verdict {
    let (Some(theirs), Some(ours)) = (Mount::read(docker), Mount::read(ours)) else {
        return Verdict::of(docker == ours, false);
    };
    let rank =
        |mount: &Mount<'_>| ["private", "slave", "shared"].iter().position(|word| *word == mount.propagation);
    let unbounded =
        !ours.has("ro") && theirs.size().is_some_and(|most| ours.size().is_none_or(|size| size > most));
    // Which version of control groups there is, and what the engine's own files lie on, is the machine's matter.
    let both_of = |kinds: &[&str]| [&theirs, &ours].iter().all(|mount| kinds.contains(&mount.kind));
    let alike =
        theirs.kind == ours.kind || both_of(&["tmpfs", "cgroup", "cgroup2"]) || both_of(&["disk", "tmpfs"]);
    let looser = !alike
        || STRICT.iter().any(|option| theirs.has(option) && !ours.has(option))
        || rank(&ours) > rank(&theirs)
        || unbounded;
    let same = rank(&ours) == rank(&theirs)
        && theirs.size() == ours.size()
        && STRICT.iter().all(|option| theirs.has(option) == ours.has(option));
    match (looser, same) {
        (true, _) => Verdict::Looser,
        (false, true) => Verdict::Same,
        (false, false) => Verdict::Tighter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_less_or_a_host_that_sees_in_is_looser() {
        let docker = "tmpfs rw,nosuid,nodev,relatime private size=64k";
        for (ours, verdict) in [
            ("tmpfs rw,nosuid,nodev private size=64k,mode=755", Verdict::Same),
            ("tmpfs ro,nosuid,nodev private -", Verdict::Tighter),
            ("tmpfs rw,nosuid,nodev,noexec private size=64k", Verdict::Tighter),
            ("tmpfs rw,nosuid private size=64k", Verdict::Looser),
            ("tmpfs rw,nosuid,nodev shared size=64k", Verdict::Looser),
            ("tmpfs rw,nosuid,nodev private size=65k", Verdict::Looser),
            ("tmpfs rw,nosuid,nodev private -", Verdict::Looser),
            ("proc rw,nosuid,nodev private size=64k", Verdict::Looser),
        ] {
            assert_eq!(judge(docker, ours), verdict, "{ours}");
        }
    }
}
