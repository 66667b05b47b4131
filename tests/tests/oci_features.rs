//! What the runtime tells of itself (the specification's features structure), and that it is true.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use serde_json::{Value, json};
use tinyd_tests::oci::Oci;
use tinyd_tests::{Env, require};

fn words(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// The properties of a structure of version 1.3, and of its part about Linux.
const PROPERTIES: [&str; 7] = [
    "ociVersionMin",
    "ociVersionMax",
    "hooks",
    "mountOptions",
    "linux",
    "annotations",
    "potentiallyUnsafeConfigAnnotations",
];
const OF_LINUX: [&str; 10] = [
    "namespaces",
    "capabilities",
    "cgroup",
    "seccomp",
    "apparmor",
    "selinux",
    "memoryPolicy",
    "intelRdt",
    "mountExtensions",
    "netDevices",
];

#[test]
fn each_property_is_told_and_no_other() {
    require!(program);
    let env = Env::new();
    let told = Oci::of(&env).run(["features"]).ok().json();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let sorted = |names: &[&str]| {
        let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&told), sorted(&PROPERTIES));
    let linux = &told["linux"];
    assert_eq!(names(linux), sorted(&OF_LINUX));
    assert_eq!((&told["ociVersionMin"], &told["ociVersionMax"]), (&json!("1.0.0"), &json!("1.3.0")));
    let mut unsafe_ones = words(&told["potentiallyUnsafeConfigAnnotations"]);
    unsafe_ones.sort();
    assert_eq!(unsafe_ones, ["dev.tinyd.init", "dev.tinyd.user", "org.opencontainers.image.stopSignal"]);
    assert_eq!(
        words(&told["hooks"]),
        ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
    );
    assert!(told["annotations"]["dev.tinyd.version"].is_string());
    let mut namespaces = words(&linux["namespaces"]);
    namespaces.sort();
    assert_eq!(namespaces, ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"]);
    let cgroup = json!({ "v1": true, "v2": true, "systemd": true, "systemdUser": false, "rdma": true });
    assert_eq!(linux["cgroup"], cgroup);
    let seccomp = &linux["seccomp"];
    assert_eq!(seccomp["enabled"], true);
    let counts = ["actions", "operators", "archs", "knownFlags", "supportedFlags"]
        .map(|list| words(&seccomp[list]).len());
    assert_eq!(counts, [9, 7, 23, 4, 4]);
    assert_eq!(linux["intelRdt"], json!({ "enabled": false, "schemata": false, "monitoring": false }));
    assert_eq!(linux["mountExtensions"], json!({ "idmap": { "enabled": true } }));
    assert_eq!(linux["netDevices"], json!({ "enabled": true }));
    assert_eq!(
        (&linux["apparmor"], &linux["selinux"]),
        (&json!({ "enabled": true }), &json!({ "enabled": true }))
    );
    assert_eq!(
        (words(&linux["memoryPolicy"]["modes"]).len(), words(&linux["memoryPolicy"]["flags"]).len()),
        (7, 3)
    );
    assert_eq!(words(&linux["capabilities"]).len(), 41);
    for option in [
        "bind",
        "rbind",
        "remount",
        "ro",
        "rro",
        "rstrictatime",
        "idmap",
        "ridmap",
        "tmpcopyup",
        "sync",
        "runbindable",
    ] {
        assert!(words(&told["mountOptions"]).iter().any(|word| word == option), "{option}");
    }
}

/// Words by the dozen in one bundle: none of them is refused.
#[test]
fn each_word_that_is_told_is_understood() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let told = oci.run(["features"]).ok().json();
    let linux = &told["linux"];
    for version in ["ociVersionMin", "ociVersionMax"] {
        let output = oci.look(version, "echo ran", |config| config["ociVersion"] = told[version].clone());
        assert_eq!(output.ok().stdout(), "ran\n");
    }
    let output = oci.look("caps", "grep CapBnd /proc/self/status", |config| {
        config["process"]["capabilities"] = json!({ "bounding": linux["capabilities"] });
    });
    // Those that this test has not itself are left out, and said.
    assert!(output.stdout().starts_with("CapBnd:\t"), "{output}");
    assert!(!output.ok().stderr().contains("is no capability"));

    let seccomp = &linux["seccomp"];
    let actions = words(&seccomp["actions"]).into_iter().filter(|action| action != "SCMP_ACT_NOTIFY");
    let by_action = actions.map(|action| json!({ "names": ["sync"], "action": action }));
    let by_operator = words(&seccomp["operators"]).into_iter().map(|op| {
        let args = json!([{ "index": 0, "value": 1, "valueTwo": 1, "op": op }]);
        json!({ "names": ["syncfs"], "action": "SCMP_ACT_ERRNO", "args": args })
    });
    let rules: Vec<Value> = by_action.chain(by_operator).collect();
    let output = oci.look("filter", "echo ran", |config| {
        config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW", "architectures": seccomp["archs"], "syscalls": rules,
            // A flag for listeners is none without one.
            "flags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
        });
    });
    assert_eq!(output.ok().stdout(), "ran\n");

    // Each option in a mount of its own, on memory or on a folder.
    let source = env.files().join("source");
    std::fs::create_dir(&source).unwrap();
    let root = tinyd_tests::roots::copy_of_busybox(&env);
    let bundle = oci.bundle("options", &["echo", "ran"], |config| {
        config["root"]["path"] = json!(root);
        let mounts = config["mounts"].as_array_mut().unwrap();
        for (at, option) in words(&told["mountOptions"]).into_iter().enumerate() {
            // Those that map ids need a mapping, and one that spreads to the host does so.
            if ["idmap", "ridmap", "shared", "rshared", "remount"].contains(&option.as_str()) {
                continue;
            }
            let spreads = ["private", "slave", "bindable"].iter().any(|word| option.ends_with(word));
            let below = option.starts_with('r') && !["ro", "rw", "relatime"].contains(&option.as_str());
            let mount = match (below && !spreads) || option == "bind" {
                true => json!({ "type": "none", "source": source, "options": ["rbind", option] }),
                false => json!({ "type": "tmpfs", "source": "tmpfs", "options": [option] }),
            };
            mounts.push(mount);
            mounts.last_mut().unwrap()["destination"] = json!(format!("/tmp/{at}"));
        }
    });
    assert_eq!(oci.run_bundle(&bundle).ok().stdout(), "ran\n");
    for (at, mode) in words(&linux["memoryPolicy"]["modes"]).into_iter().enumerate() {
        let plain = ["MPOL_DEFAULT", "MPOL_LOCAL"].contains(&mode.as_str());
        let nodes = if plain { Value::Null } else { json!("0") };
        let bundle = oci.bundle(&format!("mode{at}"), &["echo", "ran"], |config| {
            config["linux"]["memoryPolicy"] = json!({ "mode": mode, "nodes": nodes });
        });
        let output = oci.run_bundle(&bundle);
        // A kernel may not know it, which is another thing.
        assert!(output.stdout() == "ran\n" || output.stderr().contains("memory policy"), "{mode}: {output}");
    }
}
