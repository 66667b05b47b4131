//! The configuration: a file behind the variables, and these behind the options.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tinyd_tests::{Env, Output, require, roots, wait_until};

/// A configuration, below the test's own folders.
fn written(env: &Env, text: &str) -> PathBuf {
    let path = env.file("config.toml", text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    path
}

/// A command that goes by it.
fn by(env: &Env, file: &PathBuf, words: &[&str]) -> Output {
    env.cmd(words.iter().copied()).env("TINYD_CONFIG", file).env("TINYD_NETWORK", "").output()
}

#[test]
fn a_container_gets_what_the_file_says_unless_a_variable_or_an_option_says_otherwise() {
    require!(root);
    let env = Env::new();
    let image = roots::busybox().to_str().unwrap().to_owned();
    let file = written(&env, "[container]\nnetwork = 'none'\nlog_options = ['max-size=64k', 'max-file=2']\n");
    let create = |name: &str, options: &[&str]| {
        let words = [&["create", "--name", name][..], options, &[&image, "true"]].concat();
        by(&env, &file, &words).ok();
        let shown = env.tinyd(["inspect", name]).ok().stdout();
        serde_json::from_str::<serde_json::Value>(&shown).unwrap()[0].clone()
    };
    let config = |shown: &serde_json::Value| shown["HostConfig"]["LogConfig"]["Config"].clone();
    let first = create("c1", &[]);
    assert_eq!(first["HostConfig"]["NetworkMode"], "none");
    assert_eq!(config(&first), serde_json::json!({ "max-size": "65536", "max-file": "2" }));
    // An option wins, for the name that it has.
    let second = create("c2", &["--net", "host", "--log-opt", "max-file=5"]);
    assert_eq!(second["HostConfig"]["NetworkMode"], "host");
    assert_eq!(config(&second), serde_json::json!({ "max-size": "65536", "max-file": "5" }));
    // What is not kept at all has no size.
    assert_eq!(create("c4", &["--log-driver", "none"])["HostConfig"]["LogConfig"]["Type"], "none");
    // So does a variable.
    let by_variable = env.cmd(["create", "--name", "c3", &image, "true"]).env("TINYD_CONFIG", &file);
    by_variable.env("TINYD_NETWORK", "host").output().ok();
    let third = env.tinyd(["inspect", "--format", "{{.HostConfig.NetworkMode}}", "c3"]).ok();
    assert_eq!(third.stdout(), "host\n");
}

#[test]
fn a_container_that_is_started_again_by_itself_goes_by_the_same_file() {
    require!(root);
    let env = Env::new();
    let image = roots::busybox().to_str().unwrap().to_owned();
    // Where there may be one container only, one more is refused: the file is read.
    let file = written(&env, "max_containers = 1\n[container]\nnetwork = 'none'\n");
    let run = ["run", "-d", "--name", "c1", "--restart", "always", &image, "sh", "-c", "sleep 0.2; exit 3"];
    by(&env, &file, &run).ok();
    let more = by(&env, &file, &["create", "--name", "c2", &image, "true"]);
    assert_eq!(more.code(), Some(125), "{more}");
    wait_until("it was started again", || {
        let count = env.tinyd(["inspect", "--format", "{{.RestartCount}}", "c1"]).ok().stdout();
        count.trim().parse::<u32>().unwrap() > 0
    });
    env.tinyd(["rm", "-f", "c1"]).ok();
    // Named as it is seen from here, which is not where it is started again.
    let (folder, name) = (file.parent().unwrap(), file.file_name().unwrap().to_str().unwrap());
    let words = ["--config", name].into_iter().chain(run);
    env.cmd(words).current_dir(folder).output().ok();
    wait_until("it was started again", || {
        let count = env.tinyd(["inspect", "--format", "{{.RestartCount}}", "c1"]).ok().stdout();
        count.trim().parse::<u32>().unwrap() > 0
    });
    env.tinyd(["rm", "-f", "c1"]).ok();
}

#[test]
fn what_holds_is_shown_with_who_says_so() {
    let env = Env::new();
    let file = written(&env, "address_pools = ['10.90.0.0/16:24']\n\n[daemon]\nweb = 'none'\n");
    let shown = env.cmd(["system", "config", "--format", "{{.Setting}}|{{.Value}}|{{.From}}"]);
    let shown = shown.env("TINYD_CONFIG", &file).env("TINYD_LIVE_RESTORE", "true").output().ok().stdout();
    let place = file.display();
    for line in [
        format!("address_pools|10.90.0.0/16:24|line 1 of {place}"),
        format!("daemon.web|none|line 4 of {place}"),
        "daemon.live_restore|true|$TINYD_LIVE_RESTORE".to_owned(),
        "container.detach_keys|ctrl-]|default".to_owned(),
        "host||-".to_owned(),
    ] {
        assert!(shown.lines().any(|one| one == line), "{line} is not in\n{shown}");
    }
    // What it prints of the schema is a configuration, which sets nothing.
    let schema = env.tinyd(["system", "config", "--schema"]).ok().stdout();
    let again = written(&env, &schema);
    let shown = by(&env, &again, &["system", "config", "--format", "{{.From}}"]).ok().stdout();
    assert!(!shown.contains(" of "), "{shown}");
}

#[test]
fn a_file_that_is_not_understood_is_refused_before_anything_is_done() {
    require!(root);
    let env = Env::new();
    let image = roots::busybox().to_str().unwrap().to_owned();
    let run = ["run", "--name", "c1", &image, "true"];
    for (text, said) in [
        ("[container]\nnetwrk = 'none'\n", "line 2 of the configuration"),
        ("root = 7\n", "root is to be a string"),
        ("root = \n", "line 1 of the configuration"),
        ("[container]\nnetwork = 'container:'\n", "is \"container:\""),
        ("[container]\nlog_options = ['max-files=1']\n", "there are max-size=SIZE and max-file=NUMBER"),
    ] {
        let refused = by(&env, &written(&env, text), &run);
        assert_eq!(refused.code(), Some(125), "{refused}");
        assert!(refused.stderr().contains(said) && refused.stderr().lines().count() == 1, "{refused}");
    }
    // What does not go by it, goes on.
    let broken = written(&env, "root = \n");
    by(&env, &broken, &["run", "--help"]).ok();
    assert_eq!(by(&env, &broken, &["ps"]).code(), Some(2));
    // What others can write says nothing to root.
    let open = written(&env, "");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o666)).unwrap();
    let refused = by(&env, &open, &run);
    assert_eq!(refused.code(), Some(125), "{refused}");
    assert!(refused.stderr().contains("others can write to it"), "{refused}");
    let absent = env.cmd(run).env("TINYD_CONFIG", "/no/such.toml").output();
    assert!(absent.stderr().contains("/no/such.toml"), "{absent}");
    assert_eq!(env.tinyd(["ps", "-aq"]).ok().stdout(), "", "nothing was made");
}
