//! Making a container: the part that `create` and `run` share.

use crate::bundle::{self, etc};
use crate::connection::extra_hosts;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::intent::{Intent, Verb};
use crate::networks::{Joined, NetworksLock};
use crate::storage::Layers;
use crate::store::{Contents, Record, UsedVolume, fill};
use crate::validate::{self, User};
use crate::volumes::{VolumesLock, options};
use crate::{ids, names, places, storage, time, userns};
use std::path::Path;
use tinyd_engine::{ContainerSpec, UserNamespace};
use tinyd_net::Namespace;
use tinyd_ns::caps::Capability;
use tinyd_runtime::{OverlayMount, Rootfs};
use tinyd_volume::VolumeState;

/// A container that has been made, and is still taken back if this process dies.
pub(crate) struct Prepared {
    pub record: Record,
    pub notes: Vec<String>,
    pub intent: Intent,
    /// What was made for its mounts of the host's folders, which is taken back with it.
    binds: Vec<VolumeState>,
    /// The volumes with names that were made for it, which are taken back with it where nobody else uses them.
    volumes: Vec<String>,
}

impl Core {
    /// Makes a container. Everything is checked before the first effect, and a failure leaves nothing.
    pub(crate) fn prepare(&self, wanted: &ContainerSpec, verb: Verb) -> Result<Prepared> {
        let mut spec = validate::spec(self.with_volumes_of_others(wanted)?.as_ref())?;
        let mut notes = Vec::new();
        if spec.security.privileged {
            spec.userns = UserNamespace::Host;
        }
        if spec.userns == UserNamespace::Auto
            && let Some(note) = userns::missing()
        {
            spec.userns = UserNamespace::Host;
            notes.push(note);
        }
        if spec.userns == UserNamespace::Auto
            && let Some(text) = &spec.user
            && User::parse(text)?.highest() >= ids::RANGE
        {
            let problem =
                format!("lies outside the {} ids of its user namespace (see --userns host)", ids::RANGE);
            return Err(Error::invalid("user", text, problem));
        }
        notes.extend(options::check(&spec, wanted.userns)?);
        spec.binds.iter().try_for_each(|bind| self.check_bind(bind))?;
        spec.volumes.iter().try_for_each(|mount| self.check_volume_mount(mount))?;
        self.check_secrets(&spec)?;
        self.check_order(&spec)?;
        let Joined { places, netns, netns_of, held, notes: of_networks } = self.places(&spec.network)?;
        notes.extend(of_networks);
        self.check_rates(&spec.resources, netns, &places)?;
        self.check_hosts(&spec, &places)?;
        notes.extend(self.check_ports(&spec.ports, &places)?);
        validate::sysctls(&spec, netns == Namespace::Own)?;
        let mut host = bundle::Host::detect(&spec)?;
        notes.extend(self.check_limits(&mut spec.resources, &mut host.device_rules)?);
        if verb == Verb::Run {
            self.runtime()?;
        }
        let image = self.image(&spec.image)?;
        let layers = Layers::choose(&spec, self.store.root());
        layers.check(&spec)?;

        let id = ids::new_id()?;
        let hostname = spec.hostname.clone().unwrap_or_else(|| ids::short(&id).to_owned());
        let folder = self.store.container(&id);
        let storage = layers.file(&folder);
        let rootfs = overlays(&layers.folder(folder), image);
        let images = self.shown_images(&spec.images, &self.store.container(&id), rootfs.len() - 1)?;
        let rootfs = Rootfs {
            volatile: spec.remove,
            // Who makes device nodes means to open them, as far as the rules let him.
            devices: host.capabilities.contains(Capability::Mknod),
            overlays: rootfs,
            storage,
        };
        let record = Record {
            created_ns: time::now_ns(),
            launched: verb == Verb::Run,
            slot: None,
            hostname,
            rootfs,
            places,
            netns,
            netns_of,
            volumes: Vec::new(),
            images,
            spec,
            id,
        };
        let name = record.spec.name.as_deref();
        let intent = places::take(&self.store, self.max_containers, verb, &record.id, name)?;
        let mut prepared = Prepared { record, notes, intent, binds: Vec::new(), volumes: Vec::new() };
        match self.make(&mut prepared, &host, held) {
            Ok(()) => Ok(prepared),
            Err(error) => Err(self.take_back(prepared, error)),
        }
    }

