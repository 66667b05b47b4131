//! `volume prune`.

use crate::cmd::Context;
use crate::failure::Outcome;

/// Remove the volumes that no container uses and that have no name of their own, and print their names
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd volume prune
  tinyd volume prune --all --force")]
pub(super) struct Prune {
    /// Those with a name of their own, too
    #[arg(short, long)]
    all: bool,
    /// Ask nothing
    #[arg(short, long)]
    force: bool,
}

impl Prune {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let which = if self.all { "all volumes" } else { "all volumes without a name of their own" };
        let question = format!("Remove {which} that no container uses, with their data?");
        if !self.force && !context.console.confirm(&question, "--force")? {
            return Ok(0);
        }
        for name in context.engine()?.prune_volumes(self.all)? {
            context.console.line(&name)?;
        }
        Ok(0)
    }
}
