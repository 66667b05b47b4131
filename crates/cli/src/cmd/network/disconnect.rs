//! `network disconnect`.

use crate::cmd::Context;
use crate::failure::Outcome;

/// Take a container from a network
#[derive(clap::Args, Debug)]
#[command(
    long_about = "Take a container from a network: at once where it runs, and at its later starts.",
    after_help = "\
Examples:
  tinyd network disconnect db web"
)]
pub(super) struct Disconnect {
    /// Name, id or the beginning of an id
    #[arg(value_name = "NETWORK")]
    network: String,
    /// Name, id or the beginning of an id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Disconnect {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        context.engine()?.disconnect_network(&self.container, &self.network)?;
        Ok(0)
    }
}
