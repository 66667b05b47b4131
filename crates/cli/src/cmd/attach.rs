//! `attach`: the command of a container that runs already, in the foreground.

use super::{Context, Verb};
use crate::attach::{Foreground, Mode};
use crate::failure::{Codes, Outcome};
use crate::opts::SessionOptions;
use tinyd_engine::AttachRequest;

/// Attach to the command of a running container
#[derive(clap::Parser, Debug)]
#[command(
    long_about = "Attach to the command of a running container.\n\n\
        Shows what the command writes from now on, passes on what is typed where the container was made with -i, and ends \
        with the command's exit code. Any number may be attached at once. Ctrl-] (see --detach-keys) leaves the container \
        running. Who takes no output for long misses some of it and is told how much: the container does not wait.",
    after_help = "\
Examples:
  tinyd run -dit --name shell host bash; tinyd attach shell
  tinyd attach --detach-keys ctrl-p,ctrl-q shell
  tinyd attach --no-stdin --sig-proxy=false c1"
)]
pub(crate) struct Attach {
    /// Do not pass on what is typed
    #[arg(long)]
    no_stdin: bool,
    #[command(flatten)]
    session: SessionOptions,
    /// Id, name or beginning of an id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Verb for Attach {
    const NAME: &'static str = "attach";
    const CODES: Codes = Codes::Command;

    fn run(self, context: &Context<'_>) -> Outcome {
        let engine = context.engine()?;
        let seen = engine.inspect(&self.container)?;
        let mode = Mode { tty: seen.config.tty, interactive: seen.config.open_stdin && !self.no_stdin };
        let foreground = Foreground::prepare(context.console, context.settings(), mode, self.session.into())?;
        let request = AttachRequest { stdin: mode.interactive, window: foreground.window() };
        let session = engine.attach(&self.container, &request)?;
        foreground.attached(engine.as_ref(), &seen.id, session)
    }
}
