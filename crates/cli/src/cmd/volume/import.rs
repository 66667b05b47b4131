//! `volume import`.

use super::create::Made;
use crate::cmd::Context;
use crate::failure::{Failure, Outcome};
use crate::flow::{self, Flowed, Progress};
use rustix::fs::FileType;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

/// Make a volume of a tar archive from a file or from the standard input, and print its name
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd volume import data data.tar.zst
  ssh other tinyd volume export data | tinyd volume import data
  tinyd volume import -d btrfs data data.tar")]
pub(super) struct Import {
    #[command(flatten)]
    made: Made,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// What it is called: no volume must have this name
    #[arg(value_name = "NAME")]
    name: String,
    /// The archive, compressed by gzip, by zstd or not at all; the standard input without it
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Import {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let from: OwnedFd = match self.file.as_deref().filter(|file| *file != Path::new("-")) {
            Some(file) => File::open(file)
                .map_err(|error| Failure::failed(format!("read {}", file.display()), error))?
                .into(),
            None => {
                let from = context.console.stdin.try_clone_to_owned();
                from.map_err(|error| Failure::failed("read the standard input", error))?
            }
        };
        let wanted = self.made.into_wanted(Some(self.name.clone()));
        let engine = context.engine()?;
        let total =
            rustix::fs::fstat(&from).ok().filter(|data| FileType::from_raw_mode(data.st_mode).is_file());
        let total = total.and_then(|data| u64::try_from(data.st_size).ok());
        let done = match Progress::wanted(context.console, self.quiet, "read", total) {
            None => Flowed::Done(engine.import_volume(&wanted, from)?),
            progress => flow::into(from.as_fd(), progress, |pipe| engine.import_volume(&wanted, pipe))?,
        };
        let summary = match done {
            Flowed::Done(summary) => summary,
            Flowed::CutOff(code) => return Ok(code),
        };
        context.console.notes(&summary.notes);
        context.console.line(&self.name).map(|()| 0)
    }
}
