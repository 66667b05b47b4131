//! `volume rollback`.

use crate::cmd::Context;
use crate::failure::Outcome;

/// Make a volume be as it was in a state that was kept; what was written since is lost
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd volume rollback db before-upgrade")]
pub(super) struct Rollback {
    /// The volume, which no running container uses
    #[arg(value_name = "VOLUME")]
    volume: String,
    /// The state's name
    #[arg(value_name = "NAME")]
    name: String,
}

impl Rollback {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let volume = context.engine()?.rollback_volume(&self.volume, &self.name)?;
        context.console.line(&volume).map(|()| 0)
    }
}
