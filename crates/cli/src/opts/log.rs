//! What is kept of a container's output.

use super::limits::memory;
use crate::failure::Failure;
use crate::settings::{Settings, parts, schema};
use tinyd_engine::{LogDriver, LogOptions as Wanted};

/// The options of a container's log, with Docker's words.
#[derive(clap::Args, Debug)]
pub(crate) struct LogOptions {
    /// Keep the output in files (json-file, local, k8s-file: all the same), or not at all (none)
    #[arg(long, value_name = "DRIVER", value_parser = driver)]
    log_driver: Option<LogDriver>,
    /// How much of it is kept: max-size=10m for a file, max-file=3 of them. May be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = option)]
    log_opt: Vec<LogOption>,
}

#[derive(Clone, Copy, Debug)]
enum LogOption {
    MaxSize(u64),
    MaxFile(u32),
}

impl LogOptions {
    pub(super) fn collect(self, settings: &Settings) -> Result<Wanted, Failure> {
        let mut wanted = Wanted { driver: self.log_driver.unwrap_or_default(), ..Wanted::default() };
        let set = settings
            .parse(&schema::LOG_OPTIONS, |text| parts(text).map(option).collect::<Result<Vec<_>, _>>())?;
        // What is not kept at all has no size.
        let set = set.filter(|_| wanted.driver != LogDriver::None).unwrap_or_default();
        for option in set.into_iter().chain(self.log_opt) {
            match option {
                LogOption::MaxSize(bytes) => wanted.max_size = Some(bytes),
                LogOption::MaxFile(files) => wanted.max_file = Some(files),
            }
        }
        Ok(wanted)
    }
}

fn driver(text: &str) -> Result<LogDriver, String> {
    match text {
        "json-file" | "local" | "k8s-file" => Ok(LogDriver::Files),
        "none" => Ok(LogDriver::None),
        _ => Err("there are json-file and none".to_owned()),
    }
}

fn option(text: &str) -> Result<LogOption, String> {
    match text.split_once('=') {
        Some(("max-size", size)) => memory(size).map(LogOption::MaxSize),
        Some(("max-file", files)) => {
            files.parse().map(LogOption::MaxFile).map_err(|_| format!("{files:?} is no number of files"))
        }
        _ => Err("there are max-size=SIZE and max-file=NUMBER".to_owned()),
    }
}
