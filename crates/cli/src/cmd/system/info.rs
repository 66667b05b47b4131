//! `system info`: what the engine has, and what it does without.

use crate::cmd::Context;
use crate::failure::{Failure, Outcome};
use crate::format::{ObjectFormat, escape, template};
use std::fmt::Write as _;
use tinyd_engine::SystemInfo;

/// Say what the engine has, what it stands on, and what it does without on this host
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd system info
  tinyd system info -f '{{.CgroupVersion}}'")]
pub(super) struct Info {
    /// json, or a template such as '{{.Driver}}'
    #[arg(short, long, value_name = "FORMAT", value_parser = ObjectFormat::parse)]
    format: Option<ObjectFormat>,
}

impl Info {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let info = context.engine()?.info()?;
        let unwritten = |error| Failure::failed("write the answer as JSON", error);
        let text = match self.format {
            None => {
                for warning in &info.warnings {
                    context.console.tell(&format!("warning: {warning}"));
                }
                text(&info)
            }
            Some(ObjectFormat::Json) => serde_json::to_string(&info).map_err(unwritten)? + "\n",
            Some(ObjectFormat::Template(template)) => {
                let value = serde_json::to_value(&info).map_err(unwritten)?;
                template::render(&template, &value)? + "\n"
            }
        };
        context.console.print(&escape::for_terminal(&text, context.console.is_terminal())).map(|()| 0)
    }
}

fn text(info: &SystemInfo) -> String {
    let mut text = String::new();
    let mut line = |word: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{word}: {value}");
    };
    line("Engine Version", &info.server_version);
    line("Containers", &info.containers);
    line(" Running", &info.containers_running);
    line(" Paused", &info.containers_paused);
    line(" Stopped", &info.containers_stopped);
    line("Storage Driver", &info.driver);
    for (word, value) in &info.driver_status {
        line(&format!(" {word}"), value);
    }
    for driver in info.storage_drivers.iter().filter(|driver| !driver.available) {
        line(&format!(" Not {}", driver.name), &driver.note);
    }
    line("Volume Drivers", &info.plugins.volume.join(" "));
    line("Network Drivers", &info.plugins.network.join(" "));
    line("Runtime", &info.default_runtime);
    line("Cgroup Driver", &info.cgroup_driver);
    line("Cgroup Version", &info.cgroup_version);
    line("Security Options", &info.security_options.join(" "));
    line("Kernel Version", &info.kernel_version);
    line("Operating System", &info.operating_system);
    line("Architecture", &info.architecture);
    line("CPUs", &info.processors);
    line("Total Memory", &format!("{:.2} GiB", info.mem_total as f64 / f64::from(1 << 30)));
    line("Name", &info.name);
    line("Root Dir", &info.root_dir);
    text
}
