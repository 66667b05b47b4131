//! `secret create`.

use crate::cmd::Context;
use crate::failure::{Failure, Outcome};
use crate::opts::{label, map};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use tinyd_engine::SecretCreate;

/// More than any secret holds: the engine says that it is too much.
const ENOUGH: u64 = 1 << 20;

/// Keep a secret that is read from the standard input or from a file, byte for byte, and print its name
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  printf %s \"$PASSWORD\" | tinyd secret create db
  tinyd secret create --label stage=test tls-key key.pem")]
pub(super) struct Create {
    /// Note something about it; may be given again
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = label)]
    label: Vec<(String, String)>,
    /// What it is called: no secret must have this name
    #[arg(value_name = "NAME")]
    name: String,
    /// What it holds, 512,000 bytes at most; the standard input without it, or for '-'
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Create {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let (from, what) = match self.file.as_deref().filter(|file| *file != Path::new("-")) {
            Some(file) => (File::open(file), format!("read {}", file.display())),
            None => {
                let from = context.console.stdin.try_clone_to_owned();
                (from.map(File::from), "read the standard input".to_owned())
            }
        };
        let mut content = Vec::new();
        from.and_then(|from| from.take(ENOUGH).read_to_end(&mut content))
            .map_err(|error| Failure::failed(what, error))?;
        let wanted = SecretCreate { name: self.name, labels: map(self.label) };
        let name = context.engine()?.create_secret(&wanted, &content)?;
        context.console.line(&name).map(|()| 0)
    }
}
