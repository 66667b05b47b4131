//! `unpause`: going on.

use super::{Context, Verb};
use crate::failure::Outcome;

/// Let the processes of frozen containers go on
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd unpause c1
  tinyd unpause c1 c2")]
pub(crate) struct Unpause {
    /// Ids, names or beginnings of ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Unpause {
    const NAME: &'static str = "unpause";

    fn run(self, context: &Context<'_>) -> Outcome {
        context.each(&self.containers, |engine, container| engine.unpause(container))
    }
}
