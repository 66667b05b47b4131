//! `system restart-policies`: what a start of the machine does. And what a monitor runs when a container's pause is over.

use crate::cmd::Context;
use crate::failure::Outcome;

/// Start the containers that their restart policies want to run after a start of the machine; a unit calls this once
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd system restart-policies")]
pub(super) struct RestartPolicies {}

impl RestartPolicies {
    pub(super) fn run(context: &Context<'_>) -> Outcome {
        for id in context.engine()?.apply_restart_policies()? {
            context.console.line(&id)?;
        }
        Ok(0)
    }
}

/// Start a container again whose pause after its end is over, if that is wanted still; its monitor calls this
#[derive(clap::Args, Debug)]
pub(super) struct RestartDue {
    /// Its id
    container: String,
}

impl RestartDue {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        context.engine()?.restart_due(&self.container)?;
        Ok(0)
    }
}
