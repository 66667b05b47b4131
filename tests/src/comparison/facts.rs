//! All that the probe said.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::calls::{self, Calls};
use super::files::{Access, Files};
use super::host::Host;

/// The facts of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// By subject and key, what is neither a file nor a system call.
    pub(super) plain: BTreeMap<(String, String), String>,
    pub(super) calls: Calls,
    pub(super) files: Files,
}

const INHERITED: &str = "inherited";

/// A soft limit that was raised to the caller's hard one.
const INHERITED_HARD: &str = "inherited-hard";

fn hard((subject, key): &(String, String)) -> (String, String) {
    (subject.clone(), key.replace("-soft", "-hard"))
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

    /// Says of each fact that is as it is with the caller that it is inherited: on other machines it is another.
    #[must_use]
    pub fn without_what_is_of(mut self, host: &Host) -> Facts {
        for (place, value) in &mut self.plain {
            if host.0.get(place) == Some(value) {
                INHERITED.clone_into(value);
            } else if host.0.get(&hard(place)) == Some(value) {
                INHERITED_HARD.clone_into(value);
            }
        }
        self
    }

    /// Puts what is so with the caller in place of what is inherited.
    #[must_use]
    pub fn with_what_is_of(mut self, host: &Host) -> Facts {
        for (place, value) in &mut self.plain {
            let inherited = match value.as_str() {
                INHERITED => host.0.get(place),
                INHERITED_HARD => host.0.get(&hard(place)),
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
}
