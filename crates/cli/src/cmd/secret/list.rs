//! `secret list`.

use crate::cmd::Context;
use crate::failure::Outcome;
use crate::format::list::{self, Line, ListOptions};
use crate::format::table::Column;
use crate::format::{ListFormat, time};
use serde_json::{Value, json};
use tinyd_engine::SecretSummary;

/// List secrets: all but what they hold
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd secret ls
  tinyd secret ls --filter name=db --format '{{.Name}} {{.CreatedAt}}'")]
pub(super) struct List {
    /// Names only
    #[arg(short, long)]
    quiet: bool,
    /// table, json (an object a line), a template such as '{{.Name}}', or 'table TEMPLATE'
    #[arg(long, value_name = "FORMAT", value_parser = ListFormat::parse, default_value = "table")]
    format: ListFormat,
    /// Only those with this name (a part of it); of several any may fit
    #[arg(short, long, value_name = "name=NAME", value_parser = filter)]
    filter: Vec<String>,
}

impl List {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let Self { quiet, format, filter } = self;
        let fits = |secret: &SecretSummary| {
            filter.is_empty() || filter.iter().any(|part| secret.name.contains(part.as_str()))
        };
        let secrets = context.engine()?.secrets()?;
        let rows: Vec<Row> = secrets.into_iter().filter(fits).map(Row).collect();
        list::print(context.console, &rows, ListOptions { format, quiet, no_trunc: false })
    }
}

fn filter(text: &str) -> Result<String, String> {
    text.strip_prefix("name=").map(str::to_owned).ok_or_else(|| "the filter is name=".to_owned())
}

struct Row(SecretSummary);

impl Line for Row {
    const COLUMNS: &'static [Column] =
        &[Column::flexible("NAME"), Column::fixed("CREATED"), Column::fixed("CONTAINERS")];

    fn key(&self) -> &str {
        &self.0.name
    }

    fn cells(&self) -> Vec<String> {
        let secret = &self.0;
        vec![secret.name.clone(), time::rfc3339(secret.created), secret.containers.to_string()]
    }

    fn json(&self) -> Value {
        let secret = &self.0;
        json!({
            "ID": secret.id,
            "Name": secret.name,
            "Driver": "file",
            "CreatedAt": time::rfc3339(secret.created),
            "UpdatedAt": time::rfc3339(secret.created),
            "Containers": secret.containers,
            "Labels": secret.labels,
        })
    }

    fn heading(field: &str) -> String {
        match field {
            "CreatedAt" => "CREATED".to_owned(),
            "UpdatedAt" => "UPDATED".to_owned(),
            _ => field.to_ascii_uppercase(),
        }
    }
}
