//! `system config`: what was set, and by whom.

use crate::cmd::Context;
use crate::failure::Outcome;
use crate::format::ListFormat;
use crate::format::list::{self, Line, ListOptions};
use crate::format::table::Column;
use crate::settings::Told;
use crate::settings::schema::{self, Setting};
use serde_json::{Value, json};

/// Print the settings that hold, and who says so: a variable, the configuration, or nobody
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Options before the verb, such as --root, are not shown: they win over what is set.

Examples:
  tinyd system config
  tinyd system config --format '{{.Setting}} {{.From}}'
  tinyd system config --schema > /etc/tinyd/config.toml")]
pub(super) struct Config {
    /// table, json (an object a line), a template such as '{{.Setting}} {{.Value}}', or 'table TEMPLATE'
    #[arg(long, value_name = "FORMAT", value_parser = ListFormat::parse, default_value = "table")]
    format: ListFormat,
    /// Print a configuration that sets nothing and documents what can be set
    #[arg(long, conflicts_with = "format")]
    schema: bool,
}

impl Config {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        if self.schema {
            return context.console.print(&schema::as_file()).map(|()| 0);
        }
        let settings = context.settings();
        let row = |setting: &&'static Setting| Row {
            setting,
            value: settings.held(setting),
            told: settings.get(setting),
        };
        let rows: Vec<Row<'_>> = schema::ALL.iter().map(row).collect();
        list::print(
            context.console,
            &rows,
            ListOptions { format: self.format, quiet: false, no_trunc: false },
        )
    }
}

struct Row<'a> {
    setting: &'static Setting,
    value: String,
    told: Option<&'a Told>,
}

impl Row<'_> {
    fn source(&self) -> String {
        match self.told {
            Some(told) => told.source.to_string(),
            None if self.setting.default.is_empty() => "-".to_owned(),
            None => "default".to_owned(),
        }
    }
}

impl Line for Row<'_> {
    const COLUMNS: &'static [Column] = &[
        Column::fixed("SETTING"),
        Column::flexible("VALUE"),
        Column::flexible("FROM"),
        Column::fixed("VARIABLE"),
    ];

    fn key(&self) -> &str {
        self.setting.key
    }

    fn cells(&self) -> Vec<String> {
        let value = if self.value.is_empty() { "-" } else { &self.value };
        vec![self.setting.key.to_owned(), value.to_owned(), self.source(), self.setting.variable.to_owned()]
    }

    fn json(&self) -> Value {
        json!({
            "Setting": self.setting.key,
            "Value": self.value,
            "From": self.source(),
            "Variable": self.setting.variable,
            "Option": self.setting.option,
            "Description": self.setting.help,
        })
    }
}
