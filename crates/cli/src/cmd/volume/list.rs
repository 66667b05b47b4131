//! `volume list`.

use crate::cmd::Context;
use crate::failure::Outcome;
use crate::format::list::{self, Line, ListOptions};
use crate::format::table::Column;
use crate::format::{ListFormat, time};
use serde_json::{Value, json};
use tinyd_engine::VolumeSummary;

/// List volumes
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd volume ls
  tinyd volume ls -q --filter dangling=true
  tinyd volume ls --format '{{.Name}} {{.Mountpoint}}'")]
pub(super) struct List {
    /// Names only
    #[arg(short, long)]
    quiet: bool,
    /// table, json (an object a line), a template such as '{{.Name}} {{.Driver}}', or 'table TEMPLATE'
    #[arg(long, value_name = "FORMAT", value_parser = ListFormat::parse, default_value = "table")]
    format: ListFormat,
    /// Only those with this name (a part of it), driver, label (NAME or NAME=VALUE), or dangling=true, which no container
    /// uses; of one kind any may fit, of different kinds all must
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<Filter>,
}

impl List {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let Self { quiet, format, filter } = self;
        let volumes = context.engine()?.volumes()?;
        let rows: Vec<Row> = volumes.into_iter().filter(|volume| all_fit(&filter, volume)).map(Row).collect();
        list::print(context.console, &rows, ListOptions { format, quiet, no_trunc: false })
    }
}

/// What a volume must be to be listed.
#[derive(Clone, Debug)]
enum Filter {
    Name(String),
    Driver(String),
    Label(String, Option<String>),
    Dangling(bool),
}

fn filter(text: &str) -> Result<Filter, String> {
    let known = "the filters are name=, driver=, label= and dangling=true";
    let (key, value) = text.split_once('=').ok_or(known)?;
    match (key, value) {
        ("name", name) => Ok(Filter::Name(name.to_owned())),
        ("driver", driver) => Ok(Filter::Driver(driver.to_owned())),
        ("label", label) => Ok(match label.split_once('=') {
            Some((name, value)) => Filter::Label(name.to_owned(), Some(value.to_owned())),
            None => Filter::Label(label.to_owned(), None),
        }),
        ("dangling", "true" | "1") => Ok(Filter::Dangling(true)),
        ("dangling", "false" | "0") => Ok(Filter::Dangling(false)),
        _ => Err(known.to_owned()),
    }
}

impl Filter {
    fn fits(&self, volume: &VolumeSummary) -> bool {
        match self {
            Self::Name(part) => volume.name.contains(part),
            Self::Driver(driver) => volume.driver == *driver,
            Self::Label(name, value) => {
                volume.labels.get(name).is_some_and(|there| value.as_ref().is_none_or(|value| value == there))
            }
            Self::Dangling(wanted) => (volume.containers == 0) == *wanted,
        }
    }
}

fn all_fit(filters: &[Filter], volume: &VolumeSummary) -> bool {
    let of_one_kind = |filter: &Filter| {
        let kind = std::mem::discriminant(filter);
        filters.iter().any(|other| std::mem::discriminant(other) == kind && other.fits(volume))
    };
    filters.iter().all(of_one_kind)
}

struct Row(VolumeSummary);

impl Line for Row {
    const COLUMNS: &'static [Column] =
        &[Column::fixed("DRIVER"), Column::flexible("VOLUME NAME"), Column::fixed("CONTAINERS")];

    fn key(&self) -> &str {
        &self.0.name
    }

    fn cells(&self) -> Vec<String> {
        vec![self.0.driver.clone(), self.0.name.clone(), self.0.containers.to_string()]
    }

    // The time in RFC 3339.
    fn json(&self) -> Value {
        let volume = &self.0;
        json!({
            "Name": volume.name,
            "Driver": volume.driver,
            "Scope": "local",
            "Mountpoint": volume.mountpoint,
            "Anonymous": volume.anonymous,
            "Containers": volume.containers,
            "Labels": volume.labels,
            "CreatedAt": time::rfc3339(volume.created),
        })
    }

    fn heading(field: &str) -> String {
        match field {
            "Name" => "VOLUME NAME".to_owned(),
            "CreatedAt" => "CREATED".to_owned(),
            _ => field.to_ascii_uppercase(),
        }
    }
}
