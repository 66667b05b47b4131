//! `volume clone`.

use super::create::Made;
use crate::cmd::Context;
use crate::failure::Outcome;

/// Make a volume that begins as another one is, and print its name
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd volume clone data copy
  tinyd volume clone -d btrfs data db")]
pub(super) struct Clone {
    #[command(flatten)]
    made: Made,
    /// The volume that is there
    #[arg(value_name = "VOLUME")]
    volume: String,
    /// What the new one is called: no volume must have this name
    #[arg(value_name = "NEW")]
    name: String,
}

impl Clone {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let wanted = self.made.into_wanted(Some(self.name));
        let name = context.engine()?.clone_volume(&self.volume, &wanted)?;
        context.console.line(&name).map(|()| 0)
    }
}
