//! Handing a container to `tinyd-runtime`.

use crate::cgroups::{self, MONITORS, PARENT};
use crate::connection::RENAMED_FILE;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::ids;
use crate::intent::Intent;
use crate::launcher::Launch;
use crate::life::Life;
use crate::logs::options;
use crate::storage::{self, Layers};
use crate::store::Record;
use std::cell::{OnceCell, RefCell};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use tinyd_engine::StartRequest;
use tinyd_net::Netns;
use tinyd_runtime::client::{ClientError, Connect, Meanwhile, Wait};
use tinyd_runtime::state::EXIT_FILE;
use tinyd_runtime::{Release, Request};

impl Core {
    /// Starts a container that is made and stands still. The monitor holds the intent until the command runs. `meanwhile` is
    /// done before anything of the container's is mounted.
    pub(crate) fn launch(
        &self,
        record: &Record,
        request: &StartRequest,
        intent: &Intent,
        meanwhile: Meanwhile<'_>,
    ) -> Result<Launch> {
        self.mount_volumes(record)?;
        let mut start = self.start_request(record, request);
        start.connect = self.connects(record)?;
        start.secrets = self.secret_mounts(&record.spec)?;
        // Kept open until the container lives in it: the path leads through this process.
        let beside = record.netns_of.as_deref().map(|id| self.netns_beside(record, id)).transpose()?;
        start.netns = beside
            .as_ref()
            .map(|file| format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into());
        let mut joined = Ok(());
        let mut join = |wait: Wait<'_>| {
            let netns = Coming::new(wait);
            match self.join_networks(record, &netns) {
                Ok(connected) => Some(connected),
                Err(error) => {
                    // Of a namespace that never came the runtime tells why.
                    joined = if netns.has_failed() { Ok(()) } else { Err(error) };
                    None
                }
            }
        };
        let connect: Option<Connect<'_>> = if start.connect { Some(&mut join) } else { None };
        let start = Request::Start(Box::new(start));
        let launched =
            self.launcher.launch(&self.runtime()?, &start, Some(intent.as_fd()), connect, meanwhile);
        // What kept it from its network is why it did not start, where nothing else did: a start that has failed takes away
        // what the network's part needs.
        let failed_before = matches!(&launched, Err(ClientError::Failed(failure)) if !failure.is_of_sender());
        if !failed_before {
            joined?;
        }
        launched.map_err(|source| Error::Launch {
            operation: "start",
            container: record.short().to_owned(),
            source,
        })
    }

    /// The network namespace of another container, which must run; what that one reads of its networks is copied.
    fn netns_beside(&self, record: &Record, other: &str) -> Result<File> {
        let state = |state| Error::WrongState {
            action: "join the network of",
            container: ids::short(other).to_owned(),
            state,
            hint: Some("start it first"),
        };
        if self.store.record(other)?.is_none() {
            return Err(state("is gone"));
        }
        // Whoever gives it places or ports meanwhile writes down the same steps. Nobody waits in a circle: it lives in nobody's
        // network itself.
        let lock = self.guard(other).map_err(|error| match error {
            Error::NoSuchContainer { .. } => state("is gone"),
            error => error,
        })?;
        let Some(target) = self.store.record(other)? else { return Err(state("is gone")) };
        let Life::Running(live) = self.life(&target, Some(&lock))? else { return Err(state("does not run")) };
        let file = self.netns_of(&target, live.state.init)?;
        self.copy_network_files(record, other)?;
        // Looked at afterwards: its monitor may have done its steps before these were among them.
        let shared = self.share_links(&target);
        match crate::process::runs(live.state.init) {
            true => shared.map(|()| file),
            false => Err(state("does not run")),
        }
    }

    /// What the runtime is asked for; for its first monitor and for one that takes over.
    pub(crate) fn start_request(
        &self,
        record: &Record,
        request: &StartRequest,
    ) -> tinyd_runtime::StartRequest {
        let (id, store) = (&record.id, &self.store);
        let (folder, remove) = (store.container(id), record.spec.remove);
        // Freed before anyone is told that the command has ended: its name can be taken again at once.
        let (mut release, mut trash) = (self.release_volumes(record), Vec::new());
        if remove {
            release.extend(record.spec.name.as_deref().map(|name| Release::Name {
                names: store.names_folder(),
                name: name.to_owned(),
                id: id.clone(),
                renamed: store.run_dir(id).join(RENAMED_FILE),
            }));
            release.extend(record.slot.map(|slot| Release::Unlink(store.slot_link(slot))));
            if let Layers::Held(_) = Layers::of(record) {
                release.push(Release::Limit(folder.join(storage::FOLDER)));
            }
            release.push(Release::Rename(folder.clone(), store.trash(id)));
            let (volumes, all) = self.release_own_volumes(record);
            release.extend(volumes);
            release.push(Release::Unlink(store.lock(id)));
            release.push(self.announcing_of(record, "destroy"));
            // The folder in the trash goes last: as long as it is there the next command goes on with what is left. The
            // record of the exit goes before it, after all else: until then those who wait find it.
            //
            // What only a driver can take away or unmount is left to the next command, which goes on with what is in the
            // trash.
            let left = record.volumes.iter().any(|used| self.needs_its_driver(&used.state));
            trash.extend((all && !left).then(|| store.trash(id)));
            trash.push(store.run_dir(id));
        }
        tinyd_runtime::StartRequest {
            id: id.clone(),
            bundle: folder.clone(),
            run_dir: store.run_dir(id),
            cgroup: cgroups::path(record),
            monitor_cgroup: format!("{PARENT}/{MONITORS}"),
            rootfs: record.rootfs.clone(),
            protect_program: record.slot.is_none(),
            attach: request.attach,
            connect: false,
            netns: None,
            secrets: Vec::new(),
            interactive: record.spec.interactive,
            window: request.window.map(|size| (size.rows, size.columns)),
            log: options::spec(&record.spec.log, store.log(id)),
            exit_copy: (!remove).then(|| folder.join(EXIT_FILE)),
            sync: (!remove).then_some(folder),
            release,
            trash,
            restart: self.restart_plan(record),
            events: Some(self.event_plan(record)),
            health: self.health_plan(record),
        }
    }
}

