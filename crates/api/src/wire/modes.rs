//! Choices of which some say more than their name.

use super::{Malformed, Wire};
use crate::proto;
use proto::network_mode::Mode;
use proto::seccomp_profile::Profile;
use tinyd_engine::{NetworkMode, SeccompProfile};

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
