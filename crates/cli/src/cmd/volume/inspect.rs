//! `volume inspect`.

use crate::cmd::Context;
use crate::cmd::inspect::each;
use crate::failure::Outcome;
use crate::format::ObjectFormat;

/// Print all that is known of volumes, as a JSON array
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd volume inspect data
  tinyd volume inspect -f '{{.Mountpoint}}' data")]
pub(super) struct Inspect {
    /// json, or a template such as '{{.Mountpoint}}', for each volume a line
    #[arg(short, long, value_name = "FORMAT", value_parser = ObjectFormat::parse)]
    format: Option<ObjectFormat>,
    /// Their names
    #[arg(value_name = "VOLUME", required = true)]
    volumes: Vec<String>,
}

impl Inspect {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        each(context, &self.volumes, self.format, |engine, volume| engine.inspect_volume(volume))
    }
}
