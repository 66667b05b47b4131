//! `wait`: until containers have ended.

mod healthy;

use super::{Context, Verb};
use crate::failure::{Failure, Outcome, line_of};
use crate::opts;
use std::time::Duration;
use tinyd_engine::WaitCondition;

/// Wait until containers have ended, and print their exit codes; or until they are healthy
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd wait c1
  tinyd wait c1 c2
  tinyd wait --condition removed c1
  tinyd wait --healthy --timeout 30s c1")]
pub(crate) struct Wait {
    /// Wait for something else: not-running (or stopped), next-exit, removed, or running, of which no code is printed
    #[arg(long, value_name = "CONDITION", value_parser = condition, conflicts_with = "healthy")]
    condition: Option<WaitCondition>,
    /// Wait until their health checks have succeeded, one after the other; one that ends or is found unhealthy is a failure
    #[arg(long)]
    healthy: bool,
    /// With --healthy: how long to wait for each
    #[arg(long, value_name = "TIME", value_parser = opts::health::duration, requires = "healthy")]
    timeout: Option<Duration>,
    /// Ids, names or beginnings of ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

/// Docker's words, and Podman's for the same.
fn condition(text: &str) -> Result<WaitCondition, String> {
    match text {
        "not-running" | "stopped" | "exited" => Ok(WaitCondition::NotRunning),
        "next-exit" => Ok(WaitCondition::NextExit),
        "running" => Ok(WaitCondition::Running),
        "removed" => Ok(WaitCondition::Removed),
        _ => Err("there are not-running, stopped, next-exit, running and removed".to_owned()),
    }
}

impl Verb for Wait {
    const NAME: &'static str = "wait";

    fn run(self, context: &Context<'_>) -> Outcome {
        let engine = context.engine()?;
        if self.healthy {
            let mut failed = false;
            for container in &self.containers {
                if let Err(failure) = healthy::wait(engine.as_ref(), container, self.timeout) {
                    failure.line().iter().for_each(|line| context.console.tell(line));
                    failed = true;
                }
            }
            return if failed { Err(Failure::Reported(1)) } else { Ok(0) };
        }
        let mut failed = false;
        // All are asked for before any is waited for: a wrong name is told at once.
        let waiter = |container: &String| match self.condition {
            Some(condition) => engine.wait_for(container, condition),
            None => engine.wait(container),
        };
        let waiters: Vec<_> =
            self.containers.iter().map(|container| (container, waiter(container))).collect();
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
                Ok(_) if self.condition == Some(WaitCondition::Running) => {}
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
