//! The options that stand before the verb. They are read by hand, so that a start builds the parser of its own verb and
//! no other; whatever is out of the ordinary goes to the whole parser, which words the complaint.

use std::path::{Path, PathBuf};

/// Where the engine lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Globals {
    /// What lasts.
    pub(crate) root: PathBuf,
    /// What a reboot ends.
    pub(crate) run_root: PathBuf,
    /// The daemon that is asked, as it was written; where nothing was, the one that listens here, or the engine of this process.
    pub(crate) host: Option<String>,
    /// Where what proves this client to a daemon on a network lies.
    pub(crate) cert_path: Option<PathBuf>,
    /// The program that starts containers; the engine looks for it when there is none.
    pub(crate) runtime: Option<PathBuf>,
    /// How many containers there may be, as it was written; the engine's default when nothing was.
    pub(crate) max_containers: Option<String>,
    /// Where networks get their ranges from, as it was written.
    pub(crate) address_pools: Option<String>,
    /// The option that says how an engine works, where one was given: it says nothing to a daemon's. (A variable is the
    /// surroundings' and may mean the engine of this process.)
    pub(crate) of_engine: Option<&'static str>,
}

/// The command line, taken apart at the verb.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Split {
    /// The options, the verb and what follows it.
    Verb(Box<Globals>, String, Vec<String>),
    /// There is no verb where one should be: for the whole parser.
    Unclear,
}

/// Takes a command line apart. `variable` looks up the environment.
pub(crate) fn split(arguments: &[String], variable: &dyn Fn(&str) -> Option<PathBuf>) -> Split {
    let mut root = None;
    let mut run_root = None;
    let mut runtime = None;
    let mut host = None;
    let mut most = None;
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        if !word.starts_with('-') {
            let globals = Globals {
                root: place(root, variable("TINYD_ROOT"), "/var/lib/tinyd"),
                run_root: place(run_root, variable("TINYD_RUN_ROOT"), "/run/tinyd"),
                host: written(host.or_else(|| variable("TINYD_HOST"))),
                cert_path: variable("TINYD_CERT_PATH").filter(|path| !path.as_os_str().is_empty()),
                of_engine: runtime
                    .as_ref()
                    .map(|_| "--runtime")
                    .or(most.as_ref().map(|_| "--max-containers")),
                runtime: runtime.or_else(|| variable("TINYD_RUNTIME")),
                address_pools: written(variable("TINYD_ADDRESS_POOLS")),
                max_containers: most.or_else(|| written(variable("TINYD_MAX_CONTAINERS"))),
            };
            return Split::Verb(Box::new(globals), word.clone(), rest.cloned().collect());
        }
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.as_str(), None),
        };
        if name == "--max-containers" {
            match inline.or_else(|| rest.next().map(String::as_str)) {
                Some(value) if value.parse::<i64>().is_ok() => most = Some(value.to_owned()),
                _ => return Split::Unclear,
            }
            continue;
        }
        let slot = match name {
            "--root" => &mut root,
            "--run-root" => &mut run_root,
            "--runtime" => &mut runtime,
            "-H" | "--host" => &mut host,
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

/// A variable's text, where it has one.
fn written(variable: Option<PathBuf>) -> Option<String> {
    variable.map(|text| text.to_string_lossy().into_owned()).filter(|text| !text.is_empty())
}

/// The option, else the variable, else the default; absolute, because an engine may live elsewhere.
fn place(option: Option<PathBuf>, variable: Option<PathBuf>, default: &str) -> PathBuf {
    let path = option
        .or(variable.filter(|path| !path.as_os_str().is_empty()))
        .unwrap_or_else(|| Path::new(default).to_path_buf());
    std::path::absolute(&path).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn nothing(_: &str) -> Option<PathBuf> {
        None
    }

    #[test]
    fn options_end_at_the_verb() {
        let Split::Verb(globals, verb, rest) =
            split(&words("--root /a --run-root=/b ps --root /c"), &nothing)
        else {
            panic!("no verb");
        };
        assert_eq!((globals.root, globals.run_root), (PathBuf::from("/a"), PathBuf::from("/b")));
        assert_eq!((globals.runtime, verb.as_str()), (None, "ps"));
        assert_eq!(rest, words("--root /c"));
    }

    #[test]
    fn the_environment_stands_behind_the_options() {
        let environment = |name: &str| match name {
            "TINYD_ROOT" => Some("/env".into()),
            "TINYD_RUN_ROOT" => Some("".into()),
            _ => None,
        };
        let Split::Verb(globals, ..) = split(&words("ps"), &environment) else { panic!("no verb") };
        assert_eq!(globals.root, PathBuf::from("/env"));
        assert_eq!(globals.run_root, PathBuf::from("/run/tinyd"), "an empty variable counts as none");
        let Split::Verb(globals, ..) = split(&words("--root rel ps"), &environment) else {
            panic!("no verb")
        };
        assert!(globals.root.is_absolute() && globals.root.ends_with("rel"));
    }

    #[test]
    fn options_of_an_engine_are_known_and_variables_are_none() {
        let environment = |name: &str| name.starts_with("TINYD_").then(|| PathBuf::from("1"));
        for (line, option) in [
            ("--runtime /r ps", Some("--runtime")),
            ("--max-containers 7 ps", Some("--max-containers")),
            ("--root /a ps", None),
        ] {
            let Split::Verb(globals, ..) = split(&words(line), &environment) else { panic!("no verb") };
            assert_eq!(globals.of_engine, option, "{line}");
        }
    }

    #[test]
    fn the_daemon_is_an_option_or_a_variable() {
        let environment = |name: &str| match name {
            "TINYD_HOST" => Some("unix:///env".into()),
            "TINYD_CERT_PATH" => Some("/certs".into()),
            _ => None,
        };
        for (line, host) in
            [("-H tcp://a:1 ps", "tcp://a:1"), ("--host=local ps", "local"), ("ps", "unix:///env")]
        {
            let Split::Verb(globals, ..) = split(&words(line), &environment) else { panic!("no verb") };
            assert_eq!(globals.host.as_deref(), Some(host), "{line}");
            assert_eq!(globals.cert_path, Some("/certs".into()));
        }
        let Split::Verb(globals, ..) = split(&words("ps"), &nothing) else { panic!("no verb") };
        assert_eq!((globals.host, globals.cert_path), (None, None));
    }

    #[test]
    fn the_number_of_containers_is_an_option_or_a_variable() {
        let environment = |name: &str| (name == "TINYD_MAX_CONTAINERS").then(|| "7".into());
        for (line, most) in [("--max-containers -1 ps", "-1"), ("--max-containers=3 ps", "3"), ("ps", "7")] {
            let Split::Verb(globals, ..) = split(&words(line), &environment) else { panic!("no verb") };
            assert_eq!(globals.max_containers.as_deref(), Some(most), "{line}");
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
            assert_eq!(split(&words(line), &nothing), Split::Unclear, "{line:?}");
        }
    }
}
