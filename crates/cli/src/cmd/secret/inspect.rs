//! `secret inspect`.

use crate::cmd::Context;
use crate::cmd::inspect::each;
use crate::failure::Outcome;
use crate::format::ObjectFormat;

/// Print what is told of secrets, as a JSON array: all but what they hold
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd secret inspect db
  tinyd secret inspect -f '{{.Spec.Name}} {{.CreatedAt}}' db")]
pub(super) struct Inspect {
    /// json, or a template such as '{{.Spec.Labels}}', for each secret a line
    #[arg(short, long, value_name = "FORMAT", value_parser = ObjectFormat::parse)]
    format: Option<ObjectFormat>,
    /// Their names
    #[arg(value_name = "SECRET", required = true)]
    secrets: Vec<String>,
}

impl Inspect {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        each(context, &self.secrets, self.format, |engine, secret| engine.inspect_secret(secret))
    }
}
