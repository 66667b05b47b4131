//! What the fuzz targets of `fuzz/` call: the reading of command lines. No part of any interface.

use crate::argv;
use crate::cmd::{self, Entry};
use crate::opts::ContainerOptions;
use crate::settings::Settings;
use clap::FromArgMatches as _;
use tinyd_engine::ContainerSpec;

/// The words after the verb as the parser gets them; `None` where there is no such verb.
pub fn normalise(verb: &str, words: Vec<String>) -> Option<Vec<String>> {
    cmd::find(verb).map(|entry| normalised(entry, words))
}

fn normalised(entry: &Entry, words: Vec<String>) -> Vec<String> {
    argv::normalise(&entry.command(), entry.form, words)
}

/// Parses a command line of any verb, but does nothing of what it says. Tells whether it was understood.
pub fn is_understood(verb: &str, words: Vec<String>) -> bool {
    cmd::find(verb).is_some_and(|entry| {
        let words = normalised(entry, words);
        entry.command().try_get_matches_from_mut(words).is_ok()
    })
}

/// The container that the words after `create` ask for. `None` where they are not understood, and where they name files
/// whose content is part of the request: a fuzzer must not read whatever it thinks of.
pub fn container(words: Vec<String>) -> Option<ContainerSpec> {
    let entry = cmd::find("create")?;
    let words = normalised(entry, words);
    let mut matches = entry.command().try_get_matches_from_mut(words).ok()?;
    let options = ContainerOptions::from_arg_matches_mut(&mut matches).ok()?;
    if options.reads_files() {
        return None;
    }
    options.into_spec(&Settings::default()).ok().map(|wanted| wanted.spec)
}
