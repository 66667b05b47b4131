//! `rm`: a container with everything that is its own.

use super::{Context, Verb};
use crate::failure::Outcome;
use tinyd_engine::RemoveRequest;

/// Remove containers
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd rm c1
  tinyd rm -v c1
  tinyd delete -f c1 c2")]
pub(crate) struct Remove {
    /// Kill those that run first
    #[arg(short, long)]
    force: bool,
    /// Remove the volumes without a name of their own, too, that were made for them
    #[arg(short, long)]
    volumes: bool,
    /// Ids, names or beginnings of ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Remove {
    const NAME: &'static str = "rm";
    const ALIASES: &'static [&'static str] = &["delete"];

    fn run(self, context: &Context<'_>) -> Outcome {
        let request = RemoveRequest { force: self.force, volumes: self.volumes };
        context.each(&self.containers, |engine, container| engine.remove(container, &request))
    }
}
