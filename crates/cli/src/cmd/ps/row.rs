//! What a line of `ps` shows.

use crate::format::list::Line;
use crate::format::table::{self, Column};
use crate::format::time;
use serde_json::{Value, json};
use std::time::SystemTime;
use tinyd_engine::{ContainerStatus, ContainerSummary};

/// Digits of an id where it is cut.
const SHORT: usize = 12;

/// Characters of a command where it is cut.
const COMMAND: usize = 40;

/// A container's line.
pub(super) struct Row<'a> {
    container: &'a ContainerSummary,
    whole: bool,
}

impl<'a> Row<'a> {
    pub(super) fn new(container: &'a ContainerSummary, whole: bool) -> Self {
        Self { container, whole }
    }

    fn id(&self) -> &str {
        let id = &self.container.id;
        if self.whole { id } else { id.get(..SHORT).unwrap_or(id) }
    }

    fn name(&self) -> &str {
        self.container.name.as_deref().unwrap_or_else(|| self.id())
    }

    fn command(&self) -> String {
        let text = self.container.command.join(" ");
        if self.whole { text } else { table::cut(&text, COMMAND) }
    }

    /// `RUNNING`, `RUNNING (healthy)`, `STOPPED (137) OOM`, `STOPPED (host restart)`.
    fn status(&self) -> String {
        let mut text = self.container.status.to_string();
        if let Some(health) = self.container.health {
            text.push_str(&format!(" ({health})"));
        }
        if let Some(exit) = self.container.exit.filter(|_| self.container.status == ContainerStatus::Stopped)
        {
            text.push_str(&match exit {
                exit if exit.host_restarted => " (host restart)".to_owned(),
                exit if exit.unknown => " (unknown)".to_owned(),
                exit => format!(" ({})", exit.code),
            });
            if exit.oom_killed {
                text.push_str(" OOM");
            }
        }
        text
    }
}

impl Line for Row<'_> {
    const COLUMNS: &'static [Column] = &[
        Column::fixed("CONTAINER ID"),
        Column::flexible("IMAGE"),
        Column::flexible("COMMAND"),
        Column::fixed("CREATED"),
        Column::fixed("STATUS"),
        Column::flexible("PORTS"),
        Column::flexible("VOLUME"),
        Column::flexible("NAMES"),
    ];

    fn key(&self) -> &str {
        self.id()
    }

    fn cells(&self) -> Vec<String> {
        let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        vec![
            self.id().to_owned(),
            self.container.image.clone(),
            self.command(),
            time::short(self.container.created, SystemTime::now()),
            self.status(),
            or_dash(list(&self.container.ports)),
            or_dash(list(&self.container.volumes)),
            self.name().to_owned(),
        ]
    }

    // Times in RFC 3339.
    fn json(&self) -> Value {
        let container = self.container;
        json!({
            "ID": self.id(),
            "Image": container.image,
            "Command": self.command(),
            "CreatedAt": time::rfc3339(container.created),
            "StartedAt": container.started.map(time::rfc3339),
            "FinishedAt": container.finished.map(time::rfc3339),
            "Status": self.status(),
            "State": container.status.docker_name(),
            "ExitCode": container.exit.filter(|exit| !exit.unknown).map(|exit| exit.code),
            "OOMKilled": container.exit.is_some_and(|exit| exit.oom_killed),
            "Pid": container.pid,
            "Health": container.health.map(|health| health.to_string()),
            "Ports": list(&container.ports),
            "Networks": list(&container.networks),
            "Mounts": list(&container.volumes),
            "Names": self.name(),
        })
    }

    fn heading(field: &str) -> String {
        match field {
            "ID" => "CONTAINER ID".to_owned(),
            "CreatedAt" => "CREATED".to_owned(),
            "Mounts" => "VOLUME".to_owned(),
            _ => field.to_ascii_uppercase(),
        }
    }
}

/// `8080:80;8443:443;`
fn list(items: &[String]) -> String {
    items.iter().map(|item| format!("{item};")).collect()
}
