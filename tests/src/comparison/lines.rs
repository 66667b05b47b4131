//! Two sets of facts, line by line.

use std::collections::BTreeSet;

use super::calls::{self, Answers};
use super::facts::Facts;
use super::rules;

/// How a fact of ours stands to Docker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Neither lets more happen than the other.
    Same,
    /// Ours lets less happen.
    Tighter,
    /// Ours lets more happen, or nobody can say that it does not.
    Looser,
}

impl Verdict {
    /// `Same` or `Tighter` when so, else `Looser`.
    pub(super) fn of(same: bool, tighter: bool) -> Verdict {
        match (same, tighter) {
            (true, _) => Verdict::Same,
            (false, true) => Verdict::Tighter,
            (false, false) => Verdict::Looser,
        }
    }

    /// The word of the table.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Same => "same",
            Verdict::Tighter => "tighter",
            Verdict::Looser => "looser",
        }
    }
}

/// One fact of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is about: `mounts`, `calls`, …
    pub subject: String,
    /// Which one of these.
    pub key: String,
    /// Docker's; `None` where it has no such thing.
    pub docker: Option<String>,
    /// Ours.
    pub ours: Option<String>,
    /// How ours stands to Docker's.
    pub verdict: Verdict,
}

impl Line {
    /// The line as a message.
    pub fn shown(&self) -> String {
        let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        format!("{} {}: {}, Docker's {}", self.subject, self.key, word(&self.ours), word(&self.docker))
    }
}

/// Compares what is known of us with what is known of Docker.
pub fn compare(ours: &Facts, docker: &Facts) -> Vec<Line> {
    let mut lines = plain(ours, docker);
    lines.extend(of_calls(ours, docker));
    lines.extend(of_files(ours, docker));
    lines
}

fn plain(ours: &Facts, docker: &Facts) -> Vec<Line> {
    let places: BTreeSet<_> = ours.plain.keys().chain(docker.plain.keys()).collect();
    let line = |place: &(String, String)| {
        let (theirs, own) = (docker.plain.get(place), ours.plain.get(place));
        let verdict = rules::judge(place, (theirs, docker), (own, ours));
        let (subject, key) = place.clone();
        Line { subject, key, docker: theirs.cloned(), ours: own.cloned(), verdict }
    };
    places.into_iter().map(line).collect()
}

fn of_calls(ours: &Facts, docker: &Facts) -> Vec<Line> {
    let names = calls::names();
    let line = |place: &(String, u32), own: &Answers, theirs: &Answers| {
        let pairs = [(&own.0, &theirs.0), (&own.1, &theirs.1)];
        let more = pairs.iter().any(|(own, theirs)| calls::passes(own) && !calls::passes(theirs));
        let less = pairs.iter().any(|(own, theirs)| !calls::passes(own) && calls::passes(theirs));
        let shown = |answers: &Answers| match answers {
            (zero, ones) if zero == ones => zero.clone(),
            (zero, ones) => format!("{zero} or {ones}"),
        };
        Line {
            subject: "calls".to_owned(),
            key: format!("{} {}", place.0, names.get(place).unwrap_or(&place.1.to_string())),
            docker: Some(shown(theirs)),
            ours: Some(shown(own)),
            verdict: Verdict::of(!more && !less, !more),
        }
    };
    let both = ours.calls.iter().filter_map(|(place, own)| Some((place, own, docker.calls.get(place)?)));
    both.map(|(place, own, theirs)| line(place, own, theirs)).collect()
}

/// Only what is there with us: what is not there lets nothing happen.
fn of_files(ours: &Facts, docker: &Facts) -> Vec<Line> {
    let known = docker.files.compressed();
    let line = |(path, own): (&str, super::Access)| {
        let theirs = known.at(path)?;
        Some(Line {
            subject: "files".to_owned(),
            key: path.to_owned(),
            docker: Some(theirs.word().to_owned()),
            ours: Some(own.word().to_owned()),
            verdict: Verdict::of(own == theirs, !own.exceeds(theirs)),
        })
    };
    ours.files.iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(lines: &str, calls: &str) -> Facts {
        let end = "probe arguments ok\nprobe calls ok\nprobe end ok\n";
        Facts::read(&format!("{lines}[calls]\n{calls}[end]\n{end}"))
    }

    #[test]
    fn a_call_or_a_file_that_docker_refuses_is_looser() {
        let docker = facts(
            "files r- /proc/sys/\nfiles r- /proc/\nfiles -- /proc/keys\n",
            "x86_64 40-42 allow EPERM\nx86_64 43-43 ENOSYS ENOSYS\n",
        );
        let ours = facts(
            "files rw /proc/sys/x\nfiles r- /proc/keys\nfiles -- /proc/new\nfiles r- /proc/old\n",
            "x86_64 40-40 allow EPERM\nx86_64 41-41 allow allow\nx86_64 42-42 kill kill\nx86_64 43-43 EPERM EPERM\n",
        );
        let found: Vec<_> = compare(&ours, &docker)
            .iter()
            .map(|line| (format!("{} {}", line.subject, line.key), line.verdict))
            .collect();
        for (line, verdict) in [
            ("calls x86_64 sendfile", Verdict::Same),
            ("calls x86_64 socket", Verdict::Looser),
            ("calls x86_64 connect", Verdict::Tighter),
            ("calls x86_64 accept", Verdict::Same),
            ("files /proc/sys/x", Verdict::Looser),
            ("files /proc/keys", Verdict::Looser),
            ("files /proc/new", Verdict::Tighter),
            ("files /proc/old", Verdict::Same),
        ] {
            assert!(found.contains(&(line.to_owned(), verdict)), "{line} {verdict:?} in {found:?}");
        }
    }
}
