//! What is kept of a container's output.

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tinyd_engine::{LogConfig, LogDriver, LogOptions};
use tinyd_runtime::LogSpec;

/// How large a log file grows where nobody says.
const BYTES: u64 = 10 << 20;
/// A record has to fit, which may be 16 KiB long.
const LEAST: u64 = 32 << 10;
/// How many files are kept where nobody says.
const FILES: u32 = 3;
/// How many there can be.
pub(super) const MOST_FILES: u32 = 16;

/// Checks what was asked for.
pub(crate) fn check(wanted: &LogOptions) -> Result<()> {
    if wanted.driver == LogDriver::None && (wanted.max_size.is_some() || wanted.max_file.is_some()) {
        return Err(Error::invalid(
            "log driver",
            "none",
            "keeps nothing, and takes no max-size and max-file",
        ));
    }
    if let Some(size) = wanted.max_size.filter(|size| *size < LEAST) {
        return Err(Error::invalid("log option max-size", size.to_string(), "is less than 32k"));
    }
    match wanted.max_file {
        Some(files) if !(1..=MOST_FILES).contains(&files) => {
            let problem = format!("is not a number from 1 to {MOST_FILES}");
            Err(Error::invalid("log option max-file", files.to_string(), problem))
        }
        _ => Ok(()),
    }
}

/// For the monitor; `None` where nothing is kept.
pub(crate) fn spec(options: &LogOptions, path: PathBuf) -> Option<LogSpec> {
    (options.driver == LogDriver::Files).then(|| LogSpec {
        path,
        max_bytes: options.max_size.unwrap_or(BYTES),
        max_files: options.max_file.unwrap_or(FILES),
    })
}

/// For `inspect`.
pub(crate) fn shown(options: &LogOptions) -> LogConfig {
    match spec(options, PathBuf::new()) {
        Some(spec) => LogConfig {
            kind: "json-file".to_owned(),
            config: BTreeMap::from([
                ("max-size".to_owned(), spec.max_bytes.to_string()),
                ("max-file".to_owned(), spec.max_files.to_string()),
            ]),
        },
        None => LogConfig { kind: "none".to_owned(), config: BTreeMap::new() },
    }
}
