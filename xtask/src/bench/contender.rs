//! Who runs, and what a benchmark is made of.

use std::ffi::OsString;

/// A command line.
pub(super) type Words = Vec<OsString>;

/// Makes a command line.
pub(super) fn words<S: Into<OsString>>(words: impl IntoIterator<Item = S>) -> Words {
    words.into_iter().map(Into::into).collect()
}

/// One that is timed.
#[derive(Clone, Default)]
pub(super) struct Contender {
    pub(super) name: &'static str,
    /// A peer may be left out when it does not work here.
    pub(super) is_peer: bool,
    /// Whether it must not see the v2 mount of a hybrid layout.
    pub(super) without_v2: bool,
    /// Run once before all rounds, and not timed.
    pub(super) first: Option<Words>,
    /// Run before each round, and not timed.
    pub(super) before: Option<Words>,
    /// What is timed.
    pub(super) words: Words,
    /// What follows, each after a pause, and is timed likewise: the figure is the sum.
    pub(super) then: Vec<Words>,
    /// Run once after all rounds, whatever happened.
    pub(super) last: Option<Words>,
}

/// Stands in the words of a contender for something that must be new in each round.
pub(super) const FRESH: &str = "@round@";

/// A command line in one round.
pub(super) fn in_round(words: &[OsString], round: usize) -> Words {
    let fresh = |word: &OsString| match word.to_str() {
        Some(text) => text.replace(FRESH, &round.to_string()).into(),
        None => word.clone(),
    };
    words.iter().map(fresh).collect()
}

/// A benchmark.
pub(super) struct Suite {
    /// What is timed.
    pub(super) title: &'static str,
    pub(super) contenders: Vec<Contender>,
    /// The two that the others are measured by.
    pub(super) by: [&'static str; 2],
    /// What a reader must know to judge the figures.
    pub(super) notes: &'static str,
    /// What runs beside it, and ends with it.
    pub(super) keep: Vec<Box<dyn std::any::Any>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_has_its_own_names() {
        let line = words(["crun", "run", "tinyd-bench-@round@"]);
        assert_eq!(in_round(&line, 7), ["crun", "run", "tinyd-bench-7"]);
    }
}
