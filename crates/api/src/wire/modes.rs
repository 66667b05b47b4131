//! Choices of which some say more than their name, and what has other defaults than nothing.

use super::{Malformed, Wire};
use crate::proto;
use proto::event_filter::Filter;
use proto::events_request::Since;
use proto::network_mode::Mode;
use proto::restart_policy::Policy;
use proto::seccomp_profile::Profile;
use tinyd_engine::{
    EventFilter, EventsRequest, EventsSince, HealthCheck, NetworkMode, RestartPolicy, SeccompProfile,
};

impl Wire<Option<proto::NetworkMode>> for NetworkMode {
    fn into_wire(self) -> Option<proto::NetworkMode> {
        let mode = match self {
            Self::None => Mode::None(proto::Empty {}),
            Self::Host => Mode::Host(proto::Empty {}),
            Self::Container(container) => Mode::Container(container),
            Self::Networks(joins) => Mode::Networks(proto::NetworkJoins { joins: joins.into_wire() }),
        };
        Some(proto::NetworkMode { mode: Some(mode) })
    }

    fn from_wire(wire: Option<proto::NetworkMode>) -> Result<Self, Malformed> {
        Ok(match wire.and_then(|wire| wire.mode) {
            None | Some(Mode::None(_)) => Self::None,
            Some(Mode::Host(_)) => Self::Host,
            Some(Mode::Container(container)) => Self::Container(container),
            Some(Mode::Networks(networks)) => Self::Networks(Wire::from_wire(networks.joins)?),
        })
    }
}

impl Wire<Option<proto::SeccompProfile>> for SeccompProfile {
    fn into_wire(self) -> Option<proto::SeccompProfile> {
        let profile = match self {
            Self::Default => Profile::Default(proto::Empty {}),
            Self::Unconfined => Profile::Unconfined(proto::Empty {}),
            Self::Custom(json) => Profile::Custom(json),
        };
        Some(proto::SeccompProfile { profile: Some(profile) })
    }

    fn from_wire(wire: Option<proto::SeccompProfile>) -> Result<Self, Malformed> {
        Ok(match wire.and_then(|wire| wire.profile) {
            None | Some(Profile::Default(_)) => Self::Default,
            Some(Profile::Unconfined(_)) => Self::Unconfined,
            Some(Profile::Custom(json)) => Self::Custom(json),
        })
    }
}

impl Wire<Option<proto::RestartPolicy>> for RestartPolicy {
    fn into_wire(self) -> Option<proto::RestartPolicy> {
        let policy = match self {
            Self::No => Policy::No(proto::Empty {}),
            Self::OnFailure { max_retries } => Policy::OnFailure(max_retries),
            Self::Always => Policy::Always(proto::Empty {}),
            Self::UnlessStopped => Policy::UnlessStopped(proto::Empty {}),
        };
        Some(proto::RestartPolicy { policy: Some(policy) })
    }

    fn from_wire(wire: Option<proto::RestartPolicy>) -> Result<Self, Malformed> {
        Ok(match wire.and_then(|wire| wire.policy) {
            None | Some(Policy::No(_)) => Self::No,
            Some(Policy::OnFailure(max_retries)) => Self::OnFailure { max_retries },
            Some(Policy::Always(_)) => Self::Always,
            Some(Policy::UnlessStopped(_)) => Self::UnlessStopped,
        })
    }
}

impl Wire<proto::EventsRequest> for EventsRequest {
    fn into_wire(self) -> proto::EventsRequest {
        let Self { since, until, follow, filters } = self;
        let since = since.map(|since| match since {
            EventsSince::Number(number) => Since::Number(number),
            EventsSince::Time(time) => Since::Time(time.into_wire()),
        });
        proto::EventsRequest { since, until: until.into_wire(), follow, filters: filters.into_wire() }
    }

    fn from_wire(wire: proto::EventsRequest) -> Result<Self, Malformed> {
        let proto::EventsRequest { since, until, follow, filters } = wire;
        let since = since.map(|since| match since {
            Since::Number(number) => Ok(EventsSince::Number(number)),
            Since::Time(time) => Wire::from_wire(time).map(EventsSince::Time),
        });
        Ok(Self {
            since: since.transpose()?,
            until: Wire::from_wire(until)?,
            follow,
            filters: Wire::from_wire(filters)?,
        })
    }
}

impl Wire<proto::EventFilter> for EventFilter {
    fn into_wire(self) -> proto::EventFilter {
        let filter = match self {
            Self::Kind(kind) => Filter::Kind(kind),
            Self::Action(action) => Filter::Action(action),
            Self::Container(container) => Filter::Container(container),
            Self::Image(image) => Filter::Image(image),
            Self::Network(network) => Filter::Network(network),
            Self::Volume(volume) => Filter::Volume(volume),
            Self::Label(name, value) => Filter::Label(proto::Label { name, value }),
        };
        proto::EventFilter { filter: Some(filter) }
    }

    fn from_wire(wire: proto::EventFilter) -> Result<Self, Malformed> {
        Ok(match wire.filter.ok_or_else(|| Malformed::new("a filter that says nothing"))? {
            Filter::Kind(kind) => Self::Kind(kind),
            Filter::Action(action) => Self::Action(action),
            Filter::Container(container) => Self::Container(container),
            Filter::Image(image) => Self::Image(image),
            Filter::Network(network) => Self::Network(network),
            Filter::Volume(volume) => Self::Volume(volume),
            Filter::Label(label) => Self::Label(label.name, label.value),
        })
    }
}

impl Wire<proto::HealthCheck> for HealthCheck {
    fn into_wire(self) -> proto::HealthCheck {
        let Self { command, interval, timeout, retries, start_period, on_unhealthy } = self;
        proto::HealthCheck {
            command,
            interval: Some(interval.into_wire()),
            timeout: Some(timeout.into_wire()),
            retries: Some(retries),
            start_period: Some(start_period.into_wire()),
            on_unhealthy: on_unhealthy.into_wire(),
        }
    }

    fn from_wire(wire: proto::HealthCheck) -> Result<Self, Malformed> {
        let proto::HealthCheck { command, interval, timeout, retries, start_period, on_unhealthy } = wire;
        let mut check = Self::new(command);
        for (set, wanted) in [
            (&mut check.interval, interval),
            (&mut check.timeout, timeout),
            (&mut check.start_period, start_period),
        ] {
            if let Some(wanted) = wanted {
                *set = Wire::from_wire(wanted)?;
            }
        }
        check.retries = retries.unwrap_or(check.retries);
        check.on_unhealthy = Wire::from_wire(on_unhealthy)?;
        Ok(check)
    }
}
