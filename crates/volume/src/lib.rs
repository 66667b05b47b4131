//! Container volumes: drivers behind one object-safe trait, [`VolumeDriver`].
//!
//! | driver | what a container sees |
//! |---|---|
//! | [`bind`](BindDriver) | a folder or file of the host, made as a folder where it is missing |
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
#![forbid(unsafe_code)]

mod bind;
mod driver;
mod error;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod types;

pub use bind::BindDriver;
pub use driver::VolumeDriver;
pub use error::{Error, Result};
pub use types::{VolumeInfo, VolumeSpec, VolumeState};
