//! `export_volume`, `import_volume` and `clone_volume`.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::volumes::bind::is_of_host;
use crate::volumes::create::Beginning;
use crate::volumes::fill::open_folder;
use crate::volumes::{DEFAULT_DRIVER, SIZE};
use std::cell::RefCell;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use tinyd_engine::{ArchiveSummary, VolumeCreate, VolumeExport};
use tinyd_fs::archive::{self, Compression, Devices, Pack, Summary, Unpack};
use tinyd_volume::VolumeState;

/// Bytes that are read or written at once.
pub(crate) const CHUNK: usize = 1 << 20;

impl Core {
    pub(crate) fn export_volume(
        &self,
        name: &str,
        request: &VolumeExport,
        to: OwnedFd,
    ) -> Result<ArchiveSummary> {
        let record = self.known_volume(name)?;
        let volume = &record.state;
        let work = |path: &Path| pack(path, volume, request, to);
        if let Some(snapshot) = &request.snapshot {
            return self.while_snapshot_visited(&record, snapshot, work);
        }
        let driver = self.driver_of(volume)?;
        let Some(snapshots) = driver.snapshots() else {
            return match request.freeze {
                true => self.while_visited(&record, |path| self.while_frozen(&record, || work(path))),
                false => self.while_visited(&record, work),
            };
        };
        // What is written meanwhile is not in it: it is the state of one moment.
        self.while_moment_visited(&record, snapshots, work)
    }

    pub(crate) fn import_volume(&self, wanted: &VolumeCreate, from: OwnedFd) -> Result<ArchiveSummary> {
        let source = RefCell::new(BufReader::with_capacity(CHUNK, File::from(from)));
        let summary = RefCell::new(Summary::default());
        let label = wanted.name.clone().unwrap_or_default();
        let fill = |folder: std::os::fd::BorrowedFd<'_>| {
            // As root's own tar: whoever may make volumes may make such files.
            let options = Unpack { privileges: true, devices: Devices::LeaveOut, ..Unpack::default() };
            let unpacked = archive::unpack(&mut *source.borrow_mut(), folder, &options);
            *summary.borrow_mut() = unpacked.map_err(|source| Error::Tree {
                operation: "import the volume",
                path: label.clone().into(),
                source: Box::new(source),
            })?;
            Ok(())
        };
        self.make_new(wanted, &Beginning::Filled(&fill))?;
        Ok(told(&summary.into_inner()))
    }

    pub(crate) fn clone_volume(&self, name: &str, wanted: &VolumeCreate) -> Result<String> {
        let record = self.known_volume(name)?;
        let volume = &record.state;
        let mut wanted = wanted.clone();
        let driver = wanted.driver.get_or_insert_with(|| volume.driver.clone());
        let same_kind = *driver == volume.driver;
        let copied = same_kind && wanted.options.is_empty();
        let kind = self.driver_of(volume)?;
        if copied && kind.shows_what_is_named() && (!volume.options.is_empty() || is_of_host(volume)) {
            let problem = format!(
                "cannot be cloned with the options it has: they say where its data lies, and two volumes with them are one; clone it into \
                 another kind, as by -d {DEFAULT_DRIVER}, or say other options"
            );
            return Err(Error::invalid("volume", volume.label(), problem));
        }
        if copied {
            wanted.options.clone_from(&volume.options);
        }
        if same_kind && wanted.size.is_none() && !wanted.options.contains_key(SIZE) {
            wanted.size = self.limit_of(&record);
        } else if copied && wanted.size.is_some() {
            // The one that is said, and not the origin's.
            wanted.options.remove(SIZE);
        }
        if same_kind && kind.clones().is_some() {
            return Ok(self.make_new(&wanted, &Beginning::CloneOf(volume))?.state.name);
        }
        self.while_visited(&record, |path| {
            let source = open_folder(path)?;
            let both = format!("{} to {}", volume.label(), wanted.name.as_deref().unwrap_or("a new one"));
            let fill = |folder: std::os::fd::BorrowedFd<'_>| {
                tinyd_fs::copy::tree(source.as_fd(), folder).map_err(|error| Error::Tree {
                    operation: "copy the volume",
                    path: both.clone().into(),
                    source: Box::new(error),
                })?;
                // What disappears while it is copied is no error of the copy's.
                self.expect_there(&record)
            };
            Ok(self.make_new(&wanted, &Beginning::Filled(&fill))?.state.name)
        })
    }
}

fn pack(path: &Path, volume: &VolumeState, request: &VolumeExport, to: OwnedFd) -> Result<ArchiveSummary> {
    let folder = open_folder(path)?;
    let compression = compression(request.compression);
    let options = Pack { compression, ..Pack::default() };
    let mut sink = BufWriter::with_capacity(CHUNK, File::from(to));
    let packed = archive::pack(folder.as_fd(), &[], &mut sink, &options).map_err(|source| Error::Tree {
        operation: "export the volume",
        path: volume.label().into(),
        source: Box::new(source),
    })?;
    sink.flush().map_err(|error| Error::file("write the archive of", path, error))?;
    Ok(told(&packed))
}

/// How an archive is compressed.
pub(crate) fn compression(wanted: tinyd_engine::Compression) -> Compression {
    match wanted {
        tinyd_engine::Compression::None => Compression::None,
        tinyd_engine::Compression::Gzip => Compression::Gzip,
        tinyd_engine::Compression::Zstd => Compression::Zstd,
    }
}

/// As callers are told.
pub(crate) fn told(summary: &Summary) -> ArchiveSummary {
    ArchiveSummary { entries: summary.entries, bytes: summary.bytes, notes: summary.notes() }
}
