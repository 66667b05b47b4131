//! `mount`: a container's root file system for other tools.

use super::{Context, Verb};
use crate::failure::Outcome;
use tinyd_engine::{Error, ErrorKind};

/// Mount the root file systems of stopped containers, and print where
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd mount c1
  ls $(tinyd mount c1)")]
pub(crate) struct Mount {
    /// Ids, names or beginnings of ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Mount {
    const NAME: &'static str = "mount";

    fn run(self, context: &Context<'_>) -> Outcome {
        context.each(&self.containers, |engine, container| {
            let path = engine.mount(container)?.into_os_string();
            path.into_string().map_err(|path| {
                let path = path.to_string_lossy().into_owned();
                Error::new(ErrorKind::Internal, format!("mounted at a path that is not valid UTF-8: {path}"))
            })
        })
    }
}
