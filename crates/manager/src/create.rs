//! `create`: a container that does not run yet.

use crate::core::Core;
use crate::error::Result;
use crate::intent::Verb;
use tinyd_engine::{ContainerSpec, Created};

impl Core {
    pub(crate) fn create(&self, spec: &ContainerSpec) -> Result<Created> {
        let prepared = self.prepare(spec, Verb::Create)?;
        prepared.intent.finish()?;
        Ok(Created { id: prepared.record.id, notes: prepared.notes })
    }
}
