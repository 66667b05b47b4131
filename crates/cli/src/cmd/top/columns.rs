//! The columns of `top`, with the words and headings of ps(1).

use crate::format::time;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use tinyd_engine::Process;

/// A column.
pub(super) struct Column {
    /// Its word.
    pub(super) word: &'static str,
    /// Other words for it.
    others: &'static [&'static str],
    pub(super) heading: &'static str,
    pub(super) value: fn(&Process) -> Value,
}

const fn column(
    word: &'static str,
    others: &'static [&'static str],
    heading: &'static str,
    value: fn(&Process) -> Value,
) -> Column {
    Column { word, others, heading, value }
}

/// All of them.
pub(super) const ALL: &[Column] = &[
    column("uid", &["euid"], "UID", |one| json!(one.uid)),
    column("user", &["euser", "uname"], "USER", |one| json!(user(one))),
    column("huid", &["huser"], "HUID", |one| json!(one.host_uid)),
    column("pid", &["hpid", "tgid"], "PID", |one| json!(one.pid)),
    column("cpid", &["nspid"], "CPID", |one| json!(one.inner_pid)),
    column("ppid", &[], "PPID", |one| json!(one.parent)),
    column("c", &[], "C", |one| json!(percent(one) as u64)),
    column("pcpu", &["%cpu"], "%CPU", |one| json!(format!("{:.1}", percent(one)))),
    column("stime", &["start_time"], "STIME", |one| json!(time::short(one.started, SystemTime::now()))),
    column("start", &["lstart"], "STARTED", |one| json!(time::rfc3339(one.started))),
    column("etime", &[], "ELAPSED", |one| json!(clock(Duration::from_nanos(one.age_ns)))),
    column("tty", &["tt", "tname"], "TTY", |one| json!(one.terminal.as_deref().unwrap_or("?"))),
    column("time", &["cputime"], "TIME", |one| json!(clock(Duration::from_nanos(one.cpu_ns)))),
    column("stat", &["s", "state"], "STAT", |one| json!(one.state.to_string())),
    column("ni", &["nice"], "NI", |one| json!(one.nice)),
    column("nlwp", &["thcount"], "NLWP", |one| json!(one.threads)),
    column("vsz", &["vsize"], "VSZ", |one| json!(one.virtual_bytes / 1024)),
    column("rss", &["rssize", "rsz"], "RSS", |one| json!(one.resident_bytes / 1024)),
    column("comm", &["ucmd", "ucomm"], "COMMAND", |one| json!(one.name)),
    column("args", &["cmd", "command"], "CMD", |one| json!(command(one))),
];

/// The column of a word, in any case.
pub(super) fn find(word: &str) -> Option<&'static Column> {
    let word = word.to_ascii_lowercase();
    ALL.iter().find(|column| column.word == word || column.others.contains(&word.as_str()))
}

/// The one name that everybody knows; which others there are only the container's own files say, which are not asked.
fn user(process: &Process) -> String {
    if process.uid == 0 { "root".to_owned() } else { process.uid.to_string() }
}

/// CPU time in hundredths of the time that it was there.
fn percent(process: &Process) -> f64 {
    match process.age_ns {
        0 => 0.0,
        age => process.cpu_ns as f64 * 100.0 / age as f64,
    }
}

/// `[DAYS-]HOURS:MINUTES:SECONDS`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest % 3600 / 60, rest % 60);
    if days > 0 { format!("{days}-{clock}") } else { clock }
}

/// The arguments; in brackets the name of what has none, as ps(1) has it.
fn command(process: &Process) -> String {
    if process.arguments.is_empty() {
        return format!("[{}]", process.name);
    }
    let words = process.arguments.join(" ");
    if process.cut { words + "…" } else { words }
}
