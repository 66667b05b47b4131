//! The volumes that the noting engine has.

use std::time::{Duration, UNIX_EPOCH};
use tinyd_engine::{VolumeSnapshot, VolumeSummary, VolumeUsage};

pub(super) fn summaries() -> Vec<VolumeSummary> {
    let data = VolumeSummary {
        name: "data".to_owned(),
        driver: "local".to_owned(),
        mountpoint: "/v/data".to_owned(),
        anonymous: false,
        containers: 2,
        created: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        labels: [("stage".to_owned(), "test".to_owned())].into(),
    };
    let idle = VolumeSummary {
        name: "idle".to_owned(),
        driver: "btrfs".to_owned(),
        containers: 0,
        labels: Default::default(),
        ..data.clone()
    };
    vec![data, idle]
}

pub(super) fn usage() -> Vec<VolumeUsage> {
    let one = |name: &str, driver: &str, used, limit| VolumeUsage {
        name: name.to_owned(),
        driver: driver.to_owned(),
        used,
        limit,
        containers: 1,
    };
    vec![one("data", "local", Some(3 << 20), Some(64 << 20)), one("far", "remote", None, None)]
}

pub(super) fn snapshots() -> Vec<VolumeSnapshot> {
    let one = |name: &str, seconds| VolumeSnapshot {
        name: name.to_owned(),
        created: UNIX_EPOCH + Duration::from_secs(seconds),
    };
    vec![one("first", 1_700_000_000), one("second", 1_700_000_060)]
}
