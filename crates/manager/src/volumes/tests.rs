use super::VolumeRecord;
use crate::core::Core;
use crate::error::Error;
use crate::intent::{Intent, Verb};
use crate::store::UsedVolume;
use crate::testing::{self, FakeLauncher, spec};
use std::fs;
use std::path::Path;
use tinyd_engine::{RemoveRequest, VolumeCreate, VolumeMount};
use tinyd_runtime::OverlayMount;
use tinyd_volume::VolumeState;

fn data(core: &Core, name: &str) -> std::path::PathBuf {
    core.store.root().join("volumes/local").join(name)
}

fn names(core: &Core) -> Vec<String> {
    core.volumes().unwrap().into_iter().map(|volume| volume.name).collect()
}

/// A volume that somebody had begun to make.
fn begun(core: &Core, name: &str, found: bool) -> VolumeRecord {
    let record = VolumeRecord {
        id: crate::ids::new_id().unwrap(),
        created_ns: 1,
        labels: Default::default(),
        anonymous: false,
        container: None,
        maker: None,
        whole: false,
        made: false,
        found,
        filling: false,
        state: VolumeState {
            driver: "local".to_owned(),
            name: name.to_owned(),
            path: Default::default(),
            made: Vec::new(),
            options: Default::default(),
        },
    };
    let records = core.volume_records();
    records.add(&record, &records.shared().unwrap()).unwrap();
    fs::create_dir_all(data(core, name)).unwrap();
    record
}

