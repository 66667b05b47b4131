//! Who uses a network: the containers whose records name it, and those that live in the network namespace of one of them.

use crate::networks::record::NetworkRecord;
use crate::store::{Place, Record};

/// Those that are on a network.
pub(super) fn on<'a>(network: &'a NetworkRecord, all: &'a [Record]) -> impl Iterator<Item = &'a Record> {
    let is = |place: &Place| place.name() == network.name() && place.network.driver == network.state.driver;
    let on = move |record: &&Record| record.places.iter().any(is);
    all.iter().filter(on)
}

/// Those that keep it from being removed: who has no place of its own uses the one of the container whose network it has.
pub(super) fn of<'a>(network: &'a NetworkRecord, all: &'a [Record]) -> impl Iterator<Item = &'a Record> {
    let beside = |record: &&Record| {
        let owner = record.netns_of.as_deref();
        on(network, all).any(|other| owner == Some(&other.id))
    };
    on(network, all).chain(all.iter().filter(move |record| beside(record)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::network::with_networks;
    use crate::testing::{self, FakeLauncher, record_with};
    use tinyd_engine::{NetworkCreate, NetworkJoin};

    #[test]
    fn root_who_lives_in_the_network_of_another_uses_what_that_one_is_on() {
        if !testing::root() {
            return;
        }
        let (_place, mut core) = testing::core(FakeLauncher::succeeding());
        with_networks(&mut core);
        let wanted = NetworkCreate { name: Some("web".to_owned()), ..Default::default() };
        core.create_network(&wanted).unwrap();
        let network = core.find_network("web").unwrap();
        let place = Place { network: network.state.clone(), wanted: NetworkJoin::on("web") };
        let owner = record_with(&core.store, |record| record.places = vec![place]);
        let beside = record_with(&core.store, |record| record.netns_of = Some(owner.id.clone()));
        let apart = record_with(&core.store, |record| record.netns_of = Some("f".repeat(32)));
        let all = [owner, beside, apart];
        let ids = |records: Vec<&Record>| records.iter().map(|record| record.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(on(&network, &all).collect()), [all[0].id.clone()]);
        assert_eq!(ids(of(&network, &all).collect()), [all[0].id.clone(), all[1].id.clone()]);
    }
}
