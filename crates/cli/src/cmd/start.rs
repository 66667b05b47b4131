//! `start`: the command of a container that was created or has stopped.

use super::{Context, Verb};
use crate::attach::{Foreground, Mode};
use crate::failure::{Codes, Failure, Outcome};
use crate::opts::SessionOptions;
use crate::order;
use tinyd_engine::StartRequest;

/// Start containers that were created or have stopped
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd start c1 c2
  tinyd start -a c1
  tinyd start -ai shell")]
pub(crate) struct Start {
    /// Stay in the foreground until the command ends, with its exit code
    #[arg(short, long)]
    attach: bool,
    /// Connect the standard input as well
    #[arg(short, long)]
    interactive: bool,
    #[command(flatten)]
    session: SessionOptions,
    /// Ids, names or beginnings of ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Start {
    const NAME: &'static str = "start";
    const CODES: Codes = Codes::Command;

    fn run(self, context: &Context<'_>) -> Outcome {
        if !self.attach && !self.interactive {
            return context.each(&self.containers, |engine, container| {
                let started = engine.start(container, &StartRequest::detached())?;
                context.console.notes(&started.notes);
                Ok(started.id)
            });
        }
        let [container] = self.containers.as_slice() else {
            return Err(Failure::Usage("only one container can be attached to".to_owned()));
        };
        let engine = context.engine()?;
        let shown = engine.inspect(container)?;
        let after: Vec<_> = shown.host_config.after.iter().filter_map(|one| one.parse().ok()).collect();
        order::wait(engine.as_ref(), &after)?;
        let config = shown.config;
        let mode = Mode { tty: config.tty, interactive: self.interactive && config.open_stdin };
        let foreground = Foreground::prepare(context.console, context.settings(), mode, self.session.into())?;
        let started = engine.start(container, &foreground.request())?;
        foreground.container(engine.as_ref(), started)
    }
}
