//! `kill`: a signal.

use super::{Context, Verb};
use crate::failure::Outcome;

/// Send a signal to the first process of containers
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd kill c1
  tinyd kill -s HUP c1 c2")]
pub(crate) struct Kill {
    /// The signal: KILL, SIGHUP, 15, RTMIN+3
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL", value_parser = crate::opts::signal::parse)]
    signal: i32,
    /// Ids, names or beginnings of ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Kill {
    const NAME: &'static str = "kill";

    fn run(self, context: &Context<'_>) -> Outcome {
        context.each(&self.containers, |engine, container| engine.kill(container, self.signal))
    }
}