/// The network namespace of a container that starts: asked for once, when a driver needs it or all of them are done.
struct Coming<'a> {
    wait: RefCell<Wait<'a>>,
    came: OnceCell<std::result::Result<OwnedFd, (io::ErrorKind, String)>>,
}

impl<'a> Coming<'a> {
    fn new(wait: Wait<'a>) -> Self {
        Self { wait: RefCell::new(wait), came: OnceCell::new() }
    }

    /// It will never come. One that could not be received, or was too late for us, is another matter.
    fn has_failed(&self) -> bool {
        let ours = [io::ErrorKind::InvalidData, io::ErrorKind::TimedOut];
        matches!(self.came.get(), Some(Err((kind, _))) if !ours.contains(kind))
    }
}

impl Netns for Coming<'_> {
    fn open(&self) -> io::Result<BorrowedFd<'_>> {
        let wait = || (self.wait.borrow_mut())().map_err(|error| (error.kind(), error.to_string()));
        let came = self.came.get_or_init(wait).as_ref();
        came.map(AsFd::as_fd).map_err(|(kind, why)| io::Error::new(*kind, why.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, FakeLauncher, record_with};
    use tinyd_engine::WindowSize;

    #[test]
    fn pure_one_that_removes_itself_is_released_in_order_and_never_synced() {
        let (_place, core) = testing::core(FakeLauncher::succeeding());
        let store = &core.store;
        let record = record_with(store, |record| {
            record.spec.remove = true;
            record.spec.name = Some("web".to_owned());
            record.slot = Some(3);
        });
        let window = Some(WindowSize { rows: 2, columns: 3 });
        let mut request = core.start_request(&record, &StartRequest::attached(window));
        let last = request.release.pop();
        let id = &record.id;
        assert_eq!(
            request.release,
            [
                Release::Name {
                    names: store.names_folder(),
                    name: "web".to_owned(),
                    id: id.clone(),
                    renamed: store.run_dir(id).join(RENAMED_FILE),
                },
                Release::Unlink(store.slot_link(3)),
                Release::Rename(store.container(id), store.trash(id)),
                Release::Unlink(store.lock(id)),
            ]
        );
        assert!(matches!(last, Some(Release::Tell { event, .. }) if event.action == "destroy"));
        assert_eq!(request.trash, [store.trash(id), store.run_dir(id)]);
        assert_eq!((request.exit_copy, request.sync), (None, None));
        assert_eq!((request.attach, request.window), (true, Some((2, 3))));
        assert_eq!(request.cgroup, format!("tinyd/{id}"));
    }

    #[test]
    fn pure_one_that_stays_keeps_its_exit_on_disk() {
        let (_place, core) = testing::core(FakeLauncher::succeeding());
        let record = record_with(&core.store, |_| {});
        let request = core.start_request(&record, &StartRequest::detached());
        assert!(request.release.is_empty() && request.trash.is_empty());
        assert_eq!(request.exit_copy, Some(core.store.container_file(&record.id, "exit.json")));
        assert_eq!(request.sync, Some(core.store.container(&record.id)));
        assert_eq!(request.log.unwrap().path, core.store.log(&record.id));
    }
}