    /// Undoes [`prepare`](Self::prepare), and a start after it, for the failure given; returns the error to report.
    pub(crate) fn take_back(&self, prepared: Prepared, error: Error) -> Error {
        let mut left = self.erase(&prepared.record.id, prepared.record.spec.name.as_deref());
        left.extend(prepared.binds.iter().rev().filter_map(|volume| self.unbind(volume).err()));
        let id = &prepared.record.id;
        left.extend(prepared.volumes.iter().filter_map(
            |name| match self.remove_volume_made_with(name, id) {
                // Somebody else uses it by now.
                Ok(()) | Err(Error::VolumeInUse { .. }) => None,
                Err(error) => Some(error),
            },
        ));
        settled(prepared.intent, &left, error)
    }

    /// `networks` are the locks of its networks.
    fn make(&self, prepared: &mut Prepared, host: &bundle::Host, networks: Vec<NetworksLock>) -> Result<()> {
        let Prepared { record, notes, binds, volumes, .. } = prepared;
        if let Some(name) = &record.spec.name {
            names::take(&self.store, name, &record.id)?;
        }
        if record.spec.userns == UserNamespace::Auto {
            record.slot = Some(ids::lease(&self.store, &record.id)?);
        }
        for bind in &mut record.spec.binds {
            let volume = self.bind(&bind.source)?;
            if !volume.made.is_empty() {
                notes.push(format!("{} did not exist and was made as a folder", volume.path.display()));
            }
            // With its links resolved, so that what was checked is what is mounted, now and at each later start.
            bind.source.clone_from(&volume.path);
            binds.push(volume);
        }
        let held = self.take_volumes(record, volumes)?;
        let secrets = self.hold_secrets(&record.spec)?;
        storage::make(record)?;
        let json = bundle::config(record, &self.store.container(&record.id), host)?;
        let text = serde_json::to_vec(record).map_err(|source| Error::Record {
            path: self.store.container_file(&record.id, crate::store::RECORD_FILE),
            source,
        })?;
        let restart = self.first_restart_state(record.spec.restart)?;
        let contents = Contents {
            bundle: &json,
            record: &text,
            hostname: &format!("{}\n", record.hostname),
            hosts: &etc::hosts(
                &record.hostname,
                record.netns,
                &[],
                &extra_hosts(record, self.host_address(&record.places)),
            ),
            resolv_conf: &etc::resolv_conf(record.netns, &[], &record.spec.dns),
            trees: record.rootfs.overlays.len() - 1
                + record.images.iter().map(|image| image.trees.len()).sum::<usize>(),
            layers: Layers::of(record),
            restart: restart.as_deref(),
        };
        fill(&self.store, &record.id, &contents)?;
        // Its record says now that it uses them.
        drop((held, secrets, networks));
        self.announce(record, "create", &[]);
        self.fill_volumes(record)
    }

    /// The volumes of a container, which nobody removes while the lock is there. Those that are missing are made; the names of
    /// these are noted in `made`.
    fn take_volumes(&self, record: &mut Record, made: &mut Vec<String>) -> Result<Option<VolumesLock>> {
        if record.spec.volumes.is_empty() {
            return Ok(None);
        }
        let held = self.volume_records().shared()?;
        let mut others = false;
        let there = record.spec.volumes.iter().map(|mount| {
            let volume = self.volume_of_name(mount)?;
            others |= volume.as_ref().is_some_and(|volume| volume.maker.is_some());
            Ok(volume.map(|volume| UsedVolume { state: volume.state, mount: mount.clone() }))
        });
        if let Some(there) = there.collect::<Result<Option<Vec<_>>>>()? {
            record.volumes = there;
        }
        if !record.volumes.is_empty() && !others {
            return Ok(Some(held));
        }
        drop(held);
        let missing = if record.volumes.is_empty() { &*record.spec.volumes } else { &[] };
        for mount in missing {
            let (volume, is_new) = self.volume_of(mount, &record.id)?;
            made.extend((is_new && mount.name.is_some()).then(|| volume.state.name.clone()));
            others |= !is_new && volume.maker.is_some();
            record.volumes.push(UsedVolume { state: volume.state, mount: mount.clone() });
        }
        if others {
            self.share_volumes(record)?;
        }
        let held = self.volume_records().shared()?;
        for used in &record.volumes {
            if self.known_volume(&used.state.name)?.state != used.state {
                return Err(self.no_such_volume(&used.state.name));
            }
        }
        Ok(Some(held))
    }
}

