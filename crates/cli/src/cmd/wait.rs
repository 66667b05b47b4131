//! `wait`: until containers have ended.

use super::{Context, Verb};
use crate::failure::{Failure, Outcome, line_of};

/// Wait until containers have ended, and print their exit codes
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd wait c1
  tinyd wait c1 c2")]
pub(crate) struct Wait {
    /// Ids, names or beginnings of ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Wait {
    const NAME: &'static str = "wait";

    fn run(self, context: &Context<'_>) -> Outcome {
        let engine = context.engine()?;
        let mut failed = false;
        // All are asked for before any is waited for: a wrong name is told at once.
        let waiters: Vec<_> =
            self.containers.iter().map(|container| (container, engine.wait(container))).collect();
        let mut good = Vec::with_capacity(waiters.len());
        for (container, waiter) in waiters {
            match waiter {
                Ok(waiter) => good.push((container, waiter)),
                Err(error) => {
                    context.console.tell(&line_of(&error));
                    failed = true;
                }
            }
        }
        for (container, mut waiter) in good {
            match waiter.wait() {
                Ok(status) if status.unknown => {
                    context
                        .console
                        .tell(&format!("container {container} has ended, its exit code is not known"));
                    failed = true;
                }
                Ok(status) => context.console.line(&status.code.to_string())?,
                Err(error) => {
                    context.console.tell(&line_of(&error));
                    failed = true;
                }
            }
        }
        if failed { Err(Failure::Reported(1)) } else { Ok(0) }
    }
}
