//! `network inspect`.

use crate::cmd::Context;
use crate::cmd::inspect::each;
use crate::failure::Outcome;
use crate::format::ObjectFormat;

/// Print all that is known of networks, as a JSON array
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd network inspect web
  tinyd network inspect -f '{{json .IPAM.Config}}' web db")]
pub(super) struct Inspect {
    /// json, or a template such as '{{.Driver}}', for each network a line
    #[arg(short, long, value_name = "FORMAT", value_parser = ObjectFormat::parse)]
    format: Option<ObjectFormat>,
    /// Names, ids or beginnings of ids
    #[arg(value_name = "NETWORK", required = true)]
    networks: Vec<String>,
}

impl Inspect {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        each(context, &self.networks, self.format, |engine, network| engine.inspect_network(network))
    }
}
