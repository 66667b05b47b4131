//! `ps`: the containers, a line each.

mod filter;
mod row;

use super::{Context, Verb};
use crate::failure::Outcome;
use crate::format::ListFormat;
use crate::format::list::{self, ListOptions};
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
    /// Only those with this name, id, network, status, health or exited=CODE; of one kind any may fit, of different kinds all must
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter::parse)]
    filter: Vec<Filter>,
}

impl Verb for List {
    const NAME: &'static str = "ps";

    fn run(self, context: &Context<'_>) -> Outcome {
        let all = self.all || self.filter.iter().any(Filter::is_about_the_end);
        let containers = context.engine()?.list(&ListRequest { all })?;
        let rows: Vec<Row<'_>> = containers
            .iter()
            .filter(|container| filter::all_fit(&self.filter, container))
            .map(|container| Row::new(container, self.no_trunc))
            .collect();
        let Self { format, quiet, no_trunc, .. } = self;
        list::print(context.console, &rows, ListOptions { format, quiet, no_trunc })
    }
}
