//! The schema: each setting once, with its place in the file, its variable and its meaning. The options, `system config` and
//! `docs/configuration.md` are made from it.

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its name in the file, behind that of its table.
    pub(crate) key: &'static str,
    pub(crate) variable: &'static str,
    /// The option that wins over both.
    pub(crate) option: Option<&'static str>,
    pub(crate) kind: Kind,
    /// What holds where nobody says anything, as the file would have it; nothing where there is no such thing.
    pub(crate) default: &'static str,
    /// What it may be, as the file would have it.
    pub(crate) example: &'static str,
    pub(crate) help: &'static str,
    /// An empty text says something as well.
    pub(crate) may_be_empty: bool,
}

/// What stands in the file for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Switch,
    /// Texts. In a variable, commas or spaces are between them.
    List,
}

impl Kind {
    /// What it is called in complaints.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Number => "a whole number",
            Self::Switch => "true or false",
            Self::List => "an array of strings",
        }
    }
}

impl Setting {
    /// What holds where nobody says anything, as a variable would have it.
    pub(crate) fn default_text(&self) -> String {
        match self.kind {
            Kind::List => self.default.replace(['"', '[', ']'], "").replace(", ", ","),
            _ => self.default.trim_matches('"').to_owned(),
        }
    }

    /// The table it stands in, and its name there.
    pub(crate) fn place(&self) -> (Option<&'static str>, &'static str) {
        match self.key.split_once('.') {
            Some((table, name)) => (Some(table), name),
            None => (None, self.key),
        }
    }
}

const BLANK: Setting = Setting {
    key: "",
    variable: "",
    option: None,
    kind: Kind::Text,
    default: "",
    example: "",
    help: "",
    may_be_empty: false,
};

pub(crate) const ROOT: Setting = Setting {
    key: "root",
    variable: "TINYD_ROOT",
    option: Some("root"),
    default: "\"/var/lib/tinyd\"",
    help: "Where containers are kept",
    ..BLANK
};

pub(crate) const RUN_ROOT: Setting = Setting {
    key: "run_root",
    variable: "TINYD_RUN_ROOT",
    option: Some("run-root"),
    default: "\"/run/tinyd\"",
    help: "Where their run-time state is",
    ..BLANK
};

pub(crate) const RUNTIME: Setting = Setting {
    key: "runtime",
    variable: "TINYD_RUNTIME",
    option: Some("runtime"),
    example: "\"/usr/libexec/tinyd-runtime\"",
    help: "The program that starts them, tinyd-runtime: the one beside this program, or in the PATH, where nothing is said",
    ..BLANK
};

pub(crate) const MAX_CONTAINERS: Setting = Setting {
    key: "max_containers",
    variable: "TINYD_MAX_CONTAINERS",
    option: Some("max-containers"),
    kind: Kind::Number,
    default: "24576",
    help: "How many containers there may be",
    ..BLANK
};

pub(crate) const ADDRESS_POOLS: Setting = Setting {
    key: "address_pools",
    variable: "TINYD_ADDRESS_POOLS",
    kind: Kind::List,
    default: "[\"10.208.0.0/12:22\", \"172.28.0.0/14:22\", \"192.168.128.0/17:22\"]",
    help: "Where networks get their ranges from that ask for none: /22s in 10.208.0.0/12, say",
    ..BLANK
};

pub(crate) const HOST: Setting = Setting {
    key: "host",
    variable: "TINYD_HOST",
    option: Some("host"),
    example: "\"tcp://build7:2377\"",
    help: "The daemon that is asked: unix:///PATH, tcp://HOST:PORT, or local for none; where nothing is said, the one that \
           listens in the run root, if any",
    ..BLANK
};

pub(crate) const CERT_PATH: Setting = Setting {
    key: "cert_path",
    variable: "TINYD_CERT_PATH",
    example: "\"/etc/tinyd/certs/client\"",
    help: "The folder with ca.pem, cert.pem and key.pem that prove this client to a daemon on a network",
    ..BLANK
};

pub(crate) const NETWORK: Setting = Setting {
    key: "container.network",
    variable: "TINYD_NETWORK",
    option: Some("network"),
    default: "\"tinyd\"",
    help: "The network that a container joins where none is named",
    ..BLANK
};

pub(crate) const PUBLISH_ADDRESS: Setting = Setting {
    key: "container.publish_address",
    variable: "TINYD_PUBLISH_ADDRESS",
    example: "\"127.0.0.1\"",
    help: "The address of this machine at which ports are published where none is named: all of them where nothing is said",
    ..BLANK
};

pub(crate) const LOG_OPTIONS: Setting = Setting {
    key: "container.log_options",
    variable: "TINYD_LOG_OPTIONS",
    option: Some("log-opt"),
    kind: Kind::List,
    default: "[\"max-size=10m\", \"max-file=3\"]",
    help: "How much of a container's output is kept; an option of the same name wins over one here",
    ..BLANK
};

/// Ctrl-], as telnet(1) has it. (Docker's own default takes Ctrl-P away from every shell's history.)
pub(crate) const DETACH_KEYS: Setting = Setting {
    key: "container.detach_keys",
    variable: "TINYD_DETACH_KEYS",
    option: Some("detach-keys"),
    default: "\"ctrl-]\"",
    help: "The keys that leave an attached container running; an empty text for none",
    may_be_empty: true,
    ..BLANK
};

