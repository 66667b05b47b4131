//! `system`: the engine as a whole.

use super::{Context, Verb};
use crate::failure::{Failure, Outcome};
use crate::format::escape;

/// Look after the engine as a whole
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd system check
  tinyd system check --repair")]
pub(crate) struct System {
    #[command(subcommand)]
    verb: SystemVerb,
}

#[derive(clap::Subcommand, Debug)]
enum SystemVerb {
    /// Look for mounts, cgroups, folders and leases that belong to no container; exit with 1 when there are any
    #[command(after_help = "\
Examples:
  tinyd system check
  tinyd system check --repair")]
    Check {
        /// Put right what is found
        #[arg(long)]
        repair: bool,
    },
}

impl Verb for System {
    const NAME: &'static str = "system";

    fn run(self, context: &Context<'_>) -> Outcome {
        let SystemVerb::Check { repair } = self.verb;
        let report = context.engine()?.check(repair)?;
        for finding in &report.findings {
            let state = match (finding.repaired, &finding.failure) {
                (true, _) => " (repaired)".to_owned(),
                (false, Some(failure)) => format!(" (not repaired: {failure})"),
                (false, None) => String::new(),
            };
            let line = format!("{}: {}{state}", finding.object, finding.problem);
            context.console.line(&escape::controls(&line))?;
        }
        if report.is_clean() {
            return Ok(0);
        }
        if !repair {
            context.console.tell("something has no owner; see 'tinyd system check --repair'");
        }
        Err(Failure::Reported(1))
    }
}
