//! `export`: a container's root file system as one archive.

use super::{Context, Verb};
use crate::archive::{self, by_name, compression};
use crate::failure::Outcome;
use crate::flow::{self, Flowed, Progress};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use tinyd_engine::{Compression, ContainerExport};

/// Write a container's root file system as a tar archive to a file or to the standard output
#[derive(clap::Parser, Debug)]
#[command(
    long_about = "Write the root file system of a container, running or not, as a tar archive to a file or to the standard \
        output, with the owners that files have inside.\n\n\
        What is mounted in it, volumes among that, is not part of it: there are empty folders and files in their places.",
    after_help = "\
Examples:
  tinyd export c1 -o c1.tar.zst
  tinyd export c1 | tar x -C rootfs
  tinyd export c1 | ssh other 'mkdir c1 && tar x -C c1'"
)]
pub(crate) struct Export {
    /// The file, which is there whole or not at all; the standard output without it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// none, gzip or zstd; by default what the file's name says (.gz, .tgz, .zst, .tzst), else none
    #[arg(long, value_name = "HOW", value_parser = compression)]
    compress: Option<Compression>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// Id, name or beginning of an id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Verb for Export {
    const NAME: &'static str = "export";

    fn run(self, context: &Context<'_>) -> Outcome {
        let by_name = self.output.as_deref().map(by_name).unwrap_or_default();
        let request = ContainerExport { compression: self.compress.unwrap_or(by_name) };
        let engine = context.engine()?;
        let progress = Progress::wanted(context.console, self.quiet, "written", None);
        let export = |to: OwnedFd| {
            flow::out_of(to.as_fd(), progress, |pipe| engine.export(&self.container, &request, pipe))
        };
        match archive::write(context, self.output.as_deref(), export)? {
            Flowed::Done(summary) => context.console.notes(&summary.notes),
            Flowed::CutOff(code) => return Ok(code),
        }
        Ok(0)
    }
}
