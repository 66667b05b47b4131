//! `volume df`.

use crate::cmd::Context;
use crate::failure::Outcome;
use crate::format::ListFormat;
use crate::format::list::{self, Line, ListOptions};
use crate::format::size::size;
use crate::format::table::Column;
use serde_json::{Value, json};
use tinyd_engine::VolumeUsage;

/// Show how much room volumes take, and may take
#[derive(clap::Args, Debug)]
#[command(
    long_about = "Show how much room volumes take, and may take.\n\n\
        Files are counted by what they take where they lie, without what is mounted in a volume. What a server says nothing of \
        within ten seconds is shown as -.",
    after_help = "\
Examples:
  tinyd volume df
  tinyd volume df --format '{{.Name}} {{.Size}}'"
)]
pub(super) struct Df {
    /// Names only
    #[arg(short, long)]
    quiet: bool,
    /// table, json (an object a line), a template such as '{{.Name}} {{.Size}}', or 'table TEMPLATE'
    #[arg(long, value_name = "FORMAT", value_parser = ListFormat::parse, default_value = "table")]
    format: ListFormat,
}

impl Df {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let Self { quiet, format } = self;
        let rows: Vec<Row> = context.engine()?.volume_usage()?.into_iter().map(Row).collect();
        list::print(context.console, &rows, ListOptions { format, quiet, no_trunc: false })
    }
}

struct Row(VolumeUsage);

/// What is not known, or is not there.
const NONE: &str = "-";

fn told(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| NONE.to_owned(), size)
}

impl Line for Row {
    const COLUMNS: &'static [Column] = &[
        Column::flexible("VOLUME NAME"),
        Column::fixed("DRIVER"),
        Column::fixed("SIZE"),
        Column::fixed("LIMIT"),
        Column::fixed("CONTAINERS"),
    ];

    fn key(&self) -> &str {
        &self.0.name
    }

    fn cells(&self) -> Vec<String> {
        let usage = &self.0;
        let (name, driver) = (usage.name.clone(), usage.driver.clone());
        vec![name, driver, told(usage.used), told(usage.limit), usage.containers.to_string()]
    }

    // In bytes; null for what is not known.
    fn json(&self) -> Value {
        let usage = &self.0;
        json!({
            "Name": usage.name,
            "Driver": usage.driver,
            "Size": usage.used,
            "Limit": usage.limit,
            "Containers": usage.containers,
        })
    }

    fn heading(field: &str) -> String {
        match field {
            "Name" => "VOLUME NAME".to_owned(),
            _ => field.to_ascii_uppercase(),
        }
    }
}
