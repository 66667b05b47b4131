//! `update`: other limits.

use super::{Context, Verb};
use crate::failure::Outcome;
use crate::opts::ResourceOptions;

/// Change the limits of containers, at once where they run, and for their later starts
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd update --memory 500m c1
  tinyd update --cpus 1.5 --pids-limit 100 c1 c2")]
pub(crate) struct Update {
    #[command(flatten)]
    resources: ResourceOptions,
    /// Ids, names or beginnings of ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Update {
    const NAME: &'static str = "update";

    fn run(self, context: &Context<'_>) -> Outcome {
        let limits = self.resources.into_resources();
        context.each(&self.containers, |engine, container| engine.update(container, &limits))
    }
}
