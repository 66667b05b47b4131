//! `exec`: a further command in a running container.

use super::{Context, Verb};
use crate::argv::Form;
use crate::argv::image::MISSING_COMMAND;
use crate::attach::{Foreground, Mode};
use crate::failure::{Codes, Failure, Outcome};
use crate::opts::{KeyOptions, env};
use std::path::PathBuf;
use tinyd_engine::ExecSpec;

/// Run a further command in a running container
#[derive(clap::Parser, Debug)]
#[command(
    override_usage = "tinyd exec [OPTIONS] CONTAINER COMMAND [ARG...]",
    after_help = "\
Examples:
  tinyd exec c1 ls -l /
  tinyd exec -it c1 sh
  tinyd exec -u 1000 -w /tmp -e A=1 c1 env
  tinyd exec -i c1 tar -x < files.tar"
)]
pub(crate) struct Exec {
    /// Keep the command's standard input open and connect it; -it, -ti and --it are this with --tty
    #[arg(short, long)]
    interactive: bool,
    /// Give the command a terminal
    #[arg(short, long)]
    tty: bool,
    /// Start the command and do not wait; its output goes nowhere
    #[arg(short, long)]
    detach: bool,
    /// Set a variable; NAME alone takes its value from here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Set the variables that a file holds, one a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Run the command as this user
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// First folder of the command
    #[arg(short, long, value_name = "PATH")]
    workdir: Option<String>,
    #[command(flatten)]
    keys: KeyOptions,
    /// Id, name or beginning of an id, and the command
    #[arg(value_name = "CONTAINER COMMAND", hide = true)]
    words: Vec<String>,
}

impl Verb for Exec {
    const NAME: &'static str = "exec";
    const CODES: Codes = Codes::Command;
    const FORM: Form = Form::Command;

    fn run(self, context: &Context<'_>) -> Outcome {
        let mut words = self.words.into_iter();
        let container = words.next().ok_or_else(|| Failure::Usage("no container given".to_owned()))?;
        let command: Vec<String> = words.collect();
        if command.is_empty() {
            return Err(Failure::Usage(MISSING_COMMAND.to_owned()));
        }
        let mut spec = ExecSpec {
            command,
            env: env::collect(&self.env_file, self.env)?,
            user: self.user,
            workdir: self.workdir,
            tty: self.tty,
            interactive: self.interactive,
            detach: self.detach,
            window: None,
        };
        if self.detach {
            context.engine()?.exec(&container, &spec)?;
            return Ok(0);
        }
        let engine = context.engine()?;
        let mode = Mode { tty: self.tty, interactive: self.interactive };
        let foreground = Foreground::prepare(context.console, context.settings(), mode, self.keys.into())?;
        spec.window = foreground.window();
        let session = engine.exec(&container, &spec)?;
        foreground.exec(session.ok_or_else(|| Failure::Failed("the engine gave no session".to_owned()))?)
    }
}
