//! Options as the runtimes before this one take them: `--name value`, `--name=value`, and the same with one dash.

/// An option.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    name: &'static str,
    short: Option<char>,
    takes_value: bool,
}

/// One that is there or not.
pub(super) const fn flag(name: &'static str, short: Option<char>) -> Flag {
    Flag { name, short, takes_value: false }
}

/// One with a value.
pub(super) const fn value(name: &'static str, short: Option<char>) -> Flag {
    Flag { name, short, takes_value: true }
}

/// What follows the first word that is no option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Options as well.
    Mixed,
    /// Words that are somebody else's.
    AsItIs,
}

/// What was said.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    said: Vec<(&'static str, String)>,
    /// The words that are no options.
    pub(super) rest: Vec<String>,
}

impl Parsed {
    /// Whether it was said, and not taken back.
    pub(super) fn has(&self, name: &str) -> bool {
        self.last(name).is_some_and(|value| value != "false")
    }

    /// Its value; the last one where there are several.
    pub(super) fn last(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }

    /// All its values.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.said.iter().filter(move |(said, _)| *said == name).map(|(_, value)| value.as_str())
    }

    /// Its value as a number.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        self.last(name)
            .map(|text| {
                text.parse().map_err(|_| format!("--{name} {text:?}: is no number, or none that fits"))
            })
            .transpose()
    }
}

/// Reads words.
pub(super) fn parse(flags: &[Flag], words: Vec<String>, rest: Rest) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            parsed.rest.extend(words);
            break;
        }
        let Some(text) = word.strip_prefix('-').filter(|text| !text.is_empty()) else {
            parsed.rest.push(word);
            if rest == Rest::AsItIs {
                parsed.rest.extend(words);
                break;
            }
            continue;
        };
        let (name, given) = match text.strip_prefix('-').unwrap_or(text).split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text.strip_prefix('-').unwrap_or(text), None),
        };
        let is_named =
            |flag: &&Flag| flag.name == name || flag.short.is_some_and(|short| name.chars().eq([short]));
        let flag = flags.iter().find(is_named).ok_or_else(|| format!("there is no option {word:?} here"))?;
        let value = match (flag.takes_value, given) {
            (_, Some(value)) => value,
            (false, None) => "true".to_owned(),
            (true, None) => words.next().ok_or_else(|| format!("--{} needs a value", flag.name))?,
        };
        if !flag.takes_value && !matches!(value.as_str(), "true" | "false") {
            return Err(format!("--{} takes no value but true and false", flag.name));
        }
        parsed.said.push((flag.name, value));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[value("bundle", Some('b')), flag("all", Some('a')), value("env", Some('e'))];

    fn read(words: &[&str], rest: Rest) -> Result<Parsed, String> {
        parse(FLAGS, words.iter().map(|word| (*word).to_owned()).collect(), rest)
    }

    #[test]
    fn pure_options_come_in_every_form() {
        for words in [["--bundle", "x"], ["-bundle", "x"], ["-b", "x"]] {
            assert_eq!(read(&words, Rest::Mixed).unwrap().last("bundle"), Some("x"), "{words:?}");
        }
        for word in ["--bundle=x=y", "-b=x=y"] {
            assert_eq!(read(&[word], Rest::Mixed).unwrap().last("bundle"), Some("x=y"));
        }
        let mixed = read(&["id", "--all", "9", "-e", "a", "-e=b", "--", "-b"], Rest::Mixed).unwrap();
        assert!(mixed.has("all"));
        assert_eq!(mixed.all("env").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(mixed.rest, ["id", "9", "-b"]);
        assert!(!read(&["--all=false"], Rest::Mixed).unwrap().has("all"));
        let command = read(&["-a", "id", "ls", "-a", "--x"], Rest::AsItIs).unwrap();
        assert_eq!(command.rest, ["id", "ls", "-a", "--x"]);
    }

    #[test]
    fn pure_what_is_none_is_named() {
        for (words, named) in [(&["--nope"][..], "--nope"), (&["-b"], "--bundle"), (&["--all=1"], "--all")] {
            assert!(read(words, Rest::Mixed).unwrap_err().contains(named));
        }
        assert!(read(&["--bundle", "x"], Rest::Mixed).unwrap().number::<u32>("bundle").is_err());
    }
}
