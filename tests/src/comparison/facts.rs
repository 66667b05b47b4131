//! All that the probe said.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use super::calls::{self, Calls};
use super::files::{Access, Files};

/// The facts of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// By subject and key, what is neither a file nor a system call.
    pub(super) plain: BTreeMap<(String, String), String>,
    pub(super) calls: Calls,
    pub(super) files: Files,
}

/// The last lines of a probe that came to its end.
const WHOLE: [&str; 3] = ["arguments", "calls", "end"];

impl Facts {
    /// Reads what the probe printed, or what [`Facts::text`] made of it.
    ///
    /// # Panics
    /// When a line is not one of the probe's, or the end is missing.
    #[track_caller]
    pub fn read(text: &str) -> Facts {
        let mut facts = Facts::default();
        let mut in_calls = false;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line {
                "[calls]" => in_calls = true,
                "[end]" => in_calls = false,
                _ if in_calls => {
                    calls::read_line(&mut facts.calls, line)
                        .unwrap_or_else(|| panic!("no line of calls: {line}"));
                }
                _ => facts.read_line(line).unwrap_or_else(|| panic!("no line of the probe: {line}")),
            }
        }
        for key in WHOLE {
            let said = facts.plain.remove(&("probe".to_owned(), key.to_owned()));
            assert_eq!(said.as_deref(), Some("ok"), "the probe did not come to its end ({key})");
        }
        facts.forget_the_id();
        facts
    }

    fn read_line(&mut self, line: &str) -> Option<()> {
        let (subject, rest) = line.split_once(' ')?;
        let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
        if subject == "files" {
            self.files.insert(value, Access::from_word(key)?);
            return Some(());
        }
        let mut place = (subject.to_owned(), key.to_owned());
        // Mounts may lie over each other.
        while self.plain.contains_key(&place) {
            place.1.push('+');
        }
        self.plain.insert(place, value.trim_end().to_owned());
        Some(())
    }

    /// A host name that is the start of an id is another one in each container.
    fn forget_the_id(&mut self) {
        for value in self.plain.values_mut() {
            if value.len() == 12 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                "the-id".clone_into(value);
            }
        }
    }

    /// Adds a fact that was learned from outside.
    pub fn add(&mut self, subject: &str, key: &str, value: &str) {
        self.plain.insert((subject.to_owned(), key.to_owned()), value.to_owned());
    }

    /// Says of each limit that is the caller's that it is inherited: other machines have others.
    #[must_use]
    pub fn without_limits_of(mut self, own: &Limits) -> Facts {
        for ((_, key), value) in self.plain.iter_mut().filter(|((subject, _), _)| subject == "limits") {
            if own.0.get(key) == Some(value) {
                "inherited".clone_into(value);
            } else if own.0.get(&key.replace("-soft", "-hard")) == Some(value) {
                "inherited-hard".clone_into(value);
            }
        }
        self
    }

    /// Puts the caller's own limits in place of what is inherited.
    #[must_use]
    pub fn with_limits_of(mut self, own: &Limits) -> Facts {
        for ((_, key), value) in self.plain.iter_mut().filter(|((subject, _), _)| subject == "limits") {
            let hard = key.replace("-soft", "-hard");
            let inherited = match value.as_str() {
                "inherited" => own.0.get(key),
                "inherited-hard" => own.0.get(&hard),
                _ => None,
            };
            if let Some(own) = inherited {
                value.clone_from(own);
            }
        }
        self
    }

    /// The facts as lines, in a fixed order, the files as few as possible.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for ((subject, key), value) in &self.plain {
            let _ =
                writeln!(text, "{}", format!("{subject} {} {value}", key.trim_end_matches('+')).trim_end());
        }
        for (path, access) in self.files.compressed().iter() {
            let _ = writeln!(text, "files {} {path}", access.word());
        }
        text.push_str("[calls]\n");
        calls::lines(&self.calls).iter().for_each(|line| text.push_str(&format!("{line}\n")));
        text.push_str("[end]\n");
        WHOLE.iter().for_each(|key| text.push_str(&format!("probe {key} ok\n")));
        text
    }
}

/// The limits of a process, by the probe's names for them.
#[derive(Debug, Clone, Default)]
pub struct Limits(BTreeMap<String, String>);

/// The probe's names for the lines of `/proc/self/limits`.
const LIMITS: [(&str, &str); 16] = [
    ("Max address space", "AS"),
    ("Max core file size", "CORE"),
    ("Max cpu time", "CPU"),
    ("Max data size", "DATA"),
    ("Max file size", "FSIZE"),
    ("Max file locks", "LOCKS"),
    ("Max locked memory", "MEMLOCK"),
    ("Max msgqueue size", "MSGQUEUE"),
    ("Max nice priority", "NICE"),
    ("Max open files", "NOFILE"),
    ("Max processes", "NPROC"),
    ("Max resident set", "RSS"),
    ("Max realtime priority", "RTPRIO"),
    ("Max realtime timeout", "RTTIME"),
    ("Max pending signals", "SIGPENDING"),
    ("Max stack size", "STACK"),
];

impl Limits {
    /// Those of this process.
    ///
    /// # Panics
    /// When `/proc` is not there.
    pub fn own() -> Limits {
        Limits::read(&fs::read_to_string("/proc/self/limits").expect("/proc is mounted"))
    }

    fn read(text: &str) -> Limits {
        let mut limits = BTreeMap::new();
        for line in text.lines() {
            let Some((title, name)) = LIMITS.iter().find(|(title, _)| line.starts_with(title)) else {
                continue;
            };
            let mut values = line[title.len()..].split_whitespace();
            for end in ["soft", "hard"] {
                limits.insert(format!("{name}-{end}"), values.next().unwrap_or_default().to_owned());
            }
        }
        Limits(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: &str =
        "[calls]\nx86_64 0-3 allow allow\n[end]\nprobe arguments ok\nprobe calls ok\nprobe end ok\n";

    #[test]
    fn what_was_read_is_written_and_read_again() {
        let text =
            format!("mounts / overlay rw\nmounts / tmpfs ro\nstatus Groups \nfiles r- /proc/a b\n{END}");
        let facts = Facts::read(&text);
        assert_eq!(facts.plain[&("mounts".into(), "/+".into())], "tmpfs ro");
        assert_eq!(Facts::read(&facts.text()).text(), facts.text());
    }

    #[test]
    #[should_panic = "did not come to its end"]
    fn a_probe_that_was_cut_short_says_nothing() {
        let _ = Facts::read("status Umask 0022\n");
    }

    #[test]
    fn limits_are_the_callers_own_or_they_are_numbers() {
        let own = Limits::read("Max open files            1024                 20000                files\n");
        let text = format!("limits NOFILE-soft 20000\nlimits NOFILE-hard 20000\nlimits CPU-soft 5\n{END}");
        let kept = Facts::read(&text).without_limits_of(&own);
        let value = |facts: &Facts, key: &str| facts.plain[&("limits".to_owned(), key.to_owned())].clone();
        assert_eq!(value(&kept, "NOFILE-soft"), "inherited-hard");
        assert_eq!(value(&kept, "NOFILE-hard"), "inherited");
        assert_eq!(value(&kept, "CPU-soft"), "5");
        let other = Limits::read("Max open files            10                 30                files\n");
        assert_eq!(value(&kept.with_limits_of(&other), "NOFILE-soft"), "30");
        assert!(Limits::own().0.contains_key("STACK-hard"));
    }
}
