//! `network list`.

use crate::cmd::Context;
use crate::failure::Outcome;
use crate::format::table::{Column, Table, aligned};
use crate::format::{ListFormat, escape, template, time};
use serde_json::{Value, json};
use tinyd_engine::NetworkSummary;

/// Digits of an id where it is cut.
const SHORT: usize = 12;

const COLUMNS: &[Column] = &[
    Column::flexible("SUBNET"),
    Column::flexible("NAME"),
    Column::fixed("DRIVER"),
    Column::fixed("CONTAINERS"),
];

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
        let console = context.console;
        let networks = context.engine()?.networks()?;
        let id = |network: &NetworkSummary| match self.no_trunc {
            true => network.id.clone(),
            false => network.id.get(..SHORT).unwrap_or(&network.id).to_owned(),
        };
        let mut text = String::new();
        if self.quiet {
            networks.iter().for_each(|network| text.push_str(&format!("{}\n", id(network))));
            return console.print(&text).map(|()| 0);
        }
        let rows = networks.iter().map(|network| row(network, &id(network)));
        match self.format {
            ListFormat::Table => {
                let mut table = Table::new(COLUMNS);
                networks.iter().for_each(|network| table.push(&cells(network)));
                let width = console.window().filter(|_| console.is_terminal() && !self.no_trunc);
                text = table.render(width.map(|size| size.columns.into()));
            }
            ListFormat::Json => rows.for_each(|row| text.push_str(&format!("{row}\n"))),
            ListFormat::Template(template) => {
                for row in rows {
                    text.push_str(&template::render(&template, &row)?);
                    text.push('\n');
                }
            }
            ListFormat::TableTemplate(template) => {
                let mut lines = vec![template.map_fields(heading)];
                for row in rows {
                    lines.push(template::render(&template, &row)?);
                }
                text = aligned(&lines);
            }
        }
        console.print(&escape::for_terminal(&text, console.is_terminal())).map(|()| 0)
    }
}

/// The cells of the table, in its order.
fn cells(network: &NetworkSummary) -> [String; 4] {
    let subnets = match network.subnets.is_empty() {
        true => "-".to_owned(),
        false => network.subnets.join(", "),
    };
    [subnets, network.name.clone(), network.driver.clone(), network.containers.to_string()]
}

/// The same for programs, with the time in RFC 3339.
fn row(network: &NetworkSummary, id: &str) -> Value {
    json!({
        "ID": id,
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

/// What stands above a field of a template in a table.
fn heading(field: &str) -> String {
    match field {
        "ID" => "NETWORK ID".to_owned(),
        "CreatedAt" => "CREATED".to_owned(),
        _ => field.to_ascii_uppercase(),
    }
}
