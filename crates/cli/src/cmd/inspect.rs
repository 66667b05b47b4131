//! `inspect`: all that is known.

use super::{Context, Verb};
use crate::failure::{Failure, Outcome, line_of};
use crate::format::{ObjectFormat, escape, template};

/// Print all that is known of containers, as a JSON array
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd inspect c1
  tinyd inspect -f '{{.State.Pid}}' c1
  tinyd inspect -f '{{json .HostConfig}}' c1 c2")]
pub(crate) struct Inspect {
    /// json, or a template such as '{{.State.Status}}', for each container a line
    #[arg(short, long, value_name = "FORMAT", value_parser = ObjectFormat::parse)]
    format: Option<ObjectFormat>,
    /// Ids, names or beginnings of ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Inspect {
    const NAME: &'static str = "inspect";
    const ALIASES: &'static [&'static str] = &["info"];

    fn run(self, context: &Context<'_>) -> Outcome {
        let engine = context.engine()?;
        let mut failed = false;
        let mut found = Vec::with_capacity(self.containers.len());
        for container in &self.containers {
            match engine.inspect(container) {
                Ok(inspect) => found.push(inspect),
                Err(error) => {
                    context.console.tell(&line_of(&error));
                    failed = true;
                }
            }
        }
        let text = match self.format {
            None => serde_json::to_string_pretty(&found).map_err(unwritten)? + "\n",
            Some(ObjectFormat::Json) => serde_json::to_string(&found).map_err(unwritten)? + "\n",
            Some(ObjectFormat::Template(template)) => {
                let mut text = String::new();
                for inspect in &found {
                    let value = serde_json::to_value(inspect).map_err(unwritten)?;
                    text.push_str(&template::render(&template, &value)?);
                    text.push('\n');
                }
                text
            }
        };
        context.console.print(&escape::for_terminal(&text, context.console.is_terminal()))?;
        if failed { Err(Failure::Reported(1)) } else { Ok(0) }
    }
}

fn unwritten(error: serde_json::Error) -> Failure {
    Failure::failed("write the answer as JSON", error)
}
