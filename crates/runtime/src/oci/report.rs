//! Where failures are told: on standard error for people, and in the file of `--log` for the engine that called.

use super::options::Parsed;
use crate::config::{Mount, Process};
use crate::monitor::{now_ns, rfc3339};
use crate::{Failure, FailureKind, plan};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;

/// How the file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Format {
    #[default]
    Text,
    Json,
}

/// Where it goes.
#[derive(Debug, Default)]
pub(super) struct Reports {
    file: Option<PathBuf>,
    format: Format,
}

impl Reports {
    pub(super) fn of(parsed: &Parsed) -> Result<Self, String> {
        let format = match parsed.last("log-format") {
            None | Some("text" | "") => Format::Text,
            Some("json") => Format::Json,
            Some(other) => return Err(format!("--log-format {other}: text or json")),
        };
        let file = parsed.last("log").filter(|file| !file.is_empty()).map(PathBuf::from);
        Ok(Self { file, format })
    }

    /// Tells of a failure.
    pub(super) fn failed(&self, failure: &Failure) {
        let mut line = failure.in_one_line();
        // Engines look for these words, in lower case, to end as a shell would.
        line.push_str(match failure.kind {
            FailureKind::CommandNotFound => ": executable file not found in $PATH: no such file or directory",
            FailureKind::CommandNotExecutable if line.contains("Permission denied") => ": permission denied",
            _ => "",
        });
        self.error(&line);
    }

    /// Tells of wrong words; gives the exit code.
    pub(super) fn wrong_use(&self, problem: &str) -> u8 {
        let failure = Failure::new(FailureKind::Invalid, problem);
        self.error(&format!("{}; see tinyd-runtime --help", failure.in_one_line()));
        2
    }

    fn error(&self, text: &str) {
        // On standard error in any case.
        let _ = writeln!(std::io::stderr(), "tinyd-runtime: error: {text}");
        let _ = self.log("error", text);
    }

    /// Where there is a file it is said there alone: standard error is the command's as well.
    fn remark(&self, level: &str, text: &str) {
        if !self.log(level, text).is_ok_and(|logged| logged) {
            let _ = writeln!(std::io::stderr(), "tinyd-runtime: {level}: {text}");
        }
    }

    /// Writes it to the file; whether there is one.
    fn log(&self, level: &str, text: &str) -> std::io::Result<bool> {
        let Some(file) = &self.file else { return Ok(false) };
        let time = rfc3339(now_ns());
        let line = match self.format {
            Format::Text => format!("time={time:?} level={level} msg={text:?}\n"),
            Format::Json => {
                let mut line = serde_json::json!({ "level": level, "msg": text, "time": time }).to_string();
                line.push('\n');
                line
            }
        };
        // NONBLOCK: a FIFO that nobody reads must not keep us waiting.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let opened = OpenOptions::new().append(true).create(true).mode(0o644).custom_flags(flags).open(file);
        opened.and_then(|mut file| file.write_all(line.as_bytes())).map(|()| true)
    }
}

/// Those of this program's call.
static REPORTS: OnceLock<Reports> = OnceLock::new();

/// Has remarks go where failures go.
pub(super) fn begin(reports: Reports) -> &'static Reports {
    REPORTS.get_or_init(|| reports)
}

fn remark(level: &str, text: &str) {
    REPORTS.get_or_init(Reports::default).remark(level, text);
}

/// Tells what of a configuration is left out.
pub(super) fn warn_of(process: &Process, mounts: &[Mount]) {
    for warning in plan::ungranted(process).into_iter().chain(plan::unheard(mounts)) {
        warn(&Failure::new(FailureKind::Invalid, warning));
    }
}

/// Tells what is done, for who looks for the reason of something.
pub(super) fn debug(text: &str) {
    remark("debug", text);
}

/// Tells of something that stops nothing.
pub(super) fn warn(failure: &Failure) {
    remark("warning", &failure.in_one_line());
}
