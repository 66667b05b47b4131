//! `run`: a container made and started in one.

use crate::core::Core;
use crate::error::Result;
use crate::intent::Verb;
use crate::points;
use crate::session::{Left, LocalSession};
use crate::validate;
use tinyd_engine::{ContainerSpec, StartRequest, Started};

impl Core {
    pub(crate) fn run(&self, spec: &ContainerSpec, request: &StartRequest) -> Result<Started> {
        if !spec.after.is_empty() {
            // What is wrong with it is said before anything is waited for.
            self.image(&validate::spec(spec)?.image)?;
            self.await_others(spec)?;
        }
        let prepared = self.prepare(spec, Verb::Run)?;
        let mut points = || points::make(&prepared.record);
        let launch = match self.launch(&prepared.record, request, &prepared.intent, &mut points) {
            Ok(launch) => launch,
            Err(error) => return Err(self.take_back(prepared, error)),
        };
        // From here on it is the caller's: without this its death would take the container back.
        prepared.intent.finish()?;
        let left = || Left::container(self, &prepared.record);
        Ok(Started {
            session: request.attach.then(|| LocalSession::of(left(), launch.link)),
            id: prepared.record.id,
            notes: prepared.notes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::store::entries;
    use crate::testing::{self, FakeLauncher, spec};
    use tinyd_runtime::{FailureKind, Request};

    #[test]
    fn root_t21_a_run_that_does_not_start_leaves_nothing() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::failing(FailureKind::CommandNotFound));
        let Err(error) = core.run(&spec(place.path(), Some("web")), &StartRequest::detached()) else {
            panic!("it started");
        };
        assert!(matches!(error, Error::Launch { .. }), "{error:?}");
        assert_eq!(tinyd_engine::Error::from(error).exit_code(), 127);
        for folder in ["containers", "names", "ids", "trash"] {
            assert_eq!(entries(&core.store.root().join(folder)).unwrap(), Vec::<String>::new(), "{folder}");
        }
        for folder in ["containers", "intents", "locks"] {
            assert_eq!(
                entries(&core.store.run_root().join(folder)).unwrap(),
                Vec::<String>::new(),
                "{folder}"
            );
        }
    }

    #[test]
    fn root_a_run_gives_a_session_when_one_is_wanted_and_ends_its_intent() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let attached = core.run(&spec(place.path(), None), &StartRequest::attached(None)).unwrap();
        let detached = core.run(&spec(place.path(), None), &StartRequest::detached()).unwrap();
        assert!(attached.session.is_some() && detached.session.is_none());
        assert_ne!(attached.id, detached.id);
        assert_eq!(entries(&core.store.run_root().join("intents")).unwrap(), Vec::<String>::new());
        assert!(core.store.record(&attached.id).unwrap().unwrap().launched);
    }

    #[test]
    fn root_nothing_is_asked_of_the_runtime_for_a_bad_request() {
        if !testing::root() {
            return;
        }
        let launcher = std::sync::Arc::new(FakeLauncher::succeeding());
        let (place, core) = testing::core_sharing(std::sync::Arc::clone(&launcher));
        let mut bad = spec(place.path(), None);
        bad.image = "/nowhere/at/all".to_owned();
        assert!(core.run(&bad, &StartRequest::detached()).is_err());
        assert_eq!(*launcher.requests.lock().unwrap(), Vec::<Request>::new());
        assert_eq!(core.store.ids().unwrap(), Vec::<String>::new());
    }
}
