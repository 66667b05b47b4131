//! `volume rm`.

use crate::cmd::Context;
use crate::failure::Outcome;
use tinyd_engine::ErrorKind;

/// Remove volumes, with their data, that no container uses
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd volume rm data
  tinyd volume rm -f data old")]
pub(super) struct Remove {
    /// One that is not there is no error. One that a container uses is never removed
    #[arg(short, long)]
    force: bool,
    /// Their names
    #[arg(value_name = "VOLUME", required = true)]
    volumes: Vec<String>,
}

impl Remove {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        context.each(&self.volumes, |engine, volume| match engine.remove_volume(volume) {
            Err(error) if self.force && error.kind() == ErrorKind::NotFound => Ok(volume.to_owned()),
            done => done,
        })
    }
}
