//! `system cleanup`: everything stops.

use crate::cmd::Context;
use crate::failure::Outcome;
use std::time::Duration;

/// Stop all containers and give back what they hold of the machine; they stay, and can be started again
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd system cleanup
  tinyd system cleanup -t 1")]
pub(super) struct Cleanup {
    /// Seconds that each command has to end by itself, before it is killed
    #[arg(short, long, value_name = "SECONDS")]
    time: Option<u32>,
}

impl Cleanup {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let grace = self.time.map(|seconds| Duration::from_secs(seconds.into()));
        for id in context.engine()?.cleanup(grace)? {
            context.console.line(&id)?;
        }
        Ok(0)
    }
}
