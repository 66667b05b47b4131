//! From a command line to an exit code.

use crate::argv;
use crate::cmd::{self, Context, Entry};
use crate::complete;
use crate::console::Console;
use crate::failure::{Codes, Failure, Outcome};
use crate::globals::{self, Given, Globals, Split};
use crate::settings::Settings;
use clap::error::ErrorKind;
use std::ffi::OsString;
use std::path::Path;
use tinyd_engine::Engine;

/// Opens an engine in the places that were named.
pub(crate) type Open<'a> = &'a dyn Fn(&Globals) -> tinyd_engine::Result<Box<dyn Engine>>;

/// Reads what was set elsewhere than on the command line, in the file that was named or the usual one.
pub(crate) type Load<'a> = &'a dyn Fn(Option<&Path>) -> Result<Settings, Failure>;

/// Runs the command line (without the program's name) and returns the exit code.
pub(crate) fn run(arguments: Vec<OsString>, console: Console<'_>, load: Load<'_>, open: Open<'_>) -> u8 {
    let (words, wrong) = utf8(arguments);
    let Split::Verb(given, verb, rest) = globals::split(&words) else { return whole(&words, wrong, console) };
    let Some(entry) = cmd::find(&verb) else {
        return match verb.as_str() {
            "help" => help(&rest, console),
            complete::VERB => complete::run(&rest, console, load, open),
            // The word that other engines re-execute themselves with; ours is a program of its own.
            "init" => complain(console, "init: internal, not to be called by hand", 1),
            _ => whole(&words, wrong, console),
        };
    };
    match wrong {
        Some(wrong) => complain(console, &wrong, entry.codes.usage()),
        None => execute(entry, rest, given, console, load, open),
    }
}

/// Parses with the verb's own parser, and does it.
fn execute(
    entry: &Entry,
    rest: Vec<String>,
    given: Given,
    console: Console<'_>,
    load: Load<'_>,
    open: Open<'_>,
) -> u8 {
    let mut command = entry.command();
    let words = argv::normalise(&command, entry.form, rest);
    let mut matches = match command.try_get_matches_from_mut(words) {
        Ok(matches) => matches,
        Err(error) => return answer(&error, entry.name, entry.codes, console),
    };
    let done = || -> Outcome {
        let settings = load(given.config.as_deref())?;
        let globals = Globals::new(given, settings);
        (entry.run)(&mut matches, &Context { console, globals: &globals, open: &|| open(&globals) })
    };
    match done() {
        Ok(code) => code,
        Err(failure) => {
            if let Some(line) = failure.line() {
                console.tell(&line);
            }
            entry.codes.of(&failure)
        }
    }
}

/// Lets the whole parser say what is wrong with a command line that has no verb, or give the help that it asks for.
fn whole(words: &[String], wrong: Option<String>, console: Console<'_>) -> u8 {
    if let Some(wrong) = wrong {
        return complain(console, &wrong, 2);
    }
    match cmd::root().try_get_matches_from(words) {
        Ok(_) => complain(console, "no verb given; see 'tinyd --help'", 2),
        Err(error) => answer(&error, "", Codes::Management, console),
    }
}

/// `help`, `help VERB`, `help VERB SUBVERB`.
fn help(path: &[String], console: Console<'_>) -> u8 {
    let mut command = match path.first() {
        None => cmd::root(),
        Some(verb) => match cmd::find(verb) {
            Some(entry) => entry.command(),
            None => return complain(console, &format!("no verb '{verb}'; see 'tinyd --help'"), 2),
        },
    };
    command.build();
    let mut here = &mut command;
    for word in path.iter().skip(1) {
        here = match here.find_subcommand_mut(word) {
            Some(found) => found,
            None => {
                return complain(console, &format!("no verb '{}'; see 'tinyd --help'", path.join(" ")), 2);
            }
        };
    }
    let text = here.render_long_help().to_string();
    print(console, &text)
}

/// Prints what the parser has to say: help to standard output, complaints as one line to standard error.
fn answer(error: &clap::Error, verb: &str, codes: Codes, console: Console<'_>) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => print(console, &error.to_string()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = crate::console::write_all(console.stderr, error.to_string().as_bytes());
            codes.usage()
        }
        _ => complain(console, &one_line(&error.to_string(), verb), codes.usage()),
    }
}

fn print(console: Console<'_>, text: &str) -> u8 {
    match console.print(text) {
        Ok(()) => 0,
        Err(failure) => complain(console, &failure.line().unwrap_or_default(), 1),
    }
}

