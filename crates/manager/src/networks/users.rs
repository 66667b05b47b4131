//! Who uses a network: the containers whose records name it.

use crate::networks::record::NetworkRecord;
use crate::store::{Place, Record};

/// Those that are on a network.
pub(super) fn of<'a>(network: &'a NetworkRecord, all: &'a [Record]) -> impl Iterator<Item = &'a Record> {
    let is = |place: &Place| place.name() == network.name() && place.network.driver == network.state.driver;
    let on = move |record: &&Record| record.places.iter().any(is);
    all.iter().filter(on)
}
