//! A container of another engine whose control group systemd makes: in a guest whose first process is systemd.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tinyd_tests::oci::Oci;
use tinyd_tests::{Env, eventually};

#[test]
#[ignore = "needs systemd: cargo xtask vm-test --systemd"]
fn a_container_is_a_scope_of_systemd_until_it_is_deleted() {
    assert!(Path::new("/run/systemd/system").exists(), "systemd is not the first process here");
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle("box", &["sleep", "1000"], |config| {
        config["linux"]["cgroupsPath"] = json!(format!("system.slice:oci:{}", env.tag()));
        config["linux"]["resources"]["memory"] = json!({ "limit": 64 << 20 });
        config["linux"]["resources"]["pids"] = json!({ "limit": 50 });
        config["linux"]["resources"]["cpu"] = json!({ "quota": 30_000, "period": 100_000 });
        config["linux"]["resources"]["unified"] = json!({ "memory.high": "33554432" });
        config["annotations"]["org.systemd.property.Description"] = json!("'a box of the tests'");
        config["annotations"]["org.systemd.property.TimeoutStopSec"] = json!("7");
        config["annotations"]["org.systemd.property.Wants"] = json!("['basic.target', 'sysinit.target']");
    });
    let unit = format!("oci-{}.scope", env.tag());
    let property =
        |name: &str| env.other(["systemctl", "show", "--value", "-p", name, &unit]).output().ok().text();
    oci.leave(["--systemd-cgroup", "create", "-b", bundle.to_str().unwrap(), "box"]).ok();
    assert_eq!(property("ActiveState"), "active");
    assert_eq!(property("Slice"), "system.slice");
    assert_eq!(property("MemoryMax"), (64 << 20).to_string());
    assert_eq!(
        (property("Description"), property("TimeoutStopUSec")),
        ("a box of the tests".into(), "7s".into())
    );
    let wants = property("Wants");
    assert!(wants.contains("basic.target") && wants.contains("sysinit.target"), "{wants}");
    assert_eq!((property("TasksMax"), property("CPUQuotaPerSecUSec")), ("50".to_owned(), "300ms".to_owned()));
    oci.run(["--systemd-cgroup", "start", "box"]).ok();
    let group = property("ControlGroup");
    assert_eq!(group, format!("/system.slice/{unit}"));
    let pid = oci.run(["state", "box"]).ok().json()["pid"].as_i64().unwrap();
    let of_process = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(of_process.contains(&group), "{of_process}");

    oci.run(["--systemd-cgroup", "update", "--memory", "83886080", "--pids-limit", "60", "box"]).ok();
    assert_eq!((property("MemoryMax"), property("TasksMax")), ("83886080".to_owned(), "60".to_owned()));
    let kernels = std::fs::read_to_string(format!("/sys/fs/cgroup{group}/memory.max")).unwrap();
    assert_eq!(kernels, "83886080\n");
    assert_eq!(property("CPUQuotaPerSecUSec"), "300ms", "what is not told stays");
    // What systemd was told of outlives that it reads its files again, and writes the groups'.
    env.other(["systemctl", "daemon-reload"]).output().ok();
    env.other(["systemctl", "set-property", "--runtime", &unit, "CPUWeight=50"]).output().ok();
    let file = |name: &str| std::fs::read_to_string(format!("/sys/fs/cgroup{group}/{name}")).unwrap();
    assert_eq!((property("MemoryHigh"), file("memory.high")), ("33554432".into(), "33554432\n".into()));
    assert_eq!(file("memory.max"), "83886080\n");

    // One that is none is refused, and nothing is made.
    for (id, name, value) in
        [("none", "Descriptio", "'x'"), ("untyped", "Description", "x"), ("unnamed", "De scription", "'x'")]
    {
        let wrong = oci.bundle(id, &["true"], |config| {
            config["linux"]["cgroupsPath"] = json!(format!("system.slice:oci:{}-{id}", env.tag()));
            config["annotations"][format!("org.systemd.property.{name}")] = json!(value);
        });
        let refused = oci.leave(["--systemd-cgroup", "create", "-b", wrong.to_str().unwrap(), id]).fails(1);
        assert!(refused.stderr().contains("propert"), "{name} {value}: {refused}");
        oci.run(["state", id]).fails(1);
        let unit = format!("oci-{}-{id}.scope", env.tag());
        let shown = env.other(["systemctl", "show", "--value", "-p", "LoadState", &unit]).output().ok();
        assert_eq!(shown.text(), "not-found", "{id}");
    }

    oci.run(["--systemd-cgroup", "delete", "--force", "box"]).ok();
    let gone = || (property("LoadState") == "not-found").then_some(());
    eventually(Duration::from_secs(20), gone).expect("the scope goes with the container");
}
