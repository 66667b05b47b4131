//! The user namespaces that mounts are shown in.

use super::Mapping;
use crate::plan::IdmapPlan;
use crate::{Failure, FailureKind};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use tinyd_ns::idmap::{self, IdMaps};

/// Those that were made for mounts with maps of their own, each once.
#[derive(Default)]
pub(super) struct Mappings(Vec<(IdMaps, OwnedFd)>);

impl Mappings {
    /// The one for a mount whose ids are mapped.
    pub(super) fn of<'a>(
        &'a mut self,
        plan: Option<&IdmapPlan>,
        container: Option<Mapping<'a>>,
    ) -> Result<Option<BorrowedFd<'a>>, Failure> {
        let Some(plan) = plan else { return Ok(None) };
        let Some(maps) = &plan.maps else { return Ok(container.map(|mapping| mapping.user_namespace)) };
        let at = match self.0.iter().position(|(known, _)| known == maps) {
            Some(at) => at,
            None => {
                let namespace = idmap::namespace(maps).map_err(|error| {
                    Failure::new(FailureKind::Internal, "map the ids of a mount").caused_by(&error)
                })?;
                self.0.push((maps.clone(), namespace));
                self.0.len() - 1
            }
        };
        Ok(self.0.get(at).map(|(_, namespace)| namespace.as_fd()))
    }
}
