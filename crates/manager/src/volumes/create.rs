//! `create_volume`, and the volumes that are made for a container.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::intent::{Intent, Verb};
use crate::prepare::settled;
use crate::process::until;
use crate::volumes::fill::limited;
use crate::volumes::staging::Place;
use crate::volumes::{DEFAULT_DRIVER, SIZE, VolumeRecord, docker};
use crate::{ids, time};
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::time::Duration;
use tinyd_engine::{VolumeCreate, VolumeMount};
use tinyd_volume::{VolumeSpec, VolumeState, size_bytes};

/// How long another command may take to make the same volume.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a new volume begins with.
pub(super) enum Beginning<'a> {
    /// Nothing.
    Empty,
    /// What another one has, by its driver's own ability.
    CloneOf(&'a VolumeState),
    /// What this puts into its folder.
    Filled(&'a dyn Fn(BorrowedFd<'_>) -> Result<()>),
}

/// A volume that is wanted, whose driver is chosen.
pub(crate) struct Wanted {
    spec: VolumeSpec,
    driver: String,
    labels: BTreeMap<String, String>,
    /// The name of one that has no other.
    id: Option<String>,
    container: Option<String>,
    maker: Option<String>,
    /// Its kind was said, be it by Docker's words.
    of_this_kind: bool,
}

impl Wanted {
    fn new(name: Option<&str>, driver: Option<&str>, options: &BTreeMap<String, String>) -> Result<Self> {
        let id = if name.is_none() { Some(ids::new_id()?) } else { None };
        let asked = driver.unwrap_or(DEFAULT_DRIVER);
        let meant = if asked == DEFAULT_DRIVER { docker::meant(options)? } else { None };
        let of_this_kind = driver.is_some() || meant.is_some() || !options.is_empty();
        let (driver, source, options) = match meant {
            Some(meant) => (meant.driver, meant.source, meant.options),
            None => (asked, None, options.clone()),
        };
        let name = name.or(id.as_deref()).unwrap_or_default().to_owned();
        let spec = VolumeSpec { name, source, options, ..VolumeSpec::default() };
        Ok(Self {
            spec,
            driver: driver.to_owned(),
            labels: BTreeMap::new(),
            container: None,
            maker: None,
            of_this_kind,
            id,
        })
    }

    fn of_request(request: &VolumeCreate) -> Result<Self> {
        let mut wanted = Self::new(request.name.as_deref(), request.driver.as_deref(), &request.options)?;
        wanted.spec.size_bytes = request.size;
        wanted.labels.clone_from(&request.labels);
        Ok(wanted)
    }

    /// What a mount needs where there is no such volume.
    pub(crate) fn of_mount(mount: &VolumeMount, container: &str) -> Result<Self> {
        let wanted = Self::new(mount.name.as_deref(), mount.driver.as_deref(), &mount.options)?;
        let maker = Some(container.to_owned());
        let labels = mount.labels.clone();
        Ok(Self { container: maker.clone().filter(|_| wanted.id.is_some()), maker, labels, ..wanted })
    }
}

impl Core {
    /// Makes a volume. One of that name and kind is left as it is.
    pub(crate) fn create_volume(&self, request: &VolumeCreate) -> Result<String> {
        let (volume, _) = self.get_or_make(|| Wanted::of_request(request))?;
        Ok(volume.state.name)
    }

    /// Checks what a mount needs where there is no such volume, and that one that is there is of the kind that is asked for.
    pub(crate) fn check_volume_mount(&self, mount: &VolumeMount) -> Result<()> {
        match self.volume_of_name(mount)? {
            Some(_) => Ok(()),
            None => self.check_volume(&Wanted::of_mount(mount, "")?),
        }
    }

    /// The volume that a mount names, where it is there; an error where it is of another kind than is asked for.
    pub(crate) fn volume_of_name(&self, mount: &VolumeMount) -> Result<Option<VolumeRecord>> {
        match mount.name {
            Some(_) => {
                let there = self.volume_there(&Wanted::of_mount(mount, "")?)?;
                there.as_ref().map_or(Ok(()), |volume| self.outlives_container(volume))?;
                Ok(there)
            }
            None => Ok(None),
        }
    }

