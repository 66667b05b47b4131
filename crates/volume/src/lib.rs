//! Container volumes: drivers behind one object-safe trait, [`VolumeDriver`].
//!
//! | driver | what a container sees |
//! |---|---|
//! | [`local`](LocalDriver) | a folder of the volume's own, which may be held to a size |
//! | [`bind`](BindDriver) | a folder or file of the host, made as a folder where it is missing |
//! | [a plugin's name](PluginDriver) | what a Docker volume plugin, another program, puts there |
//! | [`remote`](RemoteDriver) | what an NFS, CIFS, SSH or S3-compatible server has |
//! | [`tmpfs`](TmpfsDriver) | memory, which its users share and which is gone after the last |
//! | [`btrfs`](BtrfsDriver) | a subvolume, with snapshots, clones, compression, a limit, checksums |
//!
//! *Invariant:* no data is lost on an error path. A driver removes what it made itself, as its handle says, and of folders
//! that others may have filled only those that are empty.
//!
//! ```
//! use tinyd_volume::{BindDriver, VolumeDriver, VolumeSpec};
//!
//! let place = std::env::temp_dir().join(format!("tinyd-volume-doc-{}", std::process::id()));
//! let volume = BindDriver.create(&VolumeSpec::of_host(place.join("deep/data")))?;
//! let path = BindDriver.mount(&volume, "container-1")?;
//! assert!(path.is_dir());
//! BindDriver.unmount(&volume, "container-1")?;
//! BindDriver.remove(&volume)?;
//! assert!(!place.exists(), "it was made for the volume, and nothing is in it");
//! # Ok::<(), tinyd_volume::Error>(())
//! ```
#![deny(unsafe_code)]

mod abilities;
mod bind;
mod btrfs;
mod driver;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod local;
mod mounted;
mod name;
mod patience;
mod plugin;
mod program;
mod remote;
mod size;
mod slot;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tmpfs;
mod types;
mod users;

pub use abilities::{Backup, Clones, Quota, Scrub, ScrubReport, Snapshot, Snapshots, Usage};
pub use bind::BindDriver;
pub use btrfs::{BtrfsDriver, Options as BtrfsOptions};
pub use driver::VolumeDriver;
pub use error::{Error, Result};
pub use local::LocalDriver;
pub use name::check_name;
pub use plugin::{PluginDriver, Scope};
pub use remote::RemoteDriver;
pub use size::bytes as size_bytes;
pub use tmpfs::TmpfsDriver;
pub use types::{VolumeDetails, VolumeInfo, VolumeSpec, VolumeState};
pub use users::{Unmounting, Users};
