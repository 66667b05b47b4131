//! `ps`: the containers, a line each.

mod filter;
mod row;

use super::{Context, Verb};
use crate::failure::Outcome;
use crate::format::table::{Column, Table};
use crate::format::{ListFormat, escape, template};
use filter::Filter;
use row::Row;
use tinyd_engine::ListRequest;

/// List containers
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd ps
  tinyd ps -aq --filter status=exited
  tinyd ps --format json
  tinyd ps -a --format 'table {{.Names}}\\t{{.Status}}'")]
pub(crate) struct List {
    /// Those that do not run as well
    #[arg(short, long)]
    all: bool,
    /// Ids only
    #[arg(short, long)]
    quiet: bool,
    /// Whole ids and commands
    #[arg(long)]
    no_trunc: bool,
    /// table, json (an object a line), a template such as '{{.ID}} {{.Names}}', or 'table TEMPLATE'
    #[arg(long, value_name = "FORMAT", value_parser = ListFormat::parse, default_value = "table")]
    format: ListFormat,
    /// Only those with this name, id, status or exited=CODE; of one kind any may fit, of different kinds all must
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter::parse)]
    filter: Vec<Filter>,
}

impl Verb for List {
    const NAME: &'static str = "ps";

    fn run(self, context: &Context<'_>) -> Outcome {
        let console = context.console;
        let all = self.all || self.filter.iter().any(Filter::is_about_the_end);
        let containers = context.engine()?.list(&ListRequest { all })?;
        let rows: Vec<Row<'_>> = containers
            .iter()
            .filter(|container| filter::all_fit(&self.filter, container))
            .map(|container| Row::new(container, self.no_trunc))
            .collect();
        let mut text = String::new();
        if self.quiet {
            rows.iter().for_each(|row| text.push_str(&format!("{}\n", row.id())));
            return console.print(&text).map(|()| 0);
        }
        match self.format {
            ListFormat::Table => {
                let mut table = Table::new(COLUMNS);
                rows.iter().for_each(|row| table.push(&row.cells()));
                let width = console.window().filter(|_| console.is_terminal() && !self.no_trunc);
                text = table.render(width.map(|size| size.columns.into()));
            }
            ListFormat::Json => rows.iter().for_each(|row| text.push_str(&format!("{}\n", row.json()))),
            ListFormat::Template(template) => {
                for row in &rows {
                    text.push_str(&template::render(&template, &row.json())?);
                    text.push('\n');
                }
            }
            ListFormat::TableTemplate(template) => {
                let mut lines = vec![template.map_fields(row::heading)];
                for row in &rows {
                    lines.push(template::render(&template, &row.json())?);
                }
                text = crate::format::table::aligned(&lines);
            }
        }
        console.print(&escape::for_terminal(&text, console.is_terminal())).map(|()| 0)
    }
}

const COLUMNS: &[Column] = &[
    Column::fixed("CONTAINER ID"),
    Column::flexible("IMAGE"),
    Column::flexible("COMMAND"),
    Column::fixed("CREATED"),
    Column::fixed("STATUS"),
    Column::flexible("PORTS"),
    Column::flexible("VOLUME"),
    Column::flexible("NAMES"),
];
