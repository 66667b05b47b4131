//! Properties of a configuration as other engines write it, for the runtime's own command line.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use tinyd_tests::oci::Oci;
use tinyd_tests::{Env, require};

fn add_mount(config: &mut Value, mount: Value) {
    config["mounts"].as_array_mut().unwrap().push(mount);
}

#[test]
fn sources_are_relative_to_the_bundle_and_may_lead_through_links() {
    require!(root);
    let env = Env::new();
    let oci = Oci::of(&env);
    let real = env.files().join("real");
    fs::create_dir(&real).unwrap();
    fs::write(real.join("file"), "through a link\n").unwrap();
    let link = env.files().join("link");
    symlink(&real, &link).unwrap();
    // Places are made in it, so it must be this test's own.
    let root = tinyd_tests::roots::copy_of_busybox(&env);
    let bundle = oci.bundle("one", &["cat", "/data/file", "/linked/file"], |config| {
        config["root"]["path"] = json!(root);
        let bind = |source: &Path, target: &str| {
            json!({ "destination": target, "type": "none", "source": source, "options": ["rbind", "ro"] })
        };
        add_mount(config, bind(Path::new("data"), "/data"));
        add_mount(config, bind(&link, "/linked"));
        config["root"]["readonly"] = false.into();
        config["linux"]["maskedPaths"] = json!(["/no/such/path"]);
        config["linux"]["readonlyPaths"] = json!(["/no/such/path"]);
    });
    fs::create_dir(bundle.join("data")).unwrap();
    fs::write(bundle.join("data/file"), "of the bundle\n").unwrap();
    assert_eq!(oci.run_bundle(&bundle).ok().stdout(), "of the bundle\nthrough a link\n");
}

#[test]
fn what_is_not_known_here_is_warned_about_or_ignored() {
    require!(root);
    let env = Env::new();
    let oci = Oci::of(&env);
    let script = "grep CapBnd /proc/self/status | tr -d '\\t'; sed 's/.*) //' /proc/1/stat | cut -d' ' -f39";
    let bundle = oci.bundle("one", &["sh", "-c", script], |config| {
        for set in ["bounding", "permitted", "effective"] {
            config["process"]["capabilities"][set] = json!(["CAP_CHOWN", "CAP_OF_TOMORROW"]);
        }
        let scheduler = json!({ "policy": "SCHED_BATCH", "flags": ["SCHED_FLAG_RESET_ON_FORK"] });
        config["process"]["scheduler"] = scheduler;
        config["process"]["execCPUAffinity"] = json!({ "initial": "", "final": "0 , 1" });
        config["tomorrow"] = json!({ "of": "tomorrow" });
    });
    let output = oci.run_bundle(&bundle).ok();
    assert_eq!(output.stdout(), "CapBnd:0000000000000001\n3\n");
    assert!(output.stderr().contains("CAP_OF_TOMORROW"), "{output}");
}

#[test]
fn a_further_command_runs_on_its_processors() {
    require!(root);
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle("one", &["sleep", "1000"], |config| {
        config["process"]["execCPUAffinity"] = json!({ "initial": "0", "final": "0" });
    });
    oci.launch(&bundle);
    let output = oci.run(["--debug", "exec", "one", "true"]).ok();
    assert!(output.stderr().contains("affinity: 0x1 there"), "{output}");
    let allowed = "grep Cpus_allowed_list /proc/self/status | tr -d '\\t'";
    let output = oci.run(["exec", "one", "sh", "-c", allowed]).ok();
    assert_eq!(output.text(), "Cpus_allowed_list:0");
    // The container's own is none of that.
    let own =
        oci.run(["exec", "one", "sh", "-c", "grep Cpus_allowed_list /proc/1/status | tr -d '\\t'"]).ok();
    let of_test = fs::read_to_string("/proc/self/status").unwrap();
    let of_test =
        of_test.lines().find(|line| line.starts_with("Cpus_allowed_list")).unwrap().replace('\t', "");
    assert_eq!(own.text(), of_test);
    oci.run(["delete", "--force", "one"]).ok();
}

#[test]
fn what_the_host_mounts_in_the_root_later_shows_where_the_root_is_a_slave() {
    require!(root);
    let env = Env::new();
    let oci = Oci::of(&env);
    let root = env.files().join("root");
    fs::create_dir_all(root.join("place")).unwrap();
    let at = |path: &Path| path.to_str().unwrap().to_owned();
    // A place that spreads, whatever the machine's own mounts do; private below, so that nothing of this leaves it.
    env.other(["mount", "--bind", &at(&root), &at(&root)]).output().ok();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        env.other(["mount", "--make-shared", &at(&root)]).output().ok();
        for file in ["bin", "lib", "lib64", "usr", "etc"] {
            let source = tinyd_tests::roots::busybox().join(file);
            if source.exists() {
                env.other(["cp", "-a", &at(&source), &at(&root)]).output().ok();
            }
        }
        for (word, shows) in [("rslave", true), ("rprivate", false), ("rshared", false)] {
            let bundle = oci.bundle(word, &["sleep", "1000"], |config| {
                config["root"] = json!({ "path": root, "readonly": false });
                config["linux"]["rootfsPropagation"] = word.into();
            });
            oci.launch(&bundle);
            env.other(["mount", "-t", "tmpfs", "later", &at(&root.join("place"))]).output().ok();
            let output = oci.run(["exec", word, "stat", "-f", "-c", "%T", "/place"]).ok();
            env.other(["umount", &at(&root.join("place"))]).output().ok();
            assert_eq!(output.text() == "tmpfs", shows, "{word}: {output}");
            oci.run(["delete", "--force", word]).ok();
        }
    }));
    env.other(["umount", "-l", &at(&root)]).output().ok();
    result.unwrap();
}
