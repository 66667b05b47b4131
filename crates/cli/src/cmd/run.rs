//! `run`: a container from nothing to its command's exit code.

use super::{Context, Verb};
use crate::argv::Form;
use crate::attach::{Foreground, Mode};
use crate::failure::{Codes, Failure, Outcome};
use crate::opts::{ContainerOptions, SessionOptions};
use crate::order;
use tinyd_engine::{ContainerSpec, StartRequest};

/// Run a command in a new container
#[derive(clap::Parser, Debug)]
#[command(
    override_usage = "tinyd run [OPTIONS] IMAGE COMMAND [ARG...]\n       tinyd run -i IMAGE [OPTIONS] COMMAND [ARG...]",
    long_about = "Run a command in a new container.\n\n\
        IMAGE is 'host', for a root made from this machine, or a folder that holds a root file system. The first form \
        stays in the foreground until the command ends, with its exit code. In the second the image follows -i and every \
        word after the options is the command; it returns at once and the container goes on, unless --it is given. -i \
        before another option, or together with other letters (-it), connects the standard input. Options end at the \
        first word that is none.",
    after_help = "\
Examples:
  tinyd run --rm host sh -c 'echo Hello World'
  tinyd run -it --rm host bash
  tinyd run -dit --name shell host bash
  tinyd run -d --name web -v /srv/www:/www:ro /srv/nginx nginx
  tinyd run -i /srv/redis --cpu 10000 --mem 500m --name c1 /bin/sleep 3000
  tinyd run --rm -m 100m --cpus 1.5 host make"
)]
pub(crate) struct Run {
    /// Leave the container running and print its id
    #[arg(short, long)]
    detach: bool,
    /// Print a banner where an interactive session begins
    #[arg(long)]
    banner: bool,
    #[command(flatten)]
    session: SessionOptions,
    #[command(flatten)]
    container: ContainerOptions,
}

impl Verb for Run {
    const NAME: &'static str = "run";
    const CODES: Codes = Codes::Command;
    const FORM: Form = Form::Image;

    fn run(self, context: &Context<'_>) -> Outcome {
        let wanted = self.container.into_spec(context.settings())?;
        let spec = wanted.spec;
        let is_detached = self.detach || (wanted.image_named && !spec.interactive);
        if is_detached {
            let sentence = wanted.image_named && !self.detach && context.console.is_terminal();
            return detached(context, &spec, &wanted.notes, sentence);
        }
        let mode = Mode { tty: spec.tty, interactive: spec.interactive };
        let engine = context.engine()?;
        order::wait(engine.as_ref(), &spec.after)?;
        let foreground = Foreground::prepare(context.console, context.settings(), mode, self.session.into())?;
        let started = engine.run(&spec, &foreground.request())?;
        context.console.notes(&wanted.notes);
        if self.banner && mode.interactive {
            banner(context, &spec)?;
        }
        foreground.container(engine.as_ref(), started)
    }
}

fn detached(context: &Context<'_>, spec: &ContainerSpec, notes: &[String], sentence: bool) -> Outcome {
    let engine = context.engine()?;
    order::wait(engine.as_ref(), &spec.after)?;
    let started = engine.run(spec, &StartRequest::detached())?;
    context.console.notes(notes);
    context.console.notes(&started.notes);
    let id = &started.id;
    let line = match sentence {
        true => format!("Create ContainerId {} Successfully", id.get(..8).unwrap_or(id)),
        false => id.clone(),
    };
    context.console.line(&line).map(|()| 0)
}

/// `=====sh=====`, where people look and programs do not.
fn banner(context: &Context<'_>, spec: &ContainerSpec) -> Result<(), Failure> {
    let words = spec.entrypoint.iter().flatten().chain(&spec.command);
    let program = words.map(String::as_str).next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or(program);
    let line = format!("====={}=====\n", crate::format::escape::controls(name));
    crate::console::write_all(context.console.stderr, line.as_bytes())
        .map_err(|errno| Failure::failed("write the banner", errno))
}
