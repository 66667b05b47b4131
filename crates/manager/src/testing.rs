//! What the unit tests share: folders of their own, and a launcher that fails as it is told.

pub(crate) mod network;

use crate::config::EngineConfig;
use crate::core::Core;
use crate::launcher::{Launch, Launcher, Link};
use crate::parts::Parts;
use crate::store::{Place, Record, Store};
use crate::{ids, time};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tinyd_engine::{ContainerSpec, NetworkJoin};
use tinyd_net::{FixedDriver, Namespace, NetworkDriver, NetworkSpec};
use tinyd_runtime::client::{ClientError, Connect, Meanwhile};
use tinyd_runtime::{Failure, FailureKind, OverlayMount, Request, Rootfs};

/// An engine's folders below a temporary one.
pub(crate) fn config(place: &Path) -> EngineConfig {
    EngineConfig {
        root: place.join("root"),
        run_root: place.join("run"),
        // Any file: what is launched is up to the launcher.
        runtime: Some(PathBuf::from("/bin/sh")),
        ..EngineConfig::default()
    }
}

/// A store that goes with its folder.
pub(crate) fn store() -> (TempDir, Store) {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(&config(place.path())).unwrap();
    (place, store)
}

/// An engine whose launcher is a fake.
pub(crate) fn core(launcher: FakeLauncher) -> (TempDir, Core) {
    core_sharing(Arc::new(launcher))
}

/// As [`core`], with a launcher that the test keeps.
pub(crate) fn core_sharing(launcher: Arc<FakeLauncher>) -> (TempDir, Core) {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(&config(place.path())).unwrap();
    let parts = Parts { launcher: Box::new(launcher), ..Parts::default() };
    let core = Core::new(store, config(place.path()), parts);
    (place, core)
}

/// A container of a folder below `place`, which is made.
pub(crate) fn spec(place: &Path, name: Option<&str>) -> ContainerSpec {
    let image = place.join("image");
    std::fs::create_dir_all(&image).unwrap();
    let image = image.to_str().unwrap();
    ContainerSpec { name: name.map(str::to_owned), ..ContainerSpec::new(image, ["true"]) }
}

/// The record of a container that is nowhere else.
pub(crate) fn record(store: &Store) -> Record {
    record_with(store, |_| {})
}

/// As [`record`], changed.
pub(crate) fn record_with(store: &Store, change: impl FnOnce(&mut Record)) -> Record {
    let id = ids::new_id().unwrap();
    let folder = store.container(&id);
    let root = OverlayMount {
        target: PathBuf::new(),
        lowers: vec![PathBuf::from("/image")],
        upper: folder.join("upper"),
        work: folder.join("work"),
    };
    let mut record = Record {
        created_ns: time::now_ns(),
        launched: false,
        slot: None,
        hostname: "box".to_owned(),
        rootfs: Rootfs { overlays: vec![root], volatile: false, devices: false, storage: None },
        places: vec![Place {
            network: FixedDriver::NONE.create(&NetworkSpec::named("none")).unwrap(),
            wanted: NetworkJoin::on("none"),
        }],
        netns: Namespace::Own,
        netns_of: None,
        volumes: Vec::new(),
        images: Vec::new(),
        spec: ContainerSpec::new("/image", ["true"]),
        id,
    };
    change(&mut record);
    record
}

/// Whether this test may use root's rights; says so when it may not, and fails where that must not happen.
pub(crate) fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        assert!(std::env::var_os("CI").is_none(), "this test needs root");
    }
    root
}

/// Remembers what it was asked and does what it is told.
pub(crate) struct FakeLauncher {
    /// The kind of every failure; `None` succeeds with this process as the container's first.
    pub failure: Option<FailureKind>,
    /// The requests so far.
    pub requests: Mutex<Vec<Request>>,
}

impl FakeLauncher {
    pub(crate) fn failing(kind: FailureKind) -> Self {
        Self { failure: Some(kind), requests: Mutex::default() }
    }

    pub(crate) fn succeeding() -> Self {
        Self { failure: None, requests: Mutex::default() }
    }
}

impl Launcher for Arc<FakeLauncher> {
    fn launch(
        &self,
        _: &Path,
        request: &Request,
        _: Option<BorrowedFd<'_>>,
        _: Option<Connect<'_>>,
        meanwhile: Meanwhile<'_>,
    ) -> Result<Launch, ClientError> {
        meanwhile();
        self.requests.lock().unwrap().push(request.clone());
        match self.failure {
            Some(kind) => Err(ClientError::Failed(Failure::new(kind, "the fake was told to fail"))),
            None => Ok(Launch { pid: std::process::id(), link: Box::new(NoLink) }),
        }
    }

    fn connect(&self, _: &Path) -> Result<Option<Box<dyn Link>>, ClientError> {
        Ok(None)
    }
}

/// A conversation that is over.
struct NoLink;

impl Link for NoLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        rustix::stdio::stdin()
    }

    fn send(&self, _: tinyd_runtime::frame::Kind, _: &[u8]) -> Result<(), ClientError> {
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<tinyd_runtime::client::Message<'_>>, ClientError> {
        Ok(None)
    }
}
