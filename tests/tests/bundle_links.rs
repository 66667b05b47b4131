//! Network devices of the host that a bundle moves into its container.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::path::Path;

use serde_json::{Value, json};
use tinyd_tests::bundle::run;
use tinyd_tests::{Env, Mode, require};

#[test]
fn a_device_moves_under_its_new_name_with_its_lasting_addresses_and_is_up() {
    require!(root);
    require!(command "ip");
    for mapped in [false, true] {
        let mode = Mode { env: Env::new(), mapped };
        // Its other end goes with it.
        let (one, other) =
            (format!("ta{}", std::process::id() % 100_000), format!("tb{}", std::process::id() % 100_000));
        mode.env.other(["ip", "link", "add", &one, "type", "veth", "peer", "name", &other]).output().ok();
        mode.env.other(["ip", "addr", "add", "198.51.100.7/24", "dev", &one]).output().ok();
        mode.env.other(["ip", "link", "set", &one, "mtu", "1400"]).output().ok();
        let change = |config: &mut Value| {
            let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
            if !namespaces.iter().any(|one| one["type"] == "network") {
                namespaces.push(json!({ "type": "network" }));
            }
            config["linux"]["netDevices"] = json!({ &one: { "name": "lan0" } });
        };
        let script = "ip -o link show lan0; ip -o -4 addr show lan0; cat /sys/class/net/lan0/mtu; ip link show | grep -c ': ta'";
        let output = run(&mode, change, script);
        let left = Path::new("/sys/class/net").join(&one).exists();
        let _ = mode.env.other(["ip", "link", "del", &other]).output();
        let said = output.fails(1).stdout().to_owned();
        assert!(
            said.contains("UP") && said.contains("198.51.100.7/24") && said.contains("\n1400\n0\n"),
            "{said}"
        );
        assert!(!left, "it is still here");
    }
}

#[test]
fn a_template_is_the_first_number_that_is_free() {
    require!(root);
    require!(command "ip");
    let mode = Mode { env: Env::new(), mapped: false };
    let number = std::process::id() % 100_000;
    let (one, other) = (format!("tc{number}"), format!("td{number}"));
    mode.env.other(["ip", "link", "add", &one, "type", "veth", "peer", "name", &other]).output().ok();
    let change = |inside: [&str; 2]| {
        let devices = json!({ &one: { "name": inside[0] }, &other: { "name": inside[1] } });
        move |config: &mut Value| {
            let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|one| one["type"] != "network");
            namespaces.push(json!({ "type": "network" }));
            config["linux"]["netDevices"] = devices;
        }
    };
    let taken = run(&mode, change(["lo", "x"]), "echo ran");
    let said = run(
        &mode,
        change(["lan%d", "lan%d"]),
        "ls /sys/class/net | sort | tr '\\n' ' '; cat /sys/class/net/lan1/flags",
    );
    let _ = mode.env.other(["ip", "link", "del", &one]).output();
    assert!(taken.fails(125).stderr().contains(&format!("move network device {one}")));
    assert!(said.ok().stdout().starts_with("lan0 lan1 lo 0x1"), "they are up");
}

#[test]
fn a_device_that_cannot_move_is_refused_by_name() {
    require!(root);
    let mode = Mode { env: Env::new(), mapped: false };
    let devices = |devices: Value| move |config: &mut Value| config["linux"]["netDevices"] = devices;
    for (named, part) in [
        (json!({ "no-such-device": {} }), "move network device no-such-device"),
        (json!({ "eth0": { "name": "a/b" } }), "linux.netDevices"),
    ] {
        let output = run(&mode, devices(named), "echo ran").fails(125);
        assert!(output.stderr().contains(part), "{output}");
    }
    let shared = |config: &mut Value| {
        devices(json!({ "eth0": {} }))(config);
        config["linux"]["namespaces"].as_array_mut().unwrap().retain(|one| one["type"] != "network");
        config["linux"].as_object_mut().unwrap().remove("sysctl");
    };
    assert!(run(&mode, shared, "echo ran").fails(125).stderr().contains("no network namespace"));
    let rdt = |config: &mut Value| config["linux"]["intelRdt"] = json!({ "closID": "x" });
    assert!(run(&mode, rdt, "echo ran").fails(125).stderr().contains("linux.intelRdt"));
}
