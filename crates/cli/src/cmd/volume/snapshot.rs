//! `volume snapshot`.

use crate::cmd::Context;
use crate::failure::Outcome;
use crate::format::list::{self, Line, ListOptions};
use crate::format::table::Column;
use crate::format::{ListFormat, time};
use serde_json::{Value, json};
use std::time::SystemTime;
use tinyd_engine::VolumeSnapshot;

/// Keep, show and forget states of volumes whose driver can: btrfs
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd volume snapshot create db before-upgrade
  tinyd volume snapshot ls db
  tinyd volume rollback db before-upgrade
  tinyd volume snapshot rm db before-upgrade")]
pub(super) struct Snapshot {
    #[command(subcommand)]
    verb: SnapshotVerb,
}

#[derive(clap::Subcommand, Debug)]
enum SnapshotVerb {
    Create(Create),
    #[command(visible_alias = "ls")]
    List(List),
    #[command(name = "rm", visible_aliases = ["remove", "delete"])]
    Remove(Remove),
}

/// Keep the state that a volume has now, and print its name
#[derive(clap::Args, Debug)]
struct Create {
    /// The volume
    #[arg(value_name = "VOLUME")]
    volume: String,
    /// What the state is called; by default after the time
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// List the states of a volume that are kept, the oldest first
#[derive(clap::Args, Debug)]
struct List {
    /// Names only
    #[arg(short, long)]
    quiet: bool,
    /// table, json (an object a line), a template such as '{{.Name}}', or 'table TEMPLATE'
    #[arg(long, value_name = "FORMAT", value_parser = ListFormat::parse, default_value = "table")]
    format: ListFormat,
    /// The volume
    #[arg(value_name = "VOLUME")]
    volume: String,
}

/// Forget states of a volume
#[derive(clap::Args, Debug)]
struct Remove {
    /// The volume
    #[arg(value_name = "VOLUME")]
    volume: String,
    /// Their names
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

impl Snapshot {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        match self.verb {
            SnapshotVerb::Create(create) => {
                let name = context.engine()?.snapshot_volume(&create.volume, create.name.as_deref())?;
                context.console.line(&name).map(|()| 0)
            }
            SnapshotVerb::List(List { quiet, format, volume }) => {
                let rows: Vec<Row> =
                    context.engine()?.volume_snapshots(&volume)?.into_iter().map(Row).collect();
                list::print(context.console, &rows, ListOptions { format, quiet, no_trunc: false })
            }
            SnapshotVerb::Remove(remove) => {
                context.each(&remove.names, |engine, name| engine.remove_snapshot(&remove.volume, name))
            }
        }
    }
}

struct Row(VolumeSnapshot);

impl Line for Row {
    const COLUMNS: &'static [Column] = &[Column::flexible("SNAPSHOT"), Column::fixed("CREATED")];

    fn key(&self) -> &str {
        &self.0.name
    }

    fn cells(&self) -> Vec<String> {
        vec![self.0.name.clone(), time::short(self.0.created, SystemTime::now())]
    }

    // The time in RFC 3339.
    fn json(&self) -> Value {
        json!({ "Name": self.0.name, "CreatedAt": time::rfc3339(self.0.created) })
    }

    fn heading(field: &str) -> String {
        match field {
            "Name" => "SNAPSHOT".to_owned(),
            "CreatedAt" => "CREATED".to_owned(),
            _ => field.to_ascii_uppercase(),
        }
    }
}
