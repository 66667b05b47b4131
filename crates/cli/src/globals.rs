//! The options that stand before the verb. They are read by hand, so that a start builds the parser of its own verb and
//! no other; whatever is out of the ordinary goes to the whole parser, which words the complaint.

use crate::settings::Settings;
use crate::settings::schema::{self, Setting};
use std::path::PathBuf;

/// Where the engine lives, and what a command goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Globals {
    /// What lasts.
    pub(crate) root: PathBuf,
    /// What a reboot ends.
    pub(crate) run_root: PathBuf,
    /// The daemon that is asked, as it was written; where nothing was, the one that listens here, or the engine of this process.
    pub(crate) host: Option<String>,
    /// The program that starts containers; the engine looks for it when there is none.
    pub(crate) runtime: Option<PathBuf>,
    /// How many containers there may be, as it was written; the engine's default when nothing was.
    pub(crate) max_containers: Option<String>,
    /// The option that says how an engine works, where one was given: it says nothing to a daemon's. (What is set may mean the
    /// engine of this process.)
    pub(crate) of_engine: Option<&'static str>,
    /// What was said elsewhere than on the command line.
    pub(crate) settings: Settings,
}

/// The options, as they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) config: Option<PathBuf>,
    root: Option<PathBuf>,
    run_root: Option<PathBuf>,
    runtime: Option<PathBuf>,
    host: Option<PathBuf>,
    max_containers: Option<String>,
}

/// The command line, taken apart at the verb.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Split {
    /// The options, the verb and what follows it.
    Verb(Given, String, Vec<String>),
    /// There is no verb where one should be: for the whole parser.
    Unclear,
}

/// Takes a command line apart.
pub(crate) fn split(arguments: &[String]) -> Split {
    let mut given = Given::default();
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        if !word.starts_with('-') {
            return Split::Verb(given, word.clone(), rest.cloned().collect());
        }
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.as_str(), None),
        };
        if name == "--max-containers" {
            match inline.or_else(|| rest.next().map(String::as_str)) {
                Some(value) if value.parse::<i64>().is_ok() => given.max_containers = Some(value.to_owned()),
                _ => return Split::Unclear,
            }
            continue;
        }
        let slot = match name {
            "--config" => &mut given.config,
            "--root" => &mut given.root,
            "--run-root" => &mut given.run_root,
            "--runtime" => &mut given.runtime,
            "-H" | "--host" => &mut given.host,
            _ => return Split::Unclear,
        };
        let value = inline.or_else(|| rest.next().map(String::as_str)).filter(|value| !value.is_empty());
        match value {
            Some(value) => *slot = Some(PathBuf::from(value)),
            None => return Split::Unclear,
        }
    }
    Split::Unclear
}

impl Globals {
    /// The options, and behind them what was set.
    pub(crate) fn new(given: Given, settings: Settings) -> Self {
        let set = |setting: &Setting| settings.get(setting).map(|told| told.text.clone());
        // Absolute, because an engine may live elsewhere.
        let place = |option: Option<PathBuf>, setting| {
            let path = option.unwrap_or_else(|| settings.held(setting).into());
            std::path::absolute(&path).unwrap_or(path)
        };
        let host = given.host.map(|host| host.to_string_lossy().into_owned());
        Self {
            root: place(given.root, &schema::ROOT),
            run_root: place(given.run_root, &schema::RUN_ROOT),
            host: host.or_else(|| set(&schema::HOST)),
            of_engine: [
                ("--runtime", given.runtime.is_some()),
                ("--max-containers", given.max_containers.is_some()),
            ]
            .into_iter()
            .find_map(|(option, is_given)| is_given.then_some(option)),
            runtime: given.runtime.or_else(|| set(&schema::RUNTIME).map(PathBuf::from)),
            max_containers: given.max_containers.or_else(|| set(&schema::MAX_CONTAINERS)),
            settings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    /// The command line where this was set.
    fn with(line: &str, settings: Settings) -> Globals {
        let Split::Verb(given, ..) = split(&words(line)) else { panic!("no verb in {line}") };
        Globals::new(given, settings)
    }

    #[test]
    fn options_end_at_the_verb() {
        let Split::Verb(given, verb, rest) =
            split(&words("--root /a --run-root=/b --config /f ps --root /c"))
        else {
            panic!("no verb");
        };
        assert_eq!(given.config, Some(PathBuf::from("/f")));
        let globals = Globals::new(given, Settings::default());
        assert_eq!((globals.root, globals.run_root), (PathBuf::from("/a"), PathBuf::from("/b")));
        assert_eq!((globals.runtime, verb.as_str()), (None, "ps"));
        assert_eq!(rest, words("--root /c"));
    }

    #[test]
    fn what_is_set_stands_behind_the_options() {
        let set = || Settings::of(&schema::ROOT, "/set");
        assert_eq!(with("ps", set()).root, PathBuf::from("/set"));
        assert_eq!(with("ps", set()).run_root, PathBuf::from("/run/tinyd"));
        let root = with("--root rel ps", set()).root;
        assert!(root.is_absolute() && root.ends_with("rel"));
        let set = || Settings::of(&schema::HOST, "unix:///set");
        for (line, host) in
            [("-H tcp://a:1 ps", "tcp://a:1"), ("--host=local ps", "local"), ("ps", "unix:///set")]
        {
            assert_eq!(with(line, set()).host.as_deref(), Some(host), "{line}");
        }
        assert_eq!(with("ps", Settings::default()).host, None);
        for (line, most) in [("--max-containers -1 ps", "-1"), ("--max-containers=3 ps", "3"), ("ps", "7")] {
            let globals = with(line, Settings::of(&schema::MAX_CONTAINERS, "7"));
            assert_eq!(globals.max_containers.as_deref(), Some(most), "{line}");
        }
    }

    #[test]
    fn options_of_an_engine_are_known_and_what_is_set_is_none() {
        let set = || Settings::of(&schema::RUNTIME, "/r");
        for (line, option) in [
            ("--runtime /r ps", Some("--runtime")),
            ("--max-containers 7 ps", Some("--max-containers")),
            ("--root /a ps", None),
        ] {
            assert_eq!(with(line, set()).of_engine, option, "{line}");
        }
    }

    #[test]
    fn what_is_unclear_is_left_to_the_parser() {
        for line in [
            "--max-containers x ps",
            "--max-containers",
            "",
            "--root",
            "--root=",
            "--help",
            "-V",
            "--nonsense ps",
            "--root /a",
        ] {
            assert_eq!(split(&words(line)), Split::Unclear, "{line:?}");
        }
    }
}
