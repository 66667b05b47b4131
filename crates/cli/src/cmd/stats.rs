//! `stats`: what containers use.

mod sample;

use super::{Context, Verb};
use crate::console::write_all;
use crate::failure::{Failure, Outcome, line_of};
use crate::format::table::{Column, Table};
use crate::format::{ListFormat, escape, template};
use rustix::io::Errno;
use sample::Sample;
use std::time::Duration;
use tinyd_engine::{ContainerStats, ContainerStatus, Engine, ErrorKind, ListRequest};

/// Show what containers use: processor time, memory, traffic, disks, processes; again and again, each second
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd stats
  tinyd stats --no-stream c1 c2
  tinyd stats --no-stream --format '{{.Name}} {{.MemUsage}}'")]
pub(crate) struct Stats {
    /// Once, over one second
    #[arg(long)]
    no_stream: bool,
    /// table, json (an object a line), a template such as '{{.Name}} {{.CPUPerc}}', or 'table TEMPLATE'
    #[arg(long, value_name = "FORMAT", value_parser = ListFormat::parse, default_value = "table")]
    format: ListFormat,
    /// Ids, names or beginnings of ids; without one all that run
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// How far two looks are apart, over which processor time is measured.
const EVERY: Duration = Duration::from_secs(1);

/// Moves to the top left corner and wipes what is below (ECMA-48).
const WIPE: &str = "\x1b[H\x1b[J";

const COLUMNS: &[Column] = &[
    Column::fixed("CONTAINER ID"),
    Column::flexible("NAME"),
    Column::fixed("CPU %"),
    Column::fixed("MEM USAGE / LIMIT"),
    Column::fixed("MEM %"),
    Column::fixed("NET I/O"),
    Column::fixed("BLOCK I/O"),
    Column::fixed("PIDS"),
];

impl Verb for Stats {
    const NAME: &'static str = "stats";

    fn run(self, context: &Context<'_>) -> Outcome {
        let engine = context.engine()?;
        let mut before = self.look(engine.as_ref(), context, true)?;
        loop {
            std::thread::sleep(EVERY);
            let now = self.look(engine.as_ref(), context, false)?;
            let samples: Vec<Sample> = now.iter().filter_map(|now| Sample::between(&before, now)).collect();
            let is_read = self.show(context, &samples)?;
            if !is_read || self.no_stream || (now.is_empty() && !self.containers.is_empty()) {
                return Ok(0);
            }
            before = now;
        }
    }
}

impl Stats {
    /// Those that are named, which must be there at the first look, or all that run.
    fn look(
        &self,
        engine: &dyn Engine,
        context: &Context<'_>,
        first: bool,
    ) -> Result<Vec<ContainerStats>, Failure> {
        let named = !self.containers.is_empty();
        let words = match named {
            true => self.containers.clone(),
            false => {
                let all = engine.list(&ListRequest { all: false })?;
                let run = |status| matches!(status, ContainerStatus::Running | ContainerStatus::Paused);
                all.into_iter().filter(|one| run(one.status)).map(|one| one.id).collect()
            }
        };
        let mut found = Vec::with_capacity(words.len());
        let mut failed = None;
        for word in words {
            match engine.stats(&word) {
                Ok(stats) => found.push(stats),
                // It has ended since.
                Err(error) if !(named && first) && is_gone(error.kind()) => {}
                Err(error) => {
                    context.console.tell(&line_of(&error));
                    failed = Some(Failure::Reported(1));
                }
            }
        }
        match failed {
            Some(failure) => Err(failure),
            None => Ok(found),
        }
    }

    /// Tells whether somebody reads it still.
    fn show(&self, context: &Context<'_>, samples: &[Sample]) -> Result<bool, Failure> {
        let console = context.console;
        let mut text = String::new();
        match &self.format {
            ListFormat::Table => {
                let mut table = Table::new(COLUMNS);
                samples.iter().for_each(|sample| table.push(&sample.cells()));
                let width = console.window().filter(|_| console.is_terminal());
                text = table.render(width.map(|size| size.columns.into()));
            }
            ListFormat::Json => {
                samples.iter().for_each(|sample| text.push_str(&format!("{}\n", sample.json())));
            }
            ListFormat::Template(template) => {
                for sample in samples {
                    text.push_str(&template::render(template, &sample.json())?);
                    text.push('\n');
                }
            }
            ListFormat::TableTemplate(template) => {
                let mut lines = vec![template.map_fields(sample::heading)];
                for sample in samples {
                    lines.push(template::render(template, &sample.json())?);
                }
                text = crate::format::table::aligned(&lines);
            }
        }
        let text = escape::for_terminal(&text, console.is_terminal());
        let text = match console.is_terminal() && !self.no_stream {
            true => {
                // What scrolls away at the top would be the heading.
                let rows = console.window().map_or(usize::MAX, |size| usize::from(size.rows.max(2)) - 1);
                let seen: String = text.split_inclusive('\n').take(rows).collect();
                format!("{WIPE}{seen}").into()
            }
            false => text,
        };
        match write_all(console.stdout, text.as_bytes()) {
            Ok(()) => Ok(true),
            Err(Errno::PIPE) => Ok(false),
            Err(errno) => Err(Failure::failed("write standard output", errno)),
        }
    }
}

fn is_gone(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::WrongState)
}
