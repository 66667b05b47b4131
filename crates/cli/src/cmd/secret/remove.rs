//! `secret rm`.

use crate::cmd::Context;
use crate::failure::Outcome;
use tinyd_engine::ErrorKind;

/// Forget secrets that no container uses
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd secret rm db
  tinyd secret rm -i db old")]
pub(super) struct Remove {
    /// One that is not there is no error. One that a container uses is never removed
    #[arg(short, long)]
    ignore: bool,
    /// Their names
    #[arg(value_name = "SECRET", required = true)]
    secrets: Vec<String>,
}

impl Remove {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        context.each(&self.secrets, |engine, secret| match engine.remove_secret(secret) {
            Err(error) if self.ignore && error.kind() == ErrorKind::NotFound => Ok(secret.to_owned()),
            done => done,
        })
    }
}
