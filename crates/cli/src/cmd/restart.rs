//! `restart`: a container's command once more.

use super::{Context, Verb};
use crate::failure::Outcome;
use std::time::Duration;

/// Start containers anew, those that run after stopping them
#[derive(clap::Parser, Debug)]
#[command(
    long_about = "Start containers anew: those that run are stopped first, with SIGTERM, and SIGKILL when that did not help in \
        time. Name, id, limits, networks, ports and what was written stay.",
    after_help = "\
Examples:
  tinyd restart c1
  tinyd restart -t 1 c1 c2"
)]
pub(crate) struct Restart {
    /// Seconds until a container that does not stop is killed; 10 by default
    #[arg(short, long, aliases = ["timeout"], value_name = "SECONDS")]
    time: Option<u32>,
    /// Ids, names or beginnings of ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Restart {
    const NAME: &'static str = "restart";

    fn run(self, context: &Context<'_>) -> Outcome {
        let grace = self.time.map(|seconds| Duration::from_secs(seconds.into()));
        context.each(&self.containers, |engine, container| engine.restart(container, grace))
    }
}
