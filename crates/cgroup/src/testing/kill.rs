//! Killing, and removing right afterwards.

use super::{Ground, Running, eventually, must};
use std::os::unix::process::ExitStatusExt;

pub(super) fn takes_the_whole_tree(ground: &Ground) {
    let group = ground.group("a");
    let nested = ground.group("a/b/c");
    must(group.kill());
    let beside = ground.group("a/beside");
    let inner = if Ground::inner_holds(&*group) { &group } else { &beside };
    let mut children = [
        Running::inside(&**inner, "sh", &["-c", "sleep 100 & sleep 100 & wait"]),
        Running::inside(&*nested, "sleep", &["100"]),
    ];
    let bystander = ground.group("other");
    let mut spared = Running::inside(&*bystander, "cat", &[]);
    eventually("all four are there", || must(group.processes()).len() == 4);
    must(group.kill());
    for child in &mut children {
        assert_eq!(must(child.0.wait()).signal(), Some(9));
    }
    eventually("nobody is left", || !must(group.is_populated()));
    assert!(spared.answers(std::time::Duration::from_millis(900)));
    must(group.remove());
}

pub(super) fn takes_frozen_ones(ground: &Ground) {
    let group = ground.group("a");
    let mut child = Running::inside(&*group, "sleep", &["100"]);
    must(group.freeze());
    must(group.kill());
    assert_eq!(must(child.0.wait()).signal(), Some(9));
    must(group.remove());
}

pub(super) fn takes_those_that_fork(ground: &Ground) {
    let group = ground.group("a");
    let script = "while :; do /bin/true; sleep 100 & done";
    let mut child = Running::inside(&*group, "sh", &["-c", script]);
    eventually("it has forked often", || must(group.processes()).len() > 20);
    must(group.kill());
    assert_eq!(must(child.0.wait()).signal(), Some(9));
    eventually("nobody is left", || !must(group.is_populated()));
    must(group.remove());
}

/// No wait in between: the group is busy until the kernel has let go of the dead.
pub(super) fn remove_waits_for_the_dying(ground: &Ground) {
    for round in 0..10 {
        let group = ground.group(&format!("r{round}"));
        let children: Vec<_> = (0..4).map(|_| Running::inside(&*group, "sleep", &["100"])).collect();
        must(group.kill());
        must(group.remove());
        drop(children);
    }
    let group = ground.group("alive");
    let _alive = Running::inside(&*group, "sleep", &["100"]);
    let Err(error) = group.remove() else { panic!("a living process's group was removed") };
    let text = format!("{error:?}");
    assert!(text.contains("Remove"), "{text}");
    assert!(must(group.is_populated()));
}
