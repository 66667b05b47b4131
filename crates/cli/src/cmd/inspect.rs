//! `inspect`: all that is known.

use super::{Context, Verb};
use crate::failure::{Failure, Outcome, line_of};
use crate::format::{ObjectFormat, escape, template};
use tinyd_engine::Engine;

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
        each(context, &self.containers, self.format, |engine, container| engine.inspect(container))
    }
}

/// Prints what is found of each word: as an array, or by the format. One failure does not keep the others from being shown.
pub(super) fn each<T: serde::Serialize>(
    context: &Context<'_>,
    words: &[String],
    format: Option<ObjectFormat>,
    inspect: impl Fn(&dyn Engine, &str) -> tinyd_engine::Result<T>,
) -> Outcome {
    let engine = context.engine()?;
    let mut failed = false;
    let mut found = Vec::with_capacity(words.len());
    for word in words {
        match inspect(engine.as_ref(), word) {
            Ok(inspected) => found.push(inspected),
            Err(error) => {
                context.console.tell(&line_of(&error));
                failed = true;
            }
        }
    }
    let text = match format {
        None => serde_json::to_string_pretty(&found).map_err(unwritten)? + "\n",
        Some(ObjectFormat::Json) => serde_json::to_string(&found).map_err(unwritten)? + "\n",
        Some(ObjectFormat::Template(template)) => {
            let mut text = String::new();
            for inspected in &found {
                let value = serde_json::to_value(inspected).map_err(unwritten)?;
                text.push_str(&template::render(&template, &value)?);
                text.push('\n');
            }
            text
        }
    };
    context.console.print(&escape::for_terminal(&text, context.console.is_terminal()))?;
    if failed { Err(Failure::Reported(1)) } else { Ok(0) }
}

fn unwritten(error: serde_json::Error) -> Failure {
    Failure::failed("write the answer as JSON", error)
}
