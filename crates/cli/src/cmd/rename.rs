//! `rename`: another name for a container.

use super::{Context, Verb};
use crate::failure::Outcome;

/// Give a container another name, running or not
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd rename web web-old
  tinyd rename 68d19c54 db")]
pub(crate) struct Rename {
    /// Id, name or beginning of an id
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// The new name, which no other container may have
    #[arg(value_name = "NAME")]
    name: String,
}

impl Verb for Rename {
    const NAME: &'static str = "rename";

    fn run(self, context: &Context<'_>) -> Outcome {
        context.engine()?.rename(&self.container, &self.name)?;
        Ok(0)
    }
}
