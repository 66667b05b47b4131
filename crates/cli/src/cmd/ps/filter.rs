//! `--filter KEY=VALUE`.

use tinyd_engine::{ContainerStatus, ContainerSummary, HealthStatus, network_name};

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// A part of the name, and whether it begins or ends with it.
    Name { part: String, begins: bool, ends: bool },
    /// The beginning of the id.
    Id(String),
    /// Where it stands.
    Status(ContainerStatus),
    /// A network that it is on.
    Network(String),
    /// How it has fared at its health checks; `None` for one without.
    Health(Option<HealthStatus>),
    /// How its command ended.
    Exited(u8),
}

/// Reads a condition.
pub(super) fn parse(text: &str) -> Result<Filter, String> {
    let known = "write it like name=web, id=68d1, network=web, status=exited, health=healthy or exited=137";
    let (key, value) = text.split_once('=').ok_or_else(|| known.to_owned())?;
    match key {
        "name" => name(value),
        "id" => Ok(Filter::Id(value.to_owned())),
        "network" => Ok(Filter::Network(network_name(value).to_owned())),
        "health" => match value {
            "starting" => Ok(Filter::Health(Some(HealthStatus::Starting))),
            "healthy" => Ok(Filter::Health(Some(HealthStatus::Healthy))),
            "unhealthy" => Ok(Filter::Health(Some(HealthStatus::Unhealthy))),
            "none" => Ok(Filter::Health(None)),
            _ => Err("the health is one of starting, healthy, unhealthy, none".to_owned()),
        },
        "status" => match value.to_ascii_lowercase().as_str() {
            "created" => Ok(Filter::Status(ContainerStatus::Created)),
            "running" => Ok(Filter::Status(ContainerStatus::Running)),
            "paused" => Ok(Filter::Status(ContainerStatus::Paused)),
            "restarting" => Ok(Filter::Status(ContainerStatus::Restarting)),
            "exited" | "stopped" => Ok(Filter::Status(ContainerStatus::Stopped)),
            _ => Err("the status is one of created, running, paused, restarting, exited".to_owned()),
        },
        "exited" => {
            value.parse().map(Filter::Exited).map_err(|_| "an exit code is a number from 0 to 255".to_owned())
        }
        _ => Err(known.to_owned()),
    }
}

/// A part of a name, which `^` and `$` hold to its beginning and its end. Docker's names begin with a slash.
fn name(text: &str) -> Result<Filter, String> {
    let (begins, rest) = text.strip_prefix('^').map_or((false, text), |rest| (true, rest));
    let (begins, rest) = rest.strip_prefix('/').map_or((begins, rest), |rest| (true, rest));
    let (ends, part) = rest.strip_suffix('$').map_or((false, rest), |rest| (true, rest));
    match part.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) {
        true => Ok(Filter::Name { part: part.to_owned(), begins, ends }),
        false => Err("no name has such characters; ^ and $ stand for its beginning and its end".to_owned()),
    }
}

impl Filter {
    /// It asks for containers that may not run, which are otherwise left out.
    pub(super) fn is_about_the_end(&self) -> bool {
        matches!(self, Self::Status(_) | Self::Exited(_))
    }

    fn fits(&self, container: &ContainerSummary) -> bool {
        match self {
            Self::Name { part, begins, ends } => {
                container.name.as_deref().is_some_and(|name| match (begins, ends) {
                    (true, true) => name == part,
                    (true, false) => name.starts_with(part),
                    (false, true) => name.ends_with(part),
                    (false, false) => name.contains(part),
                })
            }
            Self::Id(prefix) => container.id.starts_with(prefix),
            Self::Status(status) => container.status == *status,
            Self::Health(health) => container.health == *health,
            Self::Network(name) => container.networks.contains(name),
            Self::Exited(code) => {
                let exit = container.exit.filter(|_| container.status == ContainerStatus::Stopped);
                exit.is_some_and(|exit| !exit.unknown && exit.code == *code)
            }
        }
    }
}

/// Of one kind any may fit, of different kinds all must.
pub(super) fn all_fit(filters: &[Filter], container: &ContainerSummary) -> bool {
    filters.iter().all(|filter| {
        let kind = std::mem::discriminant(filter);
        let mut of_kind = filters.iter().filter(|other| std::mem::discriminant(*other) == kind);
        of_kind.any(|other| other.fits(container))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::summary;

    #[test]
    fn of_one_kind_any_of_different_kinds_all() {
        let web = summary("68d19c54", Some("web"), ContainerStatus::Stopped, Some(137));
        for (filters, fits) in [
            (&["name=we"][..], true),
            (&["name=db"], false),
            (&["name=^web$"], true),
            (&["name=^/web$"], true),
            (&["name=/web"], true),
            (&["name=^we"], true),
            (&["name=^eb"], false),
            (&["name=eb$"], true),
            (&["name=we$"], false),
            (&["network=bridge"], true),
            (&["name=db", "name=web"], true),
            (&["name=web", "id=68d1"], true),
            (&["name=web", "id=d1"], false),
            (&["status=exited", "exited=137"], true),
            (&["status=STOPPED"], true),
            (&["status=running", "status=exited"], true),
            (&["exited=0"], false),
            (&["network=tinyd"], true),
            (&["network=tiny"], false),
            (&[], true),
        ] {
            let parsed: Vec<_> = filters.iter().map(|text| parse(text).expect("a filter")).collect();
            assert_eq!(all_fit(&parsed, &web), fits, "{filters:?}");
        }
    }

    /// What somebody removes by a name is not what has some digits in an id that nobody sees.
    #[test]
    fn who_has_no_name_has_no_part_of_it() {
        let unnamed = summary("68d19c54", None, ContainerStatus::Stopped, Some(137));
        assert!(!all_fit(&[parse("name=9c").unwrap()], &unnamed));
        assert!(all_fit(&[parse("id=68d1").unwrap()], &unnamed));
    }

    #[test]
    fn others_are_refused() {
        for text in [
            "",
            "name",
            "name=a|b",
            "name=we.*",
            "name=a b",
            "colour=red",
            "status=odd",
            "exited=256",
            "exited=x",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
