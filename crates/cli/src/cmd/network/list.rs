//! `network list`.

use crate::cmd::Context;
use crate::failure::Outcome;
use crate::format::list::{self, Line, ListOptions};
use crate::format::table::Column;
use crate::format::{ListFormat, time};
use serde_json::{Value, json};
use tinyd_engine::NetworkSummary;

/// Digits of an id where it is cut.
const SHORT: usize = 12;

/// List networks
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd network ls
  tinyd network ls -q
  tinyd network ls --format '{{.Name}} {{.Subnet}}'")]
pub(super) struct List {
    /// Ids only
    #[arg(short, long)]
    quiet: bool,
    /// Whole ids
    #[arg(long)]
    no_trunc: bool,
    /// table, json (an object a line), a template such as '{{.Name}} {{.Subnet}}', or 'table TEMPLATE'
    #[arg(long, value_name = "FORMAT", value_parser = ListFormat::parse, default_value = "table")]
    format: ListFormat,
}

impl List {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let networks = context.engine()?.networks()?;
        let Self { format, quiet, no_trunc } = self;
        let rows: Vec<Row> = networks.into_iter().map(|network| Row { network, whole: no_trunc }).collect();
        list::print(context.console, &rows, ListOptions { format, quiet, no_trunc })
    }
}

struct Row {
    network: NetworkSummary,
    whole: bool,
}

impl Line for Row {
    const COLUMNS: &'static [Column] = &[
        Column::flexible("SUBNET"),
        Column::flexible("NAME"),
        Column::fixed("DRIVER"),
        Column::fixed("CONTAINERS"),
    ];

    fn key(&self) -> &str {
        let id = &self.network.id;
        if self.whole { id } else { id.get(..SHORT).unwrap_or(id) }
    }

    fn cells(&self) -> Vec<String> {
        let network = &self.network;
        let subnets = match network.subnets.is_empty() {
            true => "-".to_owned(),
            false => network.subnets.join(", "),
        };
        vec![subnets, network.name.clone(), network.driver.clone(), network.containers.to_string()]
    }

    // The time in RFC 3339.
    fn json(&self) -> Value {
        let network = &self.network;
        json!({
            "ID": self.key(),
            "Name": network.name,
            "Driver": network.driver,
            "Scope": "local",
            "Subnet": network.subnets.join(","),
            "IPv6": network.subnets.iter().any(|subnet| subnet.contains(':')),
            "Internal": network.internal,
            "Containers": network.containers,
            "Labels": network.labels,
            "CreatedAt": network.created.map(time::rfc3339),
        })
    }

    fn heading(field: &str) -> String {
        match field {
            "ID" => "NETWORK ID".to_owned(),
            "CreatedAt" => "CREATED".to_owned(),
            _ => field.to_ascii_uppercase(),
        }
    }
}
