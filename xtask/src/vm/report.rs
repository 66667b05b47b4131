//! The results that come out of the guest, a line each.

use std::fmt;
use std::time::Duration;

use crate::tally::Tally;

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Failed,
    TimedOut,
    /// It said that the machine lacks something.
    Skipped,
    /// The guest ended before it had a result.
    Missing,
}

impl Outcome {
    const ALL: [Outcome; 5] =
        [Outcome::Passed, Outcome::Failed, Outcome::TimedOut, Outcome::Skipped, Outcome::Missing];

    fn word(self) -> &'static str {
        match self {
            Outcome::Passed => "ok",
            Outcome::Failed => "FAILED",
            Outcome::TimedOut => "TIMEOUT",
            Outcome::Skipped => "SKIPPED",
            Outcome::Missing => "MISSING",
        }
    }

    pub(super) fn is_fine(self) -> bool {
        matches!(self, Outcome::Passed | Outcome::Skipped)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One result: the place of the test in the list, how it ended, how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) outcome: Outcome,
    pub(super) time: Duration,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {} {}", self.number, self.outcome, self.time.as_millis())
    }
}

impl Line {
    pub(super) fn parse(text: &str) -> Option<Line> {
        let mut words = text.split(' ');
        let number = words.next()?.parse().ok()?;
        let word = words.next()?;
        let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.word() == word)?;
        let time = Duration::from_millis(words.next()?.parse().ok()?);
        words.next().is_none().then_some(Line { number, outcome, time })
    }
}

/// The whole lines of a text behind the first `seen` bytes, and how many bytes are seen then.
pub(super) fn fresh(text: &str, seen: usize) -> (Vec<Line>, usize) {
    let rest = text.get(seen..).unwrap_or_default();
    let whole = rest.rfind('\n').map_or(0, |end| end + 1);
    (rest[..whole].lines().filter_map(Line::parse).collect(), seen + whole)
}

/// The last lines: the counts, and the name of each test that did not pass.
pub(super) fn summary(tally: Tally, bad: &[(Outcome, String)]) -> String {
    let names: String = bad.iter().map(|(outcome, name)| format!("{outcome:<8}{name}\n")).collect();
    format!("{} passed, {} failed\n{names}", tally.passed, tally.failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for outcome in Outcome::ALL {
            let line = Line { number: 7, outcome, time: Duration::from_millis(1234) };
            assert_eq!(Line::parse(line.to_string().trim_end()), Some(line));
        }
        for wrong in ["", "1 ok", "1 fine 2", "x ok 2", "1 ok 2 3"] {
            assert_eq!(Line::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_line_counts_when_its_end_is_there() {
        let (lines, seen) = fresh("0 ok 5\n1 FAILED 6", 0);
        assert_eq!((lines.len(), seen), (1, 7));
        let (lines, seen) = fresh("0 ok 5\n1 FAILED 6\n", seen);
        assert_eq!((lines[0].outcome, seen), (Outcome::Failed, 18));
    }

    #[test]
    fn the_last_lines_name_what_did_not_pass() {
        let tally = Tally { passed: 93, failed: 1, flaky: 0 };
        let bad = [(Outcome::Failed, "limits::a".to_owned()), (Outcome::Skipped, "users::b".to_owned())];
        assert_eq!(summary(tally, &bad), "93 passed, 1 failed\nFAILED  limits::a\nSKIPPED users::b\n");
        assert_eq!(summary(tally, &[]), "93 passed, 1 failed\n");
    }
}