#[test]
fn root_an_image_of_many_layers_fills_a_volume_as_it_is_seen() {
    if !testing::root() {
        return;
    }
    let (place, core) = testing::core(FakeLauncher::succeeding());
    let mut wanted = spec(place.path(), None);
    wanted.volumes = vec![VolumeMount::named("data", "/srv")];
    let layer = |name: &str, files: &[(&str, &str)]| {
        let folder = place.path().join(name);
        fs::create_dir_all(folder.join("srv")).unwrap();
        files.iter().for_each(|(file, text)| fs::write(folder.join("srv").join(file), text).unwrap());
        folder
    };
    let id = core.create(&wanted).unwrap().id;
    let mut record = core.store.record(&id).unwrap().unwrap();
    let lowers = vec![
        layer("top", &[("both", "top"), ("new", "")]),
        layer("bottom", &[("both", "bottom"), ("old", "")]),
    ];
    let own = core.store.container(&id);
    record.rootfs.overlays = vec![OverlayMount {
        target: Default::default(),
        lowers,
        upper: own.join("upper"),
        work: own.join("work"),
    }];
    core.fill_volumes(&record).unwrap();
    let mut seen: Vec<_> =
        fs::read_dir(data(&core, "data")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    seen.sort();
    assert_eq!(seen, ["both", "new", "old"]);
    assert_eq!(fs::read_to_string(data(&core, "data").join("both")).unwrap(), "top");
    assert!(!own.join("scratch").exists());
    // One that was filled by half, by who was killed then, is filled again: what was to come is nobody's.
    let coming = data(&core, "data").join(".tinyd-coming");
    let torn = || {
        fs::create_dir(&coming).unwrap();
        fs::write(coming.join("torn"), "").unwrap();
    };
    ["both", "new", "old"].iter().for_each(|name| fs::remove_file(data(&core, "data").join(name)).unwrap());
    torn();
    let mut volume = core.known_volume("data").unwrap();
    volume.filling = true;
    let records = core.volume_records();
    records.change(&volume, &records.shared().unwrap()).unwrap();
    core.fill_volumes(&record).unwrap();
    assert!(data(&core, "data").join("old").exists() && !coming.exists());
    assert!(!core.known_volume("data").unwrap().filling);
    // Also by who fills in nothing, and what somebody has written since stays.
    volume.filling = true;
    records.change(&volume, &records.shared().unwrap()).unwrap();
    torn();
    fs::write(data(&core, "data").join("since"), "").unwrap();
    record.volumes[0].mount.no_copy = true;
    core.fill_volumes(&record).unwrap();
    assert_eq!(fs::read_dir(data(&core, "data")).unwrap().count(), 4);
    assert!(!core.known_volume("data").unwrap().filling);
}

#[test]
fn root_what_another_container_has_had_is_not_taken_back_with_a_run_that_failed() {
    if !testing::root() {
        return;
    }
    let (place, core) = testing::core(FakeLauncher::succeeding());
    let mut wanted = spec(place.path(), None);
    wanted.volumes = vec![VolumeMount::named("data", "/srv"), VolumeMount::named("own", "/own")];
    let first = core.prepare(&wanted, Verb::Run).unwrap();
    // Nor does a prune take them while it starts.
    assert_eq!(core.prune_volumes(true).unwrap(), Vec::<String>::new());
    wanted.volumes.truncate(1);
    let other = core.create(&wanted).unwrap().id;
    fs::write(data(&core, "data").join("kept"), "").unwrap();
    core.remove(&other, &RemoveRequest::default()).unwrap();
    core.take_back(first, Error::MissingCommand);
    assert_eq!(names(&core), ["data"]);
    assert!(data(&core, "data").join("kept").exists());
}

#[test]
fn pure_what_a_dead_maker_left_goes_with_the_next_change_and_what_was_there_before_stays() {
    let (_place, core) = testing::core(FakeLauncher::succeeding());
    let torn = begun(&core, "torn", false);
    begun(&core, "older", true);
    let busy = begun(&core, "busy", false);
    let intent = Intent::begin(&core.store, Verb::Volume, &busy.id, Some("busy")).unwrap();
    drop(Intent::begin(&core.store, Verb::Volume, &torn.id, Some("torn")).unwrap());
    core.create_volume(&VolumeCreate::named("new")).unwrap();
    assert!(!data(&core, "torn").exists() && data(&core, "older").exists() && data(&core, "busy").exists());
    assert_eq!(
        (names(&core), core.volume_records().names().unwrap()),
        (vec!["new".into()], vec!["busy".into(), "new".into()])
    );
    intent.finish().unwrap();
    assert_eq!(core.remove_volume("new").unwrap(), "new");
    assert!(!data(&core, "busy").exists(), "nobody works on it any more");
}

#[test]
fn root_a_volume_of_a_container_that_is_gone_is_found_and_removed() {
    if !testing::root() {
        return;
    }
    let (place, core) = testing::core(FakeLauncher::succeeding());
    let mut wanted = spec(place.path(), Some("c"));
    wanted.volumes = vec![VolumeMount::anonymous("/a"), VolumeMount::named("data", "/d")];
    let id = core.create(&wanted).unwrap().id;
    let UsedVolume { state, .. } = core.store.record(&id).unwrap().unwrap().volumes.swap_remove(0);
    let text = fs::read(core.volume_records().file(&state.name)).unwrap();
    core.remove("c", &RemoveRequest { volumes: true, ..RemoveRequest::default() }).unwrap();
    assert_eq!(names(&core), ["data"]);
    fs::write(core.volume_records().file(&state.name), text).unwrap();
    fs::create_dir_all(&state.path).unwrap();
    let found = |repair| {
        let report = core.check(repair).unwrap();
        // Control groups of other tests are no concern of this one.
        let of_volumes = report.findings.into_iter().filter(|finding| finding.problem.contains("volume"));
        of_volumes.map(|finding| (finding.problem, finding.repaired)).collect::<Vec<_>>()
    };
    let problem = || "is a volume of a container that is gone".to_owned();
    assert_eq!(found(false), [(problem(), false)]);
    assert_eq!(found(true), [(problem(), true)]);
    assert_eq!((found(false).len(), names(&core)), (0, vec!["data".to_owned()]));
    assert!(!Path::new(&state.path).exists());
}
