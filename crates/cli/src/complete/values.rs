//! The values of an argument, by what it is called in the help: a CONTAINER is one of those that there are.

use super::{Files, Offer};
use clap::Arg;
use tinyd_engine::{ContainerStatus, Engine, ListRequest};

/// How many digits of an id stand for a container without a name.
const SHORT: usize = 12;

/// Signals by the names that people type.
const SIGNALS: &[&str] = &["HUP", "INT", "QUIT", "KILL", "TERM", "USR1", "USR2", "CONT", "STOP", "WINCH"];

/// Where values come from.
pub(super) struct Values<'a> {
    /// The verb that they are for, and the one below it.
    pub(super) path: &'a [&'a str],
    pub(super) engine: &'a dyn Fn() -> Option<Box<dyn Engine>>,
}

impl Values<'_> {
    /// The values of an argument.
    pub(super) fn of(&self, argument: &Arg) -> Offer {
        let possible = argument.get_possible_values();
        if !possible.is_empty() {
            let words = possible.iter().filter(|value| !value.is_hide_set()).map(|value| {
                let help = value.get_help().map(ToString::to_string).unwrap_or_default();
                (value.get_name().to_owned(), help)
            });
            return Offer { words: words.collect(), files: Files::None };
        }
        let name = argument.get_value_names().and_then(<[_]>::first);
        self.named(name.map_or("", |name| name.as_str()))
    }

    /// The values of what the help calls so.
    pub(super) fn named(&self, name: &str) -> Offer {
        let fixed = |words: &[&str]| Offer {
            words: words.iter().map(|word| ((*word).to_owned(), String::new())).collect(),
            files: Files::None,
        };
        let files = |files| Offer { words: Vec::new(), files };
        // `CONTAINER[:ro|:rw]`: what stands behind the name is not offered.
        match name.split('[').next().unwrap_or_default() {
            "CONTAINER" => self.containers(""),
            // A path in a container, or one of this machine.
            "SOURCE" | "DEST" => Offer { files: Files::All, ..self.containers(":") },
            "NETWORK" => self.networks(),
            "VOLUME" => self.volumes(),
            // Of `--volume [SRC:]DST`: a volume or a folder.
            "" if name.starts_with("[SRC:]") => Offer { files: Files::Folders, ..self.volumes() },
            "SECRET" => self.secrets(),
            "IMAGE" => Offer { files: Files::Folders, ..fixed(&["host"]) },
            "SIGNAL" => fixed(SIGNALS),
            "POLICY" => fixed(&["no", "on-failure", "always", "unless-stopped"]),
            "CONDITION" => fixed(&["not-running", "stopped", "next-exit", "running", "removed"]),
            "ACTION" => fixed(&["none", "restart", "kill", "stop"]),
            "BOOL" => fixed(&["true", "false"]),
            "PATH" | "FILE" | "COMMAND" => files(Files::All),
            "DIR" => files(Files::Folders),
            _ => Offer::default(),
        }
    }

    /// Those to which the verb can be done, with `suffix` behind their names.
    fn containers(&self, suffix: &str) -> Offer {
        use ContainerStatus::{Created, Paused, Restarting, Running, Stopped};
        let fits = |status: ContainerStatus| match self.path.first().copied() {
            Some("exec" | "attach" | "stop" | "kill" | "pause" | "top" | "stats") => {
                matches!(status, Running | Restarting) || status == Paused && self.path[0] != "pause"
            }
            Some("unpause") => status == Paused,
            Some("start") => matches!(status, Created | Stopped),
            _ => true,
        };
        let found = (self.engine)().and_then(|engine| engine.list(&ListRequest { all: true }).ok());
        let fitting = found.into_iter().flatten().filter(|container| fits(container.status));
        let words = fitting.map(|container| {
            let name = container.name.unwrap_or_else(|| container.id.chars().take(SHORT).collect());
            (name + suffix, format!("{} ({})", container.image, container.status.docker_name()))
        });
        Offer { words: words.collect(), files: Files::None }
    }

    fn networks(&self) -> Offer {
        let found = (self.engine)().and_then(|engine| engine.networks().ok());
        let words = found.into_iter().flatten().map(|network| (network.name, network.driver));
        Offer { words: words.collect(), files: Files::None }
    }

    fn volumes(&self) -> Offer {
        let found = (self.engine)().and_then(|engine| engine.volumes().ok());
        let words = found.into_iter().flatten().map(|volume| (volume.name, volume.driver));
        Offer { words: words.collect(), files: Files::None }
    }

    fn secrets(&self) -> Offer {
        let found = (self.engine)().and_then(|engine| engine.secrets().ok());
        let words = found.into_iter().flatten().map(|secret| (secret.name, String::new()));
        Offer { words: words.collect(), files: Files::None }
    }
}
