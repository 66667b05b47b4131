//! Device files: rules are enforced, replaced, and not to be got around from a group below.

use super::{Ground, Running, must};
use crate::{Cgroup, DeviceRule, Error, Limits};

/// The test of a device file: whether it can be opened for reading.
const OPEN: &str = "for d in null zero full; do if true < /dev/$d; then echo $d; fi; done";

/// `+` allows and `-` denies.
fn rules(texts: &[&str]) -> Limits {
    let rule = |text: &&str| {
        let (sign, rest) = text.split_at(1);
        DeviceRule { allow: sign == "+", ..must(rest.parse()) }
    };
    Limits { devices: texts.iter().map(rule).collect(), ..Default::default() }
}

fn output(group: &dyn Cgroup, script: &str) -> String {
    Running::inside(group, "sh", &["-c", script]).output()
}

/// I11: what is not allowed answers EPERM, from the first act of the first process on.
pub(super) fn only_what_is_allowed_opens(ground: &Ground) {
    let null = rules(&["-a *:* rwm", "+c 1:3 rwm"]);
    if !ground.can(&null) {
        return;
    }
    let group = ground.create("a", &null);
    assert_eq!(output(&*group, OPEN), "null\n");
    let text = output(&*group, "cat /dev/zero 2>&1 | head -c 200");
    assert!(text.contains("Operation not permitted"), "{text}");
    let script = "true > /dev/null && echo written";
    assert_eq!(output(&*group, script), "written\n");

    // A node of its own is no way around, be it the disk of the host, and making one is an access too.
    let folder = std::env::temp_dir().join(format!("tinyd-node-{}", ground.root));
    must(std::fs::create_dir(&folder));
    let node = folder.join("disk");
    let made = Running::outside("mknod", &[&node.display().to_string(), "b", "7", "0"]).output();
    let tries = format!(
        "cat {0} 2>&1 | head -c 200; mknod {0}-own c 1 5 2>&1; mknod {0}-null c 1 3 && echo made",
        node.display()
    );
    let text = output(&*group, &tries);
    let own = node.with_file_name("disk-own").exists();
    for name in ["disk", "disk-null", "disk-own"] {
        let _ = std::fs::remove_file(folder.join(name));
    }
    must(std::fs::remove_dir(&folder));
    assert_eq!(made, "");
    assert_eq!(text.matches("Operation not permitted").count(), 2, "{text}");
    assert!(text.ends_with("made\n") && !own, "{text}");
}

/// A list takes the place of the one before, for a group with processes too.
pub(super) fn rules_are_replaced(ground: &Ground) {
    let zero = rules(&["-a *:* rwm", "+c 1:5 r", "+c *:* m"]);
    if !ground.can(&zero) {
        return;
    }
    let group = ground.create("a", &rules(&["-a *:* rwm", "+c 1:3 rwm", "+c 1:5 rwm"]));
    let mut waiting = Running::inside(&*group, "sh", &["-c", &format!("read x; {OPEN}")]);
    must(group.apply(&zero));
    assert_eq!(waiting.output(), "zero\n");
    assert_eq!(output(&*group, "if true > /dev/zero; then echo written; fi"), "");
    for _ in 0..3 {
        must(group.apply(&zero));
        assert_eq!(output(&*group, OPEN), "zero\n");
    }
    must(group.apply(&rules(&["-a *:* rwm", "+c 1:* r"])));
    assert_eq!(output(&*group, OPEN), "null\nzero\nfull\n");
    must(group.apply(&rules(&["-a *:* rwm"])));
    assert_eq!(output(&*group, OPEN), "");
    must(group.apply(&rules(&["-c 1:5 rw"])));
    assert_eq!(output(&*group, OPEN), "null\nfull\n");
    must(group.apply(&rules(&["+a *:* rwm"])));
    assert_eq!(output(&*group, OPEN), "null\nzero\nfull\n");
    assert!(must(group.limits()).devices.is_empty());

    // They can come later, to a group that runs without any.
    let later = ground.group("later");
    let mut waiting = Running::inside(&*later, "sh", &["-c", &format!("read x; {OPEN}")]);
    must(later.apply(&zero));
    assert_eq!(waiting.output(), "zero\n");
}

/// I15: no group below has more than the one above.
pub(super) fn groups_below_obey(ground: &Ground) {
    let null = rules(&["-a *:* rwm", "+c 1:3 rwm"]);
    if !ground.can(&null) {
        return;
    }
    ground.create("a", &null);
    assert_eq!(output(&*ground.group("a/plain"), OPEN), "null\n", "it has no rules of its own");
    for wider in [rules(&["+a *:* rwm"]), rules(&["-a *:* rwm", "+c 1:3 r", "+c 1:5 r"])] {
        match ground.driver.create(&ground.path("a/wider"), &wider) {
            Ok(group) => {
                assert_eq!(output(&*group, OPEN), "null\n");
                must(group.remove());
            }
            Err(Error::Refused { hint, .. }) => assert!(hint.contains("the group above"), "{hint}"),
            Err(other) => panic!("{other}"),
        }
    }
    let narrower = ground.create("a/narrower", &rules(&["-a *:* rwm"]));
    assert_eq!(output(&*narrower, OPEN), "");
}

/// A denial that takes a part out of what is allowed: enforced, or refused before any effect.
pub(super) fn exceptions_are_kept_or_refused(ground: &Ground) {
    if !ground.can(&rules(&["-a *:* rwm"])) {
        return;
    }
    let but_zero = rules(&["-a *:* rwm", "+c 1:* rwm", "-c 1:5 rwm"]);
    match ground.driver.validate(&but_zero) {
        Ok(()) => assert_eq!(output(&*ground.create("a", &but_zero), OPEN), "null\nfull\n"),
        Err(Error::DeviceException { rule }) => {
            assert_eq!(rule, "deny c 1:5 rwm");
            let made = ground.driver.create(&ground.path("a"), &but_zero);
            assert!(matches!(made, Err(Error::DeviceException { .. })));
            assert!(must(ground.driver.children(&ground.root)).is_empty());
        }
        Err(other) => panic!("{other}"),
    }
}
