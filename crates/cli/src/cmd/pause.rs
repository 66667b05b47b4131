//! `pause`: standing still.

use super::{Context, Verb};
use crate::failure::Outcome;

/// Freeze all processes of containers
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd pause c1
  tinyd pause c1 c2")]
pub(crate) struct Pause {
    /// Ids, names or beginnings of ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Pause {
    const NAME: &'static str = "pause";

    fn run(self, context: &Context<'_>) -> Outcome {
        context.each(&self.containers, |engine, container| engine.pause(container))
    }
}
