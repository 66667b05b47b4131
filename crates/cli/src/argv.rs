//! The pass over the arguments before clap.
//!
//! Two habits meet here: Docker's (`run -it IMAGE CMD`) and tinyd's own (`run -i IMAGE --cpu 10000 CMD`), with long names
//! after one dash (`-name c1`). The pass turns both into one spelling, `--long=value`, and puts `--` before the first
//! positional, so that no option of the container's command is ever taken for one of ours:
//!
//! | written | becomes |
//! |---|---|
//! | `-it`, `-ti`, `--it` | `--interactive --tty` |
//! | `-i /root/redis` (no image seen) | `--image=/root/redis` |
//! | `-i --rm`, `-i` in a cluster | `--interactive` |
//! | `-name c1`, `-net none`, `-mem 1m`, `-cpu 10000` | `--name=c1`, … |
//! | `--pids-limit -1` | `--pids-limit=-1` |
//! | `-m 100m host stress -m 1` | `--memory=100m -- host stress -m 1` |
//!
//! What it does not know it leaves as it is: the parser knows how to complain.

pub(crate) mod image;
mod options;

use options::{Known, Options};

/// How a verb's arguments are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Options and positionals may mix, as the parser has it.
    Mixed,
    /// Options end at the first positional; `-it` and its like are known.
    Command,
    /// As `Command`, and `-i IMAGE` names an image.
    Image,
}

/// Long names that are known after one dash as well. They are listed because others would be ambiguous (`-env` is
/// `-e nv`).
const ONE_DASH: &[&str] = &["name", "net", "mem", "cpu", "cpushare", "cpuset"];

/// Rewrites the arguments that follow the verb.
pub(crate) fn normalise(command: &clap::Command, form: Form, words: Vec<String>) -> Vec<String> {
    if form == Form::Mixed {
        return words;
    }
    let mut pass = Pass {
        options: Options::new(command),
        form,
        image_seen: false,
        done: Vec::with_capacity(words.len() + 2),
    };
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        if word == "--" {
            pass.done.push(word);
            break;
        }
        if !word.starts_with('-') || word == "-" {
            pass.done.extend(["--".to_owned(), word]);
            break;
        }
        pass.option(word, &mut words);
    }
    pass.done.extend(words);
    pass.done
}

type Words = std::iter::Peekable<std::vec::IntoIter<String>>;

struct Pass<'a> {
    options: Options<'a>,
    form: Form,
    image_seen: bool,
    done: Vec<String>,
}

impl Pass<'_> {
    /// One option with its value.
    fn option(&mut self, word: String, words: &mut Words) {
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = parts(long);
            if name == "it" && value.is_none() {
                self.flags(&["interactive", "tty"]);
            } else if let Some(known) = self.options.long(name) {
                self.take(known, value.map(str::to_owned), words);
            } else {
                self.done.push(word);
            }
            return;
        }
        let (name, value) = parts(&word[1..]);
        if name == "i" && self.form == Form::Image && !self.image_seen {
            let image = match value {
                Some(value) => Some(value.to_owned()),
                None => words.next_if(|next| !next.starts_with('-')),
            };
            match image {
                Some(image) => {
                    self.image_seen = true;
                    self.done.push(format!("--image={image}"));
                }
                None => self.flags(&["interactive"]),
            }
        } else if let Some(known) = ONE_DASH.contains(&name).then(|| self.options.long(name)).flatten() {
            self.take(known, value.map(str::to_owned), words);
        } else {
            self.cluster(word, words);
        }
    }

    /// Short options in one word: flags, the last of which may take a value.
    fn cluster(&mut self, word: String, words: &mut Words) {
        let mut found = Vec::new();
        for (at, letter) in word[1..].char_indices() {
            let Some(known) = self.options.short(letter) else {
                self.done.push(word);
                return;
            };
            let rest = &word[1 + at + letter.len_utf8()..];
            if known.takes_value && !rest.is_empty() {
                let value = rest.strip_prefix('=').unwrap_or(rest).to_owned();
                found.push((known, Some(value)));
                break;
            }
            found.push((known, None));
        }
        for (known, value) in found {
            self.take(known, value, words);
        }
    }

    /// Writes an option down, with its value from the same word or the next.
    fn take(&mut self, known: Known<'_>, inline: Option<String>, words: &mut Words) {
        self.image_seen |= known.long == "image";
        let value = inline.or_else(|| if known.takes_value { words.next() } else { None });
        self.done.push(match value {
            Some(value) => format!("--{}={value}", known.long),
            None => format!("--{}", known.long),
        });
    }

    fn flags(&mut self, names: &[&str]) {
        self.done.extend(names.iter().map(|name| format!("--{name}")));
    }
}

/// The name, and the value after an equals sign.
fn parts(word: &str) -> (&str, Option<&str>) {
    match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    }
}

#[cfg(test)]
mod tests;