pub(crate) const LISTEN: Setting = Setting {
    key: "daemon.listen",
    variable: "TINYD_LISTEN",
    option: Some("listen"),
    kind: Kind::List,
    example: "[\"tcp://0.0.0.0:2377\"]",
    help: "Where clients reach the daemon, beside the socket in the run root",
    ..BLANK
};

pub(crate) const DAEMON_CERT_PATH: Setting = Setting {
    key: "daemon.cert_path",
    variable: "TINYD_DAEMON_CERT_PATH",
    option: Some("cert-path"),
    example: "\"/etc/tinyd/certs/server\"",
    help: "The folder with ca.pem, cert.pem and key.pem of a daemon that is reached over a network",
    ..BLANK
};

pub(crate) const WEB: Setting = Setting {
    key: "daemon.web",
    variable: "TINYD_WEB",
    option: Some("web"),
    default: "\"127.0.0.1:808\"",
    help: "Where the daemon's web page is, a loopback address; none for no page",
    ..BLANK
};

pub(crate) const WEB_CONTROL: Setting = Setting {
    key: "daemon.web_control",
    variable: "TINYD_WEB_CONTROL",
    option: Some("web-control"),
    kind: Kind::Switch,
    default: "false",
    help: "Whether containers can be started, stopped and removed from the page, by who can read the file web-control in the \
           run root",
    ..BLANK
};

pub(crate) const LIVE_RESTORE: Setting = Setting {
    key: "daemon.live_restore",
    variable: "TINYD_LIVE_RESTORE",
    option: Some("live-restore"),
    kind: Kind::Switch,
    default: "false",
    help: "Whether containers are left running when the daemon ends",
    ..BLANK
};

/// All of them, in the order of the file.
pub(crate) const ALL: &[&Setting] = &[
    &ROOT,
    &RUN_ROOT,
    &RUNTIME,
    &MAX_CONTAINERS,
    &ADDRESS_POOLS,
    &HOST,
    &CERT_PATH,
    &NETWORK,
    &PUBLISH_ADDRESS,
    &LOG_OPTIONS,
    &DETACH_KEYS,
    &LISTEN,
    &DAEMON_CERT_PATH,
    &WEB,
    &WEB_CONTROL,
    &LIVE_RESTORE,
];

/// Characters in a line of the file's comments.
const WIDTH: usize = 100;

/// The schema as a file in which nothing is set.
pub(crate) fn as_file() -> String {
    let mut text = String::new();
    wrap(
        "The settings of tinyd. An option of a command wins over the variable that is named here, that over this file.",
        &mut text,
    );
    let mut table = None;
    for setting in ALL {
        let (own, name) = setting.place();
        if own != table {
            table = own;
            text.push_str(&format!("\n[{}]\n", own.unwrap_or_default()));
        }
        let (value, is) = match setting.default {
            "" => (setting.example, "For example"),
            default => (default, "By default"),
        };
        let option = setting.option.map_or(String::new(), |option| format!(", --{option}"));
        let Setting { help, variable, .. } = setting;
        text.push('\n');
        wrap(&format!("{help} (${variable}{option}). {is}:"), &mut text);
        text.push_str(&format!("# {name} = {value}\n"));
    }
    text
}

/// Adds a text as lines of a comment.
fn wrap(comment: &str, text: &mut String) {
    let mut width = WIDTH;
    for word in comment.split(' ') {
        width += 1 + word.chars().count();
        if width > WIDTH {
            text.push_str(if text.ends_with('\n') { "#" } else { "\n#" });
            width = 2 + word.chars().count();
        }
        text.push(' ');
        text.push_str(word);
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_file_that_sets_nothing_is_one_that_sets_all() {
        let file = as_file();
        let uncommented = |line| {
            let rest = str::strip_prefix(line, "# ")?;
            rest.split_once(" = ").is_some_and(|(name, _)| !name.contains(' ')).then_some(rest)
        };
        let set: Vec<&str> = file.lines().map(|line| uncommented(line).unwrap_or(line)).collect();
        assert!(file.lines().all(|line| line.chars().count() <= WIDTH), "{file}");
        let told = super::super::file::parse(&set.join("\n"), Path::new("f")).expect("parsed");
        assert_eq!(told.len(), ALL.len());
        assert!(super::super::file::parse(&file, Path::new("f")).is_ok_and(|told| told.is_empty()));
    }

    #[test]
    fn each_is_there_once_and_the_tables_are_together() {
        let mut keys: Vec<_> = ALL.iter().map(|setting| setting.key).collect();
        let mut tables: Vec<_> = ALL.iter().map(|setting| setting.place().0).collect();
        tables.dedup();
        assert_eq!(tables, [None, Some("container"), Some("daemon")]);
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), ALL.len());
        assert!(
            ALL.iter().all(|setting| setting.variable.starts_with("TINYD_") && !setting.help.ends_with('.'))
        );
    }

    #[test]
    fn the_document_has_the_schema() {
        let document = include_str!("../../../../docs/configuration.md");
        assert!(
            document.contains(&format!("```toml\n{}```", as_file())),
            "docs/configuration.md is to show what 'tinyd system config --schema' prints"
        );
    }
}
