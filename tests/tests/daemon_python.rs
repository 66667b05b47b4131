//! The contract is enough for a client in another language: one in Python, with stubs that protoc makes of it, runs a container.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tinyd_tests::web::Daemon;
use tinyd_tests::{Env, paths, require, roots};

/// `*.proto` of a folder and of those below it, by their paths from `root`.
fn contract(root: &Path, folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contract(root, &path));
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
    found
}

#[test]
fn a_client_in_python_runs_a_container_with_nothing_but_the_contract() {
    require!(root);
    require!(program);
    let python = paths::python();
    assert!(python.is_file(), "cargo xtask test installs the packages of the client in Python");
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    // Its stubs: as crates/api/README.md says.
    let (proto, stubs) = (paths::workspace().join("crates/api/proto"), env.files().join("stubs"));
    fs::create_dir(&stubs).unwrap();
    let (include, out) = (proto.to_str().unwrap(), stubs.to_str().unwrap());
    let words = [python.to_str().unwrap(), "-m", "grpc_tools.protoc", "-I", include].map(str::to_owned);
    let to = [format!("--python_out={out}"), format!("--grpc_python_out={out}")];
    env.other(words.into_iter().chain(to).chain(contract(&proto, &proto))).output().ok();

    let script = paths::workspace().join("tests/python/client.py");
    let (socket, image) = (env.run_root().join("tinyd.sock"), roots::busybox());
    let words = [python.as_path(), &script, &stubs, &socket, &image];
    let seen = env.other(words).output().ok().json();
    let id = seen["id"].as_str().unwrap();
    assert_eq!(id.len(), 32, "{seen}");
    let session =
        json!({ "first": "opened", "last": "exited", "code": 7, "stdout": "to you\n", "stderr": "oops\n" });
    assert_eq!(seen["session"], session);
    assert_eq!(seen["state"], json!(["exited", 7]));
    assert_eq!(seen["log"], json!({ "LOG_SOURCE_STDOUT": "to you\n", "LOG_SOURCE_STDERR": "oops\n" }));
    assert_eq!((&seen["listed"], &seen["left"]), (&json!([id]), &json!([])));
    // A stream of figures, each later than the one before, that ends with the container.
    let watched: Vec<(u64, u64)> = serde_json::from_value(seen["watched"].clone()).unwrap();
    assert!((3..6).contains(&watched.len()), "{seen}");
    for pair in watched.windows(2) {
        assert!(pair[0].0 + 90_000_000 < pair[1].0 && pair[0].1 < pair[1].1, "{seen}");
    }
    assert_eq!(seen["stuffed"], 3);
    let Value::Object(refused) = &seen["refused"] else { panic!("what is not there was shown: {seen}") };
    assert_eq!(
        (&refused["status"], &refused["kind"]),
        (&json!("NOT_FOUND"), &json!("FAILURE_KIND_NOT_FOUND"))
    );
    assert!(refused["message"].as_str().unwrap().contains(id), "{seen}");
    // The command line sees the same.
    assert!(env.containers().is_empty());
    daemon.stop().ok();
    env.assert_clean();
}
