//! What can go wrong with plugins and their configurations.

use std::io;
use std::path::PathBuf;

/// A list of plugins cannot be used, or one of them failed. The error around it names the network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CniError {
    /// No configuration has the name that is asked for.
    #[error(
        "there is no list of plugins {name:?} in {}{}: \
         -o config=NAME-OR-FILE chooses another one, -o conf-dir=FOLDER another folder",
        folder.display(),
        others(there, broken)
    )]
    NoList {
        /// Its name.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// The lists that are there.
        there: Vec<String>,
        /// Files that could not be understood, and why.
        broken: Vec<String>,
    },
    /// A file or folder cannot be used.
    #[error("{operation} {}", path.display())]
    File {
        /// `read`, `write`, `remove`, `pin`.
        operation: &'static str,
        /// Its path.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A configuration is no JSON; the source says in which line.
    #[error("{origin} is no JSON")]
    Json {
        /// The file.
        origin: String,
        /// Where, and what was expected.
        #[source]
        source: serde_json::Error,
    },
    /// A configuration breaks a rule of the specification.
    #[error("{origin}: {what} {problem}")]
    Config {
        /// The file.
        origin: String,
        /// Which part: `"plugins"`, `the type "a/b"`.
        what: String,
        /// The rule, in a clause that follows it.
        problem: String,
    },
    /// There is no such program.
    #[error("there is no plugin {plugin:?} in {}: -o bin-dir=FOLDER[:FOLDER] says where plugins are", folders.join(" or "))]
    NoPlugin {
        /// What it is called.
        plugin: String,
        /// Where it was looked for.
        folders: Vec<String>,
    },
    /// A plugin does not speak the version of the configuration.
    #[error("the plugin {plugin} does not speak version {}: it speaks {}", wanted.join(" or "), spoken.join(", "))]
    Unspoken {
        /// What it is called.
        plugin: String,
        /// The versions of the configuration that are spoken here.
        wanted: Vec<String>,
        /// Those of the plugin.
        spoken: Vec<String>,
    },
    /// A plugin answered with an error.
    #[error("the plugin {plugin} refused {operation}: {message} (code {code})")]
    Refused {
        /// What it is called.
        plugin: String,
        /// `ADD`, `DEL`.
        operation: &'static str,
        /// Its number for it: up to 99 those of the specification.
        code: u64,
        /// Its message and details, in one line.
        message: String,
    },
    /// A plugin failed without an answer that can be understood.
    #[error("the plugin {plugin} failed at {operation} with {status}{}", said(message))]
    Failed {
        /// What it is called.
        plugin: String,
        /// `ADD`, `DEL`.
        operation: &'static str,
        /// `exit status: 1`, `signal: 9`.
        status: String,
        /// The end of what it wrote, in one line.
        message: String,
    },
    /// A plugin did not end.
    #[error(
        "the plugin {plugin} did not end its {operation} within {seconds} s and was killed{}",
        said(message)
    )]
    Slow {
        /// What it is called.
        plugin: String,
        /// `ADD`, `DEL`.
        operation: &'static str,
        /// How long it had.
        seconds: f64,
        /// The end of what it wrote, in one line.
        message: String,
    },
    /// A plugin cannot be started.
    #[error("start the plugin {}", program.display())]
    Start {
        /// Its file.
        program: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A plugin said that it succeeded, and something else besides that makes no sense.
    #[error("the plugin {plugin} answered {operation} with a result that {problem}")]
    Answer {
        /// What it is called.
        plugin: String,
        /// `ADD`, `VERSION`.
        operation: &'static str,
        /// What is wrong with it, in a clause.
        problem: String,
    },
    /// The plugins gave another address than the one that was asked for.
    #[error("the address {wanted} cannot be had: the plugins gave {given} instead")]
    OtherAddress {
        /// What was asked for.
        wanted: std::net::IpAddr,
        /// What the container would have.
        given: String,
    },
}

fn others(there: &[String], broken: &[String]) -> String {
    let there = match there {
        [] => String::new(),
        names => format!(" (there are {})", names.join(", ")),
    };
    match broken {
        [] => there,
        files => format!("{there} (not understood: {})", files.join("; ")),
    }
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}