fn complain(console: Console<'_>, line: &str, code: u8) -> u8 {
    console.tell(line);
    code
}

/// The parser's paragraphs as one line: the complaint, its tips in parentheses, and where help is.
fn one_line(text: &str, verb: &str) -> String {
    let mut line = String::new();
    let mut tips = String::new();
    for paragraph in text.trim().split("\n\n") {
        let flat = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(complaint) = flat.strip_prefix("error: ") {
            line.push_str(complaint);
        } else if flat.starts_with("tip: ") {
            tips.push_str(&format!(" ({})", flat.replace("tip: ", "")));
        }
    }
    let gap = if verb.is_empty() { "" } else { " " };
    format!("{line}{tips}; see 'tinyd{gap}{verb} --help'")
}

/// The arguments as text, and the complaint about the first that is none. What runs in a container is passed on as JSON,
/// which cannot hold other bytes.
fn utf8(arguments: Vec<OsString>) -> (Vec<String>, Option<String>) {
    let mut wrong = None;
    let words = arguments.into_iter().enumerate().map(|(index, word)| {
        word.into_string().unwrap_or_else(|word| {
            let text = word.to_string_lossy().into_owned();
            wrong.get_or_insert_with(|| format!("argument {} is not valid UTF-8: {text}", index + 1));
            text
        })
    });
    (words.collect(), wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn complaints_are_one_line_with_the_verbs_code() {
        for (line, code, said) in [
            ("run --naem c1 host true", 125, "unexpected argument '--naem' found"),
            ("run --cpu 9999 host true", 125, "10000"),
            ("run --mem 1x host true", 125, "100m"),
            ("run --cpu 10000 --cpus 1 host true", 125, "cannot be used with"),
            ("exec -x c1 true", 125, "unexpected argument"),
            ("stop --nonsense", 2, "unexpected argument"),
            ("stop", 2, "required arguments were not provided: <CONTAINER>"),
            ("frobnicate", 2, "unrecognized subcommand 'frobnicate'"),
            ("--nonsense ps", 2, "unexpected argument"),
            ("init", 1, "internal, not to be called by hand"),
            ("help frobnicate", 2, "no verb 'frobnicate'"),
        ] {
            let bench = Bench::new();
            let done = bench.run(line);
            assert_eq!(done.code, code, "{line}: {}", done.stderr);
            assert!(done.stderr.contains(said), "{line}: {}", done.stderr);
            assert!(done.stderr.starts_with("tinyd: "), "{line}: {}", done.stderr);
            assert_eq!(done.stderr.lines().count(), 1, "{line}: {}", done.stderr);
            assert_eq!(done.stdout, "", "{line}");
            assert!(bench.engine.calls().is_empty(), "{line}: the engine was asked");
        }
    }

    #[test]
    fn a_similar_option_is_named() {
        let done = Bench::new().run("run --naem c1 host true");
        assert!(
            done.stderr.contains("--name") && done.stderr.contains("see 'tinyd run --help'"),
            "{}",
            done.stderr
        );
    }

    #[test]
    fn help_is_data() {
        for line in
            ["--help", "help", "run --help", "help run", "help system check", "ps -h", "system check --help"]
        {
            let done = Bench::new().run(line);
            assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{line}");
            assert!(done.stdout.contains("Usage: tinyd"), "{line}: {}", done.stdout);
            let hidden = done.stdout.lines().any(|shown| shown.trim_start().starts_with("init "));
            assert!(!hidden, "{line} shows a hidden word");
        }
        let done = Bench::new().run("run --help");
        for option in ["--it", "--volume", "-i IMAGE", "--network", "--name", "--cpu", "--mem", "Examples:"] {
            assert!(done.stdout.contains(option), "no {option} in {}", done.stdout);
        }
        assert_eq!(Bench::new().run("--version").stdout, format!("tinyd {}\n", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn every_verb_has_examples() {
        for entry in cmd::ENTRIES {
            let help = Bench::new().run(&format!("help {}", entry.name)).stdout;
            assert!(help.contains("Examples:"), "{}: {help}", entry.name);
            entry.command().debug_assert();
        }
        cmd::root().debug_assert();
    }

    #[test]
    fn other_bytes_are_refused_by_their_place() {
        let words = vec!["run".into(), "host".into(), OsString::from_vec(vec![b'e', 0xe9])];
        let done = Bench::new().run_words(words);
        assert_eq!(done.code, 125);
        assert!(done.stderr.contains("argument 3 is not valid UTF-8"), "{}", done.stderr);
    }
}
