//! What may stand next in a command line, for the completion of shells.
//!
//! A shell's script is a few lines (`complete/shells`): it gives the words up to the cursor to this program, as
//! `tinyd __complete -- WORDS…`, and offers what it is answered. So all shells offer the same, what is offered comes from the
//! parser itself, and containers, networks, volumes and secrets are those that there are at that moment.

mod line;
mod values;

use crate::app::{Load, Open};
use crate::console::Console;
use crate::globals::{self, Given, Globals, Split};
use crate::settings::Settings;
use line::Line;
use std::fmt::Write as _;
use tinyd_engine::Engine;
use values::Values;

/// The word that scripts call.
pub(crate) const VERB: &str = "__complete";

/// What may stand at the cursor.
#[derive(Debug, Default, PartialEq, Eq)]
struct Offer {
    /// Words, and what they are.
    words: Vec<(String, String)>,
    files: Files,
}

/// What the shell adds of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Files {
    #[default]
    None,
    All,
    Folders,
}

/// Answers a script: a line for each word, with a tab before what it is; in the last line, which files may stand there as well.
pub(crate) fn run(words: &[String], console: Console<'_>, load: Load<'_>, open: Open<'_>) -> u8 {
    let words = words.strip_prefix(&["--".to_owned()]).unwrap_or(words);
    let given = match globals::split(words) {
        Split::Verb(given, ..) => given,
        Split::Unclear => Given::default(),
    };
    // Where there is no engine to be asked, or a wrong setting, what needs none is offered all the same.
    let engine = || -> Option<Box<dyn Engine>> {
        let settings = load(given.config.as_deref()).unwrap_or_else(|_| Settings::default());
        open(&Globals::new(given.clone(), settings)).ok()
    };
    let text = offer(words, &engine).text();
    match console.print(&text) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

/// What may stand in the place of the last word.
fn offer(words: &[String], engine: &dyn Fn() -> Option<Box<dyn Engine>>) -> Offer {
    let Some((current, before)) = words.split_last() else { return Offer::default() };
    let root = crate::cmd::root();
    let line = Line::read(&root, before);
    let values = Values { path: &line.path, engine };
    let mut offer = match (&line.awaited, current.split_once('=')) {
        (Some(option), _) => values.of(option),
        (None, Some((name, _))) if name.starts_with("--") && !line.options_ended => match line.long(name) {
            Some(option) => values.of(option).behind(&format!("{name}=")),
            None => Offer::default(),
        },
        _ if current.starts_with('-') && !line.options_ended => line.options(),
        _ => match line.positional() {
            Some(line::Positional::Argument(argument)) => values.of(argument),
            Some(line::Positional::Word(name)) => values.named(name),
            None => line.verbs(),
        },
    };
    offer.words.retain(|(word, _)| word.starts_with(current.as_str()));
    offer
}

impl Offer {
    /// The same words behind what stands already.
    fn behind(mut self, prefix: &str) -> Self {
        self.words.iter_mut().for_each(|(word, _)| word.insert_str(0, prefix));
        self
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (word, what) in &self.words {
            let what = what.lines().next().unwrap_or_default().replace('\t', " ");
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{word}\t{what}");
        }
        text.push_str(match self.files {
            Files::None => ":none\n",
            Files::All => ":files\n",
            Files::Folders => ":folders\n",
        });
        text
    }
}

#[cfg(test)]
mod tests;
