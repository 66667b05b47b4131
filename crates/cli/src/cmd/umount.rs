//! `umount`: undoes `mount`.

use super::{Context, Verb};
use crate::failure::Outcome;

/// Undo what mount did
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd umount c1")]
pub(crate) struct Unmount {
    /// Ids, names or beginnings of ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Unmount {
    const NAME: &'static str = "umount";
    const ALIASES: &'static [&'static str] = &["unmount"];

    fn run(self, context: &Context<'_>) -> Outcome {
        context.each(&self.containers, |engine, container| engine.unmount(container))
    }
}
