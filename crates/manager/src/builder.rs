//! An engine that is wanted: where its folders are, its runtime, its parts.

use crate::config::EngineConfig;
use crate::engine::LocalEngine;
use crate::parts::Parts;
use std::path::{Path, PathBuf};
use tinyd_engine::Result;
use tinyd_net::pool::Pool as AddressPool;
use tinyd_runtime::restart::CleanUp;

/// An engine that is wanted. By default its folders are `/var/lib/tinyd` and `/run/tinyd`, and it starts the runtime beside
/// the calling program.
///
/// ```no_run
/// # fn main() -> tinyd_engine::Result<()> {
/// let engine = tinyd_manager::LocalEngine::builder().within("/srv/mine").open()?;
/// # Ok(()) }
/// ```
#[derive(Default)]
pub struct EngineBuilder {
    config: EngineConfig,
    parts: Parts,
}

impl EngineBuilder {
    /// Where containers and leases are: on a disk that overlay accepts as upper layer. Mode 0711, if it has to be made:
    /// users may pass through to where they have rights, and list nothing.
    #[must_use]
    pub fn root(mut self, folder: impl AsRef<Path>) -> Self {
        self.config.root = folder.as_ref().to_owned();
        self
    }

    /// Where run-time state is: sockets, intents, locks. On tmpfs, so that a reboot empties it.
    #[must_use]
    pub fn run_root(mut self, folder: impl AsRef<Path>) -> Self {
        self.config.run_root = folder.as_ref().to_owned();
        self
    }

    /// Both in one folder, as `lib` and `run`: an engine that knows nothing of the machine's other ones.
    #[must_use]
    pub fn within(self, folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        self.root(folder.join("lib")).run_root(folder.join("run"))
    }

    /// The program `tinyd-runtime`; `None` looks beside the calling program and in `../libexec/tinyd`.
    #[must_use]
    pub fn runtime(mut self, program: impl Into<Option<PathBuf>>) -> Self {
        self.config.runtime = program.into();
        self
    }

    /// How many containers there may be at once, in any state; `None` is 24,576, as many as there are ranges of user ids to
    /// lease.
    #[must_use]
    pub fn max_containers(mut self, most: impl Into<Option<u32>>) -> Self {
        self.config.max_containers = most.into();
        self
    }

    /// Where bridged networks get their ranges of IPv4 from that ask for none; `None` is 10.208.0.0/12, 172.28.0.0/14 and
    /// 192.168.128.0/17, in ranges of /22.
    #[must_use]
    pub fn address_pools(mut self, pools: impl Into<Option<Vec<AddressPool>>>) -> Self {
        self.config.address_pools = pools.into();
        self
    }

    /// The command that starts a container again when its policy says so, in the monitor's name and long after this process
    /// has ended: the id is put behind its arguments, and it calls
    /// [`restart_due`](tinyd_engine::Engine::restart_due) of an engine with the same folders. It ends with 0 when that
    /// succeeds. Without such a command, that is done when an engine is next opened; with it that engine, too, has the command do
    /// it where the start may wait for a server of volumes.
    #[must_use]
    pub fn clean_up(
        mut self,
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = String>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        self.config.clean_up = Some(CleanUp {
            program: program.into(),
            arguments: arguments.into_iter().collect(),
            environment: environment.into_iter().collect(),
        });
        self
    }

    /// An engine that is there for long, as a daemon's: what killed commands and monitors left is put right not only when it
    /// is opened, but with each thing that it is asked.
    #[must_use]
    pub fn lasting(mut self) -> Self {
        self.config.lasting = true;
        self
    }

    /// Parts of the caller's own.
    #[must_use]
    pub fn parts(mut self, parts: Parts) -> Self {
        self.parts = parts;
        self
    }

    /// Opens the engine: makes its folders where they are missing, and puts right what commands left that were killed.
    ///
    /// # Errors
    /// [`ErrorKind::Permission`](tinyd_engine::ErrorKind::Permission) without root; the kernel's, when the folders cannot
    /// be made.
    pub fn open(self) -> Result<LocalEngine> {
        LocalEngine::open(self.config, self.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use tinyd_engine::{Engine as _, ListRequest};

    #[test]
    fn pure_what_is_not_said_is_the_machines_own() {
        assert_eq!(LocalEngine::builder().config, EngineConfig::default());
        let config = LocalEngine::builder().within("/srv").runtime(PathBuf::from("/bin/rt")).config;
        let [root, run_root] = ["/srv/lib", "/srv/run"].map(PathBuf::from);
        assert_eq!(
            config,
            EngineConfig {
                root,
                run_root,
                runtime: Some(PathBuf::from("/bin/rt")),
                ..EngineConfig::default()
            }
        );
    }

    #[test]
    fn root_an_engine_within_a_folder_is_there_and_nowhere_else() {
        if !testing::root() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let engine = LocalEngine::builder().within(place.path().join("mine")).open().unwrap();
        assert!(engine.list(&ListRequest { all: true }).unwrap().is_empty());
        let mut made: Vec<_> = std::fs::read_dir(place.path().join("mine"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        made.sort();
        assert_eq!(made, ["lib", "run"]);
    }
}
