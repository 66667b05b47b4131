//! Volumes.

use super::{enums, messages};

messages! {
    VolumeCreate { name, driver, size, options, labels }
    VolumeSummary { name, driver, mountpoint, anonymous, containers, created, labels }
    VolumeInspect {
        created_at, driver, labels, mountpoint, name, options, scope, anonymous, available, containers,
        status
    }
    VolumeUsage { name, driver, used, limit, containers }
    VolumeExport { compression, snapshot, freeze }
    ArchiveSummary { entries, bytes, notes }
    VolumeSnapshot { name, created }
}

enums! {
    Compression { None, Gzip, Zstd }
}
