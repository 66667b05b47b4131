//! `network reload`.

use crate::cmd::Context;
use crate::failure::Outcome;

/// Bring back what somebody took of networks, and print their names
///
/// Rules and published ports that were flushed, addresses and settings of bridges, and links. What is there is left alone:
/// connections go on. Most of it comes back by itself with the next command.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd network reload
  tinyd network reload web")]
pub(super) struct Reload {
    /// Names, ids or beginnings of ids; all networks where there is none
    #[arg(value_name = "NETWORK")]
    networks: Vec<String>,
}

impl Reload {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        for name in context.engine()?.reload_networks(&self.networks)? {
            context.console.line(&name)?;
        }
        Ok(0)
    }
}
