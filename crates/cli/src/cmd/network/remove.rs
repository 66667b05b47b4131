//! `network delete`.

use crate::cmd::Context;
use crate::failure::Outcome;

/// Remove networks that no container uses
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd network delete web
  tinyd network rm -f web db")]
pub(super) struct Remove {
    /// Remove also those that only containers use which do not run; these cannot be started again until there is a network
    /// of that name. One that a running container uses is never removed
    #[arg(short, long)]
    force: bool,
    /// Names, ids or beginnings of ids
    #[arg(value_name = "NETWORK", required = true)]
    networks: Vec<String>,
}

impl Remove {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        context.each(&self.networks, |engine, network| engine.remove_network(network, self.force))
    }
}
