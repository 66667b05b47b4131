//! `list`: a line for each container. It takes no lock that another command holds, and waits for nobody but
//! processes that it kills itself and monitors that it starts itself, for a bounded time.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::life::{Ended, Life};
use crate::store::Record;
use crate::{ports, time, validate};
use tinyd_engine::{ContainerStatus, ContainerSummary, ListRequest, PortMapping};

impl Core {
    pub(crate) fn list(&self, request: ListRequest) -> Result<Vec<ContainerSummary>> {
        let mut found = Vec::new();
        for id in self.store.ids()? {
            let record = match self.store.record(&id) {
                Ok(Some(record)) => record,
                // Being made or removed right now; a broken record is for `check` and keeps nobody from the others.
                Ok(None) | Err(Error::Record { .. }) => continue,
                Err(error) => return Err(error),
            };
            let (life, restarting) = self.life_shown(&record)?;
            let wanted = request.all || restarting || matches!(life, Life::Running(_));
            if wanted && !matches!(life, Life::Gone(_)) {
                let frozen = matches!(life, Life::Running(_)) && self.is_frozen(&record.id)?;
                let ports = self.ports_of(&record, matches!(life, Life::Running(_)));
                let health = self.health_status(&record, &life)?;
                let mut line = ContainerSummary { health, ..summary(record, &life, frozen, &ports) };
                if restarting {
                    line.status = ContainerStatus::Restarting;
                }
                found.push(line);
            }
        }
        found.sort_by(|one, other| other.created.cmp(&one.created).then_with(|| one.id.cmp(&other.id)));
        Ok(found)
    }
}

fn summary(record: Record, life: &Life, frozen: bool, ports: &[PortMapping]) -> ContainerSummary {
    let status = if frozen { ContainerStatus::Paused } else { ContainerStatus::Running };
    let moment = |ns: i64| (ns != 0).then(|| time::from_ns(ns));
    let of = |ended: &Ended| {
        (moment(ended.record.started_ns), moment(ended.record.finished_ns), Some(ended.status()))
    };
    let (status, pid, (started, finished, exit)) = match life {
        Life::Created => (ContainerStatus::Created, 0, (None, None, None)),
        Life::Running(live) => (status, live.state.init.pid, (moment(live.state.started_ns), None, None)),
        Life::Stopped(ended) | Life::Gone(ended) => (ContainerStatus::Stopped, 0, of(ended)),
    };
    let spec = &record.spec;
    let binds = spec.binds.iter().map(|bind| format!("{}:{}", bind.source.display(), bind.target.display()));
    let volumes = record.volumes.iter();
    let volumes = volumes.map(|used| format!("{}:{}", used.state.name, used.mount.target.display()));
    let images = record.images.iter();
    let images = images.map(|used| format!("{}:{}", used.mount.image, used.mount.target.display()));
    ContainerSummary {
        command: validate::argv(spec),
        volumes: binds.chain(volumes).chain(images).collect(),
        networks: record.places.iter().map(|place| place.name().to_owned()).collect(),
        ports: ports.iter().map(ports::text).collect(),
        created: time::from_ns(record.created_ns),
        id: record.id,
        name: record.spec.name,
        image: record.spec.image,
        started,
        finished,
        status,
        exit,
        pid,
        health: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::RECORD_FILE;
    use crate::testing::{self, FakeLauncher, spec};
    use std::fs;
    use tinyd_runtime::state::{EXIT_FILE, ExitRecord, store};

    #[test]
    fn root_newest_first_and_only_what_runs_without_all() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let old = core.create(&spec(place.path(), Some("old"))).unwrap().id;
        let new = core.create(&spec(place.path(), None)).unwrap().id;
        let broken = core.create(&spec(place.path(), None)).unwrap().id;
        fs::write(core.store.container_file(&broken, RECORD_FILE), "{").unwrap();
        let exit = ExitRecord { code: 137, oom_killed: true, started_ns: 10, finished_ns: 20 };
        store(&core.store.container_file(&old, EXIT_FILE), &exit, false).unwrap();
        assert_eq!(core.list(ListRequest::default()).unwrap(), []);
        let all = core.list(ListRequest { all: true }).unwrap();
        assert_eq!(all.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), [new.as_str(), &old]);
        assert_eq!(all[0].status, ContainerStatus::Created);
        assert_eq!((all[0].started, all[0].exit, all[0].pid), (None, None, 0));
        assert_eq!((all[1].status, all[1].name.as_deref()), (ContainerStatus::Stopped, Some("old")));
        assert_eq!(all[1].exit.map(|exit| (exit.code, exit.oom_killed)), Some((137, true)));
        assert_eq!(all[1].finished, Some(time::from_ns(20)));
    }
}
