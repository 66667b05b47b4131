//! `system`: the engine as a whole.

mod check;
mod cleanup;
mod config;
mod info;
mod restart;

use super::{Context, Verb};
use crate::failure::Outcome;

/// Look after the engine as a whole
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd system info
  tinyd system check
  tinyd system check --repair
  tinyd system cleanup
  tinyd system config
  tinyd system restart-policies")]
pub(crate) struct System {
    #[command(subcommand)]
    verb: SystemVerb,
}

#[derive(clap::Subcommand, Debug)]
enum SystemVerb {
    Check(check::Check),
    Cleanup(cleanup::Cleanup),
    Config(config::Config),
    Info(info::Info),
    RestartPolicies(restart::RestartPolicies),
    #[command(hide = true)]
    RestartDue(restart::RestartDue),
}

impl Verb for System {
    const NAME: &'static str = "system";

    fn run(self, context: &Context<'_>) -> Outcome {
        match self.verb {
            SystemVerb::Check(check) => check.run(context),
            SystemVerb::Cleanup(cleanup) => cleanup.run(context),
            SystemVerb::Config(config) => config.run(context),
            SystemVerb::Info(info) => info.run(context),
            SystemVerb::RestartPolicies(_) => restart::RestartPolicies::run(context),
            SystemVerb::RestartDue(due) => due.run(context),
        }
    }
}
