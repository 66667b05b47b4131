//! `network list`.

use crate::cmd::Context;
use crate::failure::Outcome;
use crate::format::list::{self, Line, ListOptions};
use crate::format::table::Column;
use crate::format::{ListFormat, time};
use crate::prune::Label;
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
  tinyd network ls -q --filter label=stage=test
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
    /// Only those with this name (a part of it; ^ and $ hold it to the beginning and the end), id (its beginning), driver, or
    /// label (NAME or NAME=VALUE); of one kind any may fit, of different kinds all must
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<Filter>,
}

impl List {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let mut networks = context.engine()?.networks()?;
        let Self { format, quiet, no_trunc, filter } = self;
        networks.retain(|network| all_fit(&filter, network));
        let rows: Vec<Row> = networks.into_iter().map(|network| Row { network, whole: no_trunc }).collect();
        list::print(context.console, &rows, ListOptions { format, quiet, no_trunc })
    }
}

/// What a network must be to be listed.
#[derive(Clone, Debug)]
enum Filter {
    /// A part of the name, and whether it begins or ends with it.
    Name {
        part: String,
        begins: bool,
        ends: bool,
    },
    Id(String),
    Driver(String),
    Label(Label),
}

fn filter(text: &str) -> Result<Filter, String> {
    let known = "the filters are name=, id=, driver= and label=";
    let (key, value) = text.split_once('=').ok_or(known)?;
    match key {
        "name" => {
            let (begins, rest) = value.strip_prefix('^').map_or((false, value), |rest| (true, rest));
            let (ends, part) = rest.strip_suffix('$').map_or((false, rest), |rest| (true, rest));
            Ok(Filter::Name { part: part.to_owned(), begins, ends })
        }
        "id" => Ok(Filter::Id(value.to_owned())),
        "driver" => Ok(Filter::Driver(value.to_owned())),
        "label" => Ok(Filter::Label(Label::parse(value))),
        _ => Err(known.to_owned()),
    }
}

impl Filter {
    fn fits(&self, network: &NetworkSummary) -> bool {
        let name = network.name.as_str();
        match self {
            Self::Name { part, begins: true, ends: true } => name == part,
            Self::Name { part, begins: true, ends: false } => name.starts_with(part),
            Self::Name { part, begins: false, ends: true } => name.ends_with(part),
            Self::Name { part, begins: false, ends: false } => name.contains(part),
            Self::Id(beginning) => network.id.starts_with(beginning),
            Self::Driver(driver) => network.driver == *driver,
            Self::Label(label) => label.is_among(&network.labels),
        }
    }
}

fn all_fit(filters: &[Filter], network: &NetworkSummary) -> bool {
    let of_one_kind = |filter: &Filter| {
        let kind = std::mem::discriminant(filter);
        filters.iter().any(|other| std::mem::discriminant(other) == kind && other.fits(network))
    };
    filters.iter().all(of_one_kind)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_kind_any_of_different_kinds_all() {
        let web = NetworkSummary {
            id: "0123456789abcdef0123456789abcdef".to_owned(),
            name: "web".to_owned(),
            driver: "bridge".to_owned(),
            subnets: Vec::new(),
            internal: false,
            containers: 0,
            created: None,
            labels: [("stage".to_owned(), "test".to_owned())].into(),
        };
        for (filters, fits) in [
            (&["name=e"][..], true),
            (&["name=^web$"], true),
            (&["name=^e"], false),
            (&["name=we$"], false),
            (&["id=0123"], true),
            (&["id=123"], false),
            (&["driver=macvlan", "driver=bridge"], true),
            (&["label=stage"], true),
            (&["label=stage=test", "name=web"], true),
            (&["label=stage=live"], false),
            (&["label=stage", "name=db"], false),
            (&[], true),
        ] {
            let parsed: Vec<_> = filters.iter().map(|text| filter(text).expect("a filter")).collect();
            assert_eq!(all_fit(&parsed, &web), fits, "{filters:?}");
        }
        for text in ["", "name", "subnet=10.9.0.0/24"] {
            assert!(filter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_filter_chooses_what_is_printed() {
        let done = crate::testing::Bench::new().run("network ls -q --no-trunc -f driver=bridge");
        assert_eq!((done.code, done.stdout.as_str()), (0, "0123456789abcdef0123456789abcdef\n"));
    }
}
