//! `create`: a container that does not run yet.

use super::{Context, Verb};
use crate::argv::Form;
use crate::failure::{Codes, Outcome};
use crate::opts::ContainerOptions;

/// Make a container without starting it, and print its id
#[derive(clap::Parser, Debug)]
#[command(
    override_usage = "tinyd create [OPTIONS] IMAGE COMMAND [ARG...]\n       tinyd create -i IMAGE [OPTIONS] COMMAND [ARG...]",
    after_help = "\
Examples:
  tinyd create --name c1 host sleep 3000
  tinyd start c1"
)]
pub(crate) struct Create {
    #[command(flatten)]
    container: ContainerOptions,
}

impl Verb for Create {
    const NAME: &'static str = "create";
    const CODES: Codes = Codes::Command;
    const FORM: Form = Form::Image;

    fn run(self, context: &Context<'_>) -> Outcome {
        let wanted = self.container.into_spec(context.settings())?;
        let created = context.engine()?.create(&wanted.spec)?;
        context.console.notes(&wanted.notes);
        context.console.notes(&created.notes);
        context.console.line(&created.id).map(|()| 0)
    }
}
