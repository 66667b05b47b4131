//! `stop`: a graceful end, and a sure one.

use super::{Context, Verb};
use crate::failure::Outcome;
use std::time::Duration;

/// Stop containers: SIGTERM, and SIGKILL when that did not help in time
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd stop c1
  tinyd stop -t 1 c1 c2")]
pub(crate) struct Stop {
    /// Seconds until the container is killed; 10 by default
    #[arg(short, long, aliases = ["timeout"], value_name = "SECONDS")]
    time: Option<u32>,
    /// Ids, names or beginnings of ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Stop {
    const NAME: &'static str = "stop";

    fn run(self, context: &Context<'_>) -> Outcome {
        let grace = self.time.map(|seconds| Duration::from_secs(seconds.into()));
        context.each(&self.containers, |engine, container| engine.stop(container, grace))
    }
}
