//! `volume export`.

use crate::archive::{self, by_name, compression};
use crate::cmd::Context;
use crate::failure::Outcome;
use crate::flow::{self, Flowed, Progress};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use tinyd_engine::{Compression, VolumeExport};

/// Write a volume as a tar archive to a file or to the standard output
#[derive(clap::Args, Debug)]
#[command(
    long_about = "Write a volume as a tar archive to a file or to the standard output, with owners, modes, times, extended \
        attributes, hard links and holes, as GNU tar reads it.\n\n\
        Of a driver that keeps states (btrfs) it is the state of one moment. Of others it is what is read while others may write, \
        unless they stand still (--freeze): then the containers that run with the volume are paused until the archive is written.",
    after_help = "\
Examples:
  tinyd volume export data -o data.tar.zst
  tinyd volume export data | ssh other tinyd volume import data
  tinyd volume export --freeze data -o data.tar
  tinyd volume export --snapshot before-upgrade data -o data.tar"
)]
pub(super) struct Export {
    /// The file, which is there whole or not at all; the standard output without it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// none, gzip or zstd; by default what the file's name says (.gz, .tgz, .zst, .tzst), else none
    #[arg(long, value_name = "HOW", value_parser = compression)]
    compress: Option<Compression>,
    /// The state that is exported, instead of that of now
    #[arg(long, value_name = "NAME")]
    snapshot: Option<String>,
    /// Pause the running containers that use it until it is written, where it is not the state of one moment anyway
    #[arg(long)]
    freeze: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// Its name
    #[arg(value_name = "VOLUME")]
    volume: String,
}

impl Export {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let by_name = self.output.as_deref().map(by_name).unwrap_or_default();
        let Self { snapshot, freeze, .. } = self;
        let request = VolumeExport { compression: self.compress.unwrap_or(by_name), snapshot, freeze };
        let engine = context.engine()?;
        let progress = Progress::wanted(context.console, self.quiet, "written", None);
        let export = |to: OwnedFd| {
            flow::out_of(to.as_fd(), progress, |pipe| engine.export_volume(&self.volume, &request, pipe))
        };
        match archive::write(context, self.output.as_deref(), export)? {
            Flowed::Done(summary) => context.console.notes(&summary.notes),
            Flowed::CutOff(code) => return Ok(code),
        }
        Ok(0)
    }
}