    /// Refuses a volume that goes with another container as soon as that one ends, whoever else uses it by then.
    fn outlives_container(&self, volume: &VolumeRecord) -> Result<()> {
        let owner = volume.container.as_deref().map_or(Ok(None), |owner| self.store.record(owner))?;
        match owner {
            Some(owner) if owner.spec.remove => {
                let problem = format!(
                    "goes with container {}, which removes itself; give it a name there to share it",
                    owner.short()
                );
                Err(Error::invalid("volume", volume.name(), problem))
            }
            _ => Ok(()),
        }
    }

    /// The volume of a mount, and whether it was made for it.
    pub(crate) fn volume_of(&self, mount: &VolumeMount, container: &str) -> Result<(VolumeRecord, bool)> {
        self.get_or_make(|| Wanted::of_mount(mount, container))
    }

    /// The volume that is there, or that was made, and whether it was.
    fn get_or_make(&self, wanted: impl Fn() -> Result<Wanted>) -> Result<(VolumeRecord, bool)> {
        let found = until(PATIENCE, || {
            let wanted = wanted()?;
            if let Some(there) = self.volume_there(&wanted)? {
                return Ok(Some((there, false)));
            }
            self.check_volume(&wanted)?;
            match self.make_volume(wanted, &Beginning::Empty) {
                Ok(made) => Ok(Some((made, true))),
                // Somebody else is at it: it is there soon, or can be made.
                Err(Error::VolumeTaken { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        })?;
        found.ok_or(Error::VolumesBusy)
    }

    fn check_volume(&self, wanted: &Wanted) -> Result<()> {
        let driver = self.volume_driver(&wanted.driver, &wanted.spec.options)?;
        driver.validate(&wanted.spec).map_err(|source| Error::Volume { source })
    }

    /// The volume that has the name already; an error where it is of another kind than is asked for.
    fn volume_there(&self, wanted: &Wanted) -> Result<Option<VolumeRecord>> {
        let Some(record) = self.find_volume(&wanted.spec.name)?.filter(|record| record.whole) else {
            return Ok(None);
        };
        if wanted.of_this_kind && wanted.driver != record.state.driver {
            return Err(Error::VolumeTaken { name: record.state.name });
        }
        match self.difference(wanted, &record) {
            None => Ok(Some(record)),
            Some(what) => {
                let problem = format!(
                    "is there already, with {what}: leave that away, or remove or rename the volume first"
                );
                Err(Error::invalid("volume", record.name(), problem))
            }
        }
    }

    /// In what a volume that is there differs from what was said of the one that is wanted.
    fn difference(&self, wanted: &Wanted, there: &VolumeRecord) -> Option<String> {
        // The file system counts in blocks.
        let blocks = |bytes: u64| bytes.div_ceil(4096);
        let same = |one: &str, other: &str| {
            one == other
                || size_bytes(one).is_some_and(|one| size_bytes(other).map(blocks) == Some(blocks(one)))
        };
        if let Some(size) = wanted.spec.size_bytes
            && self.limit_of(there).map(blocks) != Some(blocks(size))
        {
            return Some("another size, or none".to_owned());
        }
        if let Some(source) = &wanted.spec.source
            && source.canonicalize().ok().as_ref() != Some(&there.state.path)
        {
            return Some(format!("the folder {}", there.state.path.display()));
        }
        let differs = |option: &(&String, &String)| {
            // Not every driver keeps all that it was told.
            there.state.options.get(option.0).is_some_and(|known| !same(known, option.1))
                || (option.0 == SIZE && !there.state.options.contains_key(SIZE))
        };
        if let Some((key, _)) = wanted.spec.options.iter().find(differs) {
            return Some(match there.state.options.get(key) {
                Some(known) => format!("the option {key}={known}"),
                None => format!("no option {key}"),
            });
        }
        // A mount names those that a new one gets: a container that is started again finds its volume, whatever it has.
        let asked = if wanted.maker.is_none() { Some(&wanted.labels) } else { None };
        let label = asked.into_iter().flatten().find(|(key, value)| there.labels.get(*key) != Some(value));
        label.map(|(key, _)| match there.labels.get(key) {
            Some(known) => format!("the label {key}={known}"),
            None => format!("no label {key}"),
        })
    }

    /// Makes a volume that is not there, as it is described. All of it, or nothing.
    pub(super) fn make_new(&self, request: &VolumeCreate, beginning: &Beginning<'_>) -> Result<VolumeRecord> {
        let wanted = Wanted::of_request(request)?;
        if self.find_volume(&wanted.spec.name)?.is_some_and(|record| record.whole) {
            return Err(Error::VolumeTaken { name: wanted.spec.name });
        }
        self.check_volume(&wanted)?;
        if matches!(beginning, Beginning::Filled(_)) {
            self.expect_to_keep(&wanted)?;
        }
        self.make_volume(wanted, beginning)
    }

    fn expect_to_keep(&self, wanted: &Wanted) -> Result<()> {
        match self.volume_driver(&wanted.driver, &wanted.spec.options)?.forgets() {
            false => Ok(()),
            true => {
                let problem = format!(
                    "is of the driver {}, which forgets it with its last user: nothing of what is put into it would be there for the \
                     next",
                    wanted.driver
                );
                Err(Error::invalid("volume", &wanted.spec.name, problem))
            }
        }
    }

    fn make_volume(&self, wanted: Wanted, beginning: &Beginning<'_>) -> Result<VolumeRecord> {
        let Wanted { spec, driver, labels, id, container, maker, of_this_kind: _ } = wanted;
        let anonymous = id.is_some();
        let made_by = self.volume_driver(&driver, &spec.options)?;
        let mut record = VolumeRecord {
            created_ns: time::now_ns(),
            labels,
            anonymous,
            container,
            maker,
            whole: false,
            made: false,
            found: false,
            filling: false,
            state: VolumeState {
                driver,
                name: spec.name.clone(),
                path: Default::default(),
                made: Vec::new(),
                options: spec.options.clone(),
            },
            id: id.map_or_else(ids::new_id, Ok)?,
        };
        let (records, name) = (self.volume_records(), spec.name.clone());
        let lock = self.change_volumes()?;
        if records.file(&name).exists() {
            return Err(Error::VolumeTaken { name });
        }
        let there = made_by.list().map_err(|source| Error::Volume { source })?;
        record.found = there.iter().any(|other| other.name == name);
        if record.found && !matches!(beginning, Beginning::Empty) {
            // What a plug-in has under that name is somebody's data.
            return Err(Error::VolumeTaken { name });
        }
        let intent = Intent::begin(&self.store, Verb::Volume, &record.id, Some(&name))?;
        if let Err(error) = records.add(&record, &lock) {
            return Err(settled(intent, &[], error));
        }
        // The intent is what keeps others from it now: what a driver does may take its time.
        drop(lock);
        let state = match (beginning, made_by.clones()) {
            (Beginning::CloneOf(other), Some(clones)) => clones.clone_volume(other, &spec),
            _ => made_by.create(&spec),
        };
        record.state = match state {
            Ok(state) => state,
            // The driver has left nothing, and what it had before is not ours.
            Err(source) => {
                let left: Vec<_> = records.remove(&name).err().into_iter().collect();
                return Err(settled(intent, &left, Error::Volume { source }));
            }
        };
        record.made = true;
        let begun = match beginning {
            Beginning::Filled(fill) => self.begin_with(&record, fill),
            Beginning::Empty | Beginning::CloneOf(_) => Ok(()),
        };
        record.whole = true;
        match begun.and_then(|()| records.change(&record, &records.shared()?)) {
            Ok(()) => {
                intent.finish()?;
                self.announce_of("volume", "create", &name, &[("driver", record.state.driver.clone())]);
                Ok(record)
            }
            Err(error) => {
                record.whole = false;
                let taken = match record.found {
                    true => records.remove(&name),
                    false => self.take_volume(&record),
                };
                let left: Vec<_> = taken.err().into_iter().collect();
                Err(settled(intent, &left, error))
            }
        }
    }

    /// Fills a new volume. Until its record says that it is whole, whoever is killed at that leaves nothing.
    fn begin_with(&self, record: &VolumeRecord, fill: &dyn Fn(BorrowedFd<'_>) -> Result<()>) -> Result<()> {
        let records = self.volume_records();
        // Where it lies, for whoever has to take it away.
        records.change(record, &records.shared()?)?;
        self.while_mounted(&record.state, |path| {
            let place = Place::open(path)?;
            place.be_alone()?;
            if !place.is_empty()? {
                // A folder, or a server's, that was there before.
                let problem = format!(
                    "has files at {} already, which stay as they are: empty it first",
                    path.display()
                );
                return Err(Error::invalid("volume", record.name(), problem));
            }
            // What another import left, which was killed, is nobody's: a folder may be that of several volumes.
            place.clear()?;
            let _limited = limited();
            place.bring(fill)
        })
    }
}
