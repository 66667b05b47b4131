//! `--filter KEY=VALUE`.

use tinyd_engine::{ContainerStatus, ContainerSummary, HealthStatus};

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// A part of the name.
    Name(String),
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
        "name" => Ok(Filter::Name(value.to_owned())),
        "id" => Ok(Filter::Id(value.to_owned())),
        "network" => Ok(Filter::Network(value.to_owned())),
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

impl Filter {
    /// It asks for containers that may not run, which are otherwise left out.
    pub(super) fn is_about_the_end(&self) -> bool {
        matches!(self, Self::Status(_) | Self::Exited(_))
    }

    fn fits(&self, container: &ContainerSummary) -> bool {
        match self {
            Self::Name(part) => container.name.as_ref().unwrap_or(&container.id).contains(part),
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

    #[test]
    fn others_are_refused() {
        for text in ["", "name", "colour=red", "status=odd", "exited=256", "exited=x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
