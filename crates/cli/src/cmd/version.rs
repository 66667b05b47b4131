//! `version`: the client's and the engine's.

use super::{Context, Verb};
use crate::failure::Outcome;
use crate::format::{ObjectFormat, escape, template};
use serde_json::json;
use tinyd_engine::VersionInfo;

/// Print the versions of the client, the engine and what it stands on
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd version
  tinyd version --format json
  tinyd version --format '{{.Server.Version}}'")]
pub(crate) struct Version {
    /// json, or a template such as '{{.Client.Version}}'
    #[arg(short, long, value_name = "FORMAT", value_parser = ObjectFormat::parse)]
    format: Option<ObjectFormat>,
}

impl Verb for Version {
    const NAME: &'static str = "version";

    fn run(self, context: &Context<'_>) -> Outcome {
        let client = env!("CARGO_PKG_VERSION");
        let engine = context.engine().and_then(|engine| Ok(engine.version()?));
        let Some(format) = self.format else {
            // The client's own part is true whatever became of the engine.
            context.console.print(&format!("Client:\n  Version:  {client}\n"))?;
            return context.console.print(&text(&engine?)).map(|()| 0);
        };
        let engine = engine?;
        let value = json!({
            "Client": { "Version": client },
            "Server": {
                "Version": engine.engine,
                "Runtime": engine.runtime,
                "RuntimePath": engine.runtime_path,
                "OCI": engine.oci,
                "KernelVersion": engine.kernel,
                "Cgroup": engine.cgroup,
                "Arch": engine.arch,
            },
        });
        let text = match format {
            ObjectFormat::Json => value.to_string(),
            ObjectFormat::Template(template) => template::render(&template, &value)?,
        };
        context.console.line(&escape::for_terminal(&text, context.console.is_terminal())).map(|()| 0)
    }
}

fn text(engine: &VersionInfo) -> String {
    format!(
        "Engine:\n  Version:  {}\n  Runtime:  {} ({})\n  OCI:      {}\n  Kernel:   {}\n  Cgroup:   {}\n  Arch:     {}\n",
        engine.engine,
        engine.runtime,
        engine.runtime_path,
        engine.oci,
        engine.kernel,
        engine.cgroup,
        engine.arch
    )
}
