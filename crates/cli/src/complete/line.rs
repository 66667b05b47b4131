//! Where a command line stands: at which verb, behind which words.

use super::{Files, Offer};
use crate::argv::Form;
use crate::cmd;
use clap::{Arg, Command};

/// A command line up to its last word.
pub(super) struct Line<'a> {
    command: &'a Command,
    /// The verb, and the verb below it.
    pub(super) path: Vec<&'a str>,
    form: Form,
    /// Words that were no options, behind the verb.
    taken: usize,
    /// The option whose value comes next.
    pub(super) awaited: Option<&'a Arg>,
    /// No more options: they are those of another command.
    pub(super) options_ended: bool,
}

/// What stands at a place behind the verb.
pub(super) enum Positional<'a> {
    Argument(&'a Arg),
    /// One of several words that the parser takes together, by its name.
    Word(&'a str),
}

impl<'a> Line<'a> {
    /// Reads the words before the cursor.
    pub(super) fn read(root: &'a Command, words: &[String]) -> Self {
        let mut line = Self {
            command: root,
            path: Vec::new(),
            form: Form::Mixed,
            taken: 0,
            awaited: None,
            options_ended: false,
        };
        words.iter().for_each(|word| line.take(word));
        line
    }

    fn take(&mut self, word: &str) {
        if self.awaited.take().is_some() {
            return;
        }
        if !self.options_ended && word.starts_with('-') && word != "-" {
            match word {
                "--" => self.options_ended = true,
                _ => self.awaited = self.option(word),
            }
            return;
        }
        if let Some(below) = self.command.find_subcommand(word).filter(|_| self.taken == 0) {
            if self.path.is_empty() {
                self.form = cmd::find(below.get_name()).map_or(Form::Mixed, |entry| entry.form);
            }
            self.path.push(below.get_name());
            self.command = below;
            return;
        }
        self.taken += 1;
        self.options_ended |= self.form != Form::Mixed;
    }

    /// The option that a word is, if its value is the next word.
    fn option(&self, word: &str) -> Option<&'a Arg> {
        let found = match word.strip_prefix("--") {
            Some(long) if long.contains('=') => None,
            Some(_) => self.long(word),
            None => {
                // `-i IMAGE` and `-i` are not told apart here: an image is not offered behind it.
                let last = word.chars().last()?;
                self.command.get_arguments().find(|option| option.get_short() == Some(last))
            }
        };
        found.filter(|option| option.get_action().takes_values() && !option.is_require_equals_set())
    }

    /// The option of that name, with its hyphens.
    pub(super) fn long(&self, name: &str) -> Option<&'a Arg> {
        let name = name.strip_prefix("--")?;
        self.command.get_arguments().find(|option| {
            option.get_long() == Some(name) || option.get_all_aliases().is_some_and(|all| all.contains(&name))
        })
    }

    /// The options that there are.
    pub(super) fn options(&self) -> Offer {
        let shown = self.command.get_arguments().filter(|option| !option.is_hide_set());
        let words = shown.filter_map(|option| {
            let help = option.get_help().map(ToString::to_string).unwrap_or_default();
            option.get_long().map(|long| (format!("--{long}"), help))
        });
        let mut words: Vec<_> = words.collect();
        words.push(("--help".to_owned(), "Print help".to_owned()));
        Offer { words, files: Files::None }
    }

    /// The verbs that may stand here.
    pub(super) fn verbs(&self) -> Offer {
        let shown = self.command.get_subcommands().filter(|verb| !verb.is_hide_set() && self.taken == 0);
        let words = shown.map(|verb| {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            (verb.get_name().to_owned(), about)
        });
        Offer { words: words.collect(), files: Files::None }
    }

    /// What stands at the cursor, where that is no verb.
    pub(super) fn positional(&self) -> Option<Positional<'a>> {
        let positionals: Vec<_> = self.command.get_positionals().collect();
        let argument = *positionals.get(self.taken).or_else(|| {
            let last = positionals.last();
            last.filter(|last| last.get_num_args().is_some_and(|count| count.max_values() > 1))
        })?;
        // `CONTAINER COMMAND`: names of several words.
        let names = argument.get_value_names()?.first()?;
        let mut parts = names.split(' ');
        match (names.contains(' '), parts.nth(self.taken).or_else(|| names.split(' ').next_back())) {
            (true, Some(name)) => Some(Positional::Word(name)),
            _ => Some(Positional::Argument(argument)),
        }
    }
}