/// The overlays of an image, whose written layers lie in a folder.
fn overlays(folder: &Path, image: crate::image::Image) -> Vec<OverlayMount> {
    let overlays = image.trees.into_iter().enumerate().map(|(index, tree)| {
        let own = match index {
            0 => folder.to_owned(),
            below => folder.join(format!("trees/{}", below - 1)),
        };
        let (upper, work) = (own.join("upper"), own.join("work"));
        OverlayMount { target: tree.target, lowers: tree.lowers, upper, work }
    });
    overlays.collect()
}

/// Ends an intent after undoing: when all of it was undone it goes, else it stays for the next command.
pub(crate) fn settled(intent: Intent, left: &[Error], error: Error) -> Error {
    let mut left: Vec<String> = left.iter().map(Error::line).collect();
    if left.is_empty() {
        left.extend(intent.finish().err().map(|error| error.line()));
    }
    match left.is_empty() {
        true => error,
        false => Error::Undo { left, source: Box::new(error) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, FakeLauncher, spec};
    use std::fs;
    use tinyd_engine::BindMount;

    #[test]
    fn root_a_container_is_a_bundle_with_all_its_folders() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let mut wanted = spec(place.path(), Some("web"));
        wanted.binds = vec![BindMount::new(place.path().join("a/b"), "/mnt")];
        let prepared = core.prepare(&wanted, Verb::Create).unwrap();
        let record = &prepared.record;
        assert_eq!(names::lookup(&core.store, "web").unwrap().as_deref(), Some(record.id.as_str()));
        assert_eq!(core.store.record(&record.id).unwrap().as_ref(), Some(record));
        assert!(place.path().join("a/b").is_dir());
        assert!(prepared.notes.iter().any(|note| note.contains("a/b")), "{:?}", prepared.notes);
        assert_eq!(record.hostname, record.short());
        let config: serde_json::Value =
            serde_json::from_slice(&fs::read(core.store.container_file(&record.id, "config.json")).unwrap())
                .unwrap();
        assert_eq!(config["process"]["args"], serde_json::json!(["true"]));
        assert_eq!(core.store.leases().unwrap().len(), usize::from(record.slot.is_some()));
        prepared.intent.finish().unwrap();
    }

    #[test]
    fn root_what_was_made_for_a_failure_is_taken_back() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let first = core.prepare(&spec(place.path(), Some("web")), Verb::Create).unwrap();
        let (id, leases) = (first.record.id, core.store.leases().unwrap());
        let mut second = spec(place.path(), Some("web"));
        second.binds = vec![BindMount::new(place.path().join("a/b"), "/mnt")];
        let Err(error) = core.prepare(&second, Verb::Run) else { panic!("a name was given twice") };
        assert!(matches!(error, Error::NameTaken { .. }), "{error:?}");
        // The first one is as it was, and of the second there is nothing.
        assert_eq!(core.store.ids().unwrap(), std::slice::from_ref(&id));
        assert_eq!(core.store.leases().unwrap(), leases);
        assert_eq!(names::lookup(&core.store, "web").unwrap(), Some(id));
        assert!(!place.path().join("a").exists());
        assert_eq!(crate::store::entries(&core.store.run_root().join("intents")).unwrap().len(), 1);
    }

    #[test]
    fn root_a_user_outside_the_namespace_is_refused() {
        if !testing::root() || userns::missing().is_some() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let mut wanted = spec(place.path(), None);
        wanted.user = Some("65536".to_owned());
        assert!(core.prepare(&wanted, Verb::Create).is_err());
        wanted.userns = UserNamespace::Host;
        core.prepare(&wanted, Verb::Create).unwrap().intent.finish().unwrap();
    }
}
