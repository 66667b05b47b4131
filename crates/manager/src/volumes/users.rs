//! Who uses a volume: the containers whose records name it.

use crate::store::Record;
use crate::volumes::VolumeRecord;

/// Those that use a volume.
pub(crate) fn of<'a>(volume: &'a VolumeRecord, all: &'a [Record]) -> impl Iterator<Item = &'a Record> {
    let uses = move |record: &&Record| record.volumes.iter().any(|used| used.state.name == volume.name());
    all.iter().filter(uses)
}
