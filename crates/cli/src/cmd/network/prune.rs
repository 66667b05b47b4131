//! `network prune`.

use crate::cmd::Context;
use crate::failure::Outcome;

/// Remove all networks that no container uses, but for the default one, and print their names
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd network prune")]
pub(super) struct Prune {
    /// For scripts that are written for other engines: nothing is asked in any case
    #[arg(short, long)]
    force: bool,
}

impl Prune {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        // The word has no other meaning.
        let Self { force: _ } = self;
        for name in context.engine()?.prune_networks()? {
            context.console.line(&name)?;
        }
        Ok(0)
    }
}
