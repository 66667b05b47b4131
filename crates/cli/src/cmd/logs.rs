//! `logs`: what a container wrote.

use super::{Context, Verb};
use crate::console::{Console, write_all};
use crate::failure::{Failure, Outcome};
use crate::format::time;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::time::SystemTime;
use tinyd_engine::{LogEntry, LogSource, LogsRequest};

/// Print what a container wrote
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd logs c1
  tinyd logs -f --tail 10 c1
  tinyd logs -t --since 10m c1
  tinyd logs --since 2026-11-22T10:00:00Z --until 2026-11-22T11:00:00Z c1")]
pub(crate) struct Logs {
    /// Go on with what is written from now on, until the container ends
    #[arg(short, long)]
    follow: bool,
    /// Only so many of the last lines, or all
    #[arg(short = 'n', long, value_name = "LINES", value_parser = tail)]
    tail: Option<Tail>,
    /// Print the time of each line
    #[arg(short, long)]
    timestamps: bool,
    /// Only what was written since: a moment (2026-11-22T10:00:00Z, Unix seconds) or how long ago (10m)
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    since: Option<SystemTime>,
    /// Only what was written before
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    until: Option<SystemTime>,
    /// Id, name or beginning of an id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

#[derive(Clone, Copy, Debug)]
struct Tail(Option<usize>);

fn tail(text: &str) -> Result<Tail, String> {
    if text == "all" {
        return Ok(Tail(None));
    }
    text.parse().map(|lines| Tail(Some(lines))).map_err(|_| "it must be a number of lines, or all".to_owned())
}

impl Verb for Logs {
    const NAME: &'static str = "logs";

    fn run(self, context: &Context<'_>) -> Outcome {
        let request = LogsRequest {
            tail: self.tail.and_then(|Tail(lines)| lines),
            since: self.since,
            until: self.until,
            follow: self.follow,
        };
        let mut logs = context.engine()?.logs(&self.container, &request)?;
        // It is said first: what comes may not end.
        let lost = logs.unlogged();
        if lost > 0 {
            context
                .console
                .tell(&format!("note: {lost} bytes could not be logged and are missing: there was no room"));
        }
        let mut missed = 0;
        let mut printer = Printer::new(context.console, self.timestamps);
        loop {
            if let Some(stream) = logs.as_fd().filter(|_| self.follow)
                && reader_left(context.console, stream, self.until)
            {
                return Ok(0);
            }
            let entry = logs.next()?;
            if logs.missed() > missed {
                let bytes = logs.missed() - missed;
                context.console.tell(&format!(
                    "note: {bytes} bytes of the log are missing here: they were dropped before they were read (see --log-opt)"
                ));
                missed = logs.missed();
            }
            let Some(entry) = entry else { return Ok(0) };
            match printer.print(&entry) {
                Ok(()) => {}
                Err(Errno::PIPE) => return Ok(0),
                Err(errno) => return Err(Failure::failed("write the log", errno)),
            }
        }
    }
}

/// Waits until the log has something new, or the moment has come after which nothing is wanted; true when nobody reads our output
/// any more (`logs -f c1 | head -1`).
fn reader_left(console: Console<'_>, log: std::os::fd::BorrowedFd<'_>, until: Option<SystemTime>) -> bool {
    let left = until.map(|until| until.duration_since(SystemTime::now()).unwrap_or_default());
    let limit = left.and_then(|left| Timespec::try_from(left).ok());
    let mut asked = [PollFd::new(&log, PollFlags::IN), PollFd::new(&console.stdout, PollFlags::empty())];
    poll(&mut asked, limit.as_ref()).is_ok() && asked[1].revents().contains(PollFlags::ERR)
}

/// Prints entries to the stream that each came from.
struct Printer<'a> {
    console: Console<'a>,
    timestamps: bool,
    /// Whether each stream stands at the beginning of a line.
    fresh: [bool; 2],
}

impl<'a> Printer<'a> {
    fn new(console: Console<'a>, timestamps: bool) -> Self {
        Self { console, timestamps, fresh: [true; 2] }
    }

    fn print(&mut self, entry: &LogEntry) -> Result<(), Errno> {
        let (stream, fresh) = match entry.source {
            LogSource::Stdout => (self.console.stdout, &mut self.fresh[0]),
            LogSource::Stderr => (self.console.stderr, &mut self.fresh[1]),
        };
        if !self.timestamps {
            return write_all(stream, &entry.data);
        }
        let mut text = Vec::with_capacity(entry.data.len() + 40);
        for line in entry.data.split_inclusive(|&byte| byte == b'\n') {
            if std::mem::replace(fresh, line.ends_with(b"\n")) {
                text.extend_from_slice(time::precise(entry.time).as_bytes());
                text.push(b' ');
            }
            text.extend_from_slice(line);
        }
        write_all(stream, &text)
    }
}
