//! `diff`: what a container has changed of its image.

use super::{Context, Verb};
use crate::failure::Outcome;
use crate::format::escape;
use tinyd_engine::ChangeKind;

/// List what a container has changed of its image's files: A added, C changed, D deleted
#[derive(clap::Parser, Debug)]
#[command(
    long_about = "List what a container, running or not, has changed of its image's files: A added, C changed, D deleted.\n\n\
        A folder in which something has changed has changed itself. What lies in volumes and mounts is not the container's.",
    after_help = "\
Examples:
  tinyd diff c1
  tinyd diff c1 | grep ^A"
)]
pub(crate) struct Diff {
    /// Id, name or beginning of an id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Verb for Diff {
    const NAME: &'static str = "diff";

    fn run(self, context: &Context<'_>) -> Outcome {
        let mut text = String::new();
        for change in context.engine()?.diff(&self.container)? {
            let letter = match change.kind {
                ChangeKind::Added => 'A',
                ChangeKind::Changed => 'C',
                ChangeKind::Deleted => 'D',
            };
            // A name is the container's to choose: a line break in it must not look like another file.
            text.push_str(&format!("{letter} {}\n", escape::controls(&change.path)));
        }
        context.console.print(&text).map(|()| 0)
    }
}
