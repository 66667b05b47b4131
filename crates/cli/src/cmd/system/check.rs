//! `system check`: what has no owner.

use crate::cmd::Context;
use crate::failure::{Failure, Outcome};
use crate::format::escape;

/// Look for mounts, cgroups, folders and leases that belong to no container; exit with 1 when there are any
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd system check
  tinyd system check --repair")]
pub(super) struct Check {
    /// Put right what is found
    #[arg(long)]
    repair: bool,
}

impl Check {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let report = context.engine()?.check(self.repair)?;
        for finding in &report.findings {
            let state = match (finding.repaired, &finding.failure) {
                (true, _) => " (repaired)".to_owned(),
                (false, Some(failure)) => format!(" (not repaired: {failure})"),
                (false, None) => String::new(),
            };
            let line = format!("{}: {}{state}", finding.object, finding.problem);
            context.console.line(&escape::controls(&line))?;
        }
        context.console.notes(&report.notes);
        if report.is_clean() {
            return Ok(0);
        }
        if !self.repair {
            context.console.tell("something has no owner; see 'tinyd system check --repair'");
        }
        Err(Failure::Reported(1))
    }
}
