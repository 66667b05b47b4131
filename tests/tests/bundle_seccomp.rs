//! Calls for which a bundle's filter asks somebody.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};
use tinyd_tests::bundle::Bundle;
use tinyd_tests::{in_both_modes, proc, require, roots};

/// Takes one message, and the descriptors that come with it.
fn take(agent: &UnixListener) -> (Value, Vec<OwnedFd>) {
    let (connection, _) = agent.accept().unwrap();
    let mut text = vec![0; 65536];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message =
        recvmsg(&connection, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::CMSG_CLOEXEC)
            .unwrap();
    let mut descriptors = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            descriptors.extend(rights);
        }
    }
    (serde_json::from_slice(&text[..message.bytes]).unwrap(), descriptors)
}

fn asks(agent: &Path) -> impl Fn(&mut Value) {
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "listenerPath": agent,
        "listenerMetadata": "for the agent",
        "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY" }],
    });
    move |config| {
        config["linux"]["seccomp"] = profile.clone();
        config["annotations"]["org.example.note"] = "x".into();
    }
}

#[test]
fn an_agent_hears_of_the_process_and_gets_its_calls() {
    require!(root);
    in_both_modes(|mode| {
        for new_privileges in [false, true] {
            let socket = mode.env.files().join(format!("agent-{new_privileges}"));
            let agent = UnixListener::bind(&socket).unwrap();
            let image = roots::busybox();
            let script = "mkdir /made 2> /tmp/why; echo $?; grep -o 'Function not implemented' /tmp/why";
            let words = ["--userns", mode.userns(), image.to_str().unwrap(), "sh", "-c", script];
            let bundle = Bundle::create(&mode.env, &words);
            bundle.edit(|config| {
                asks(&socket)(config);
                config["process"]["noNewPrivileges"] = (!new_privileges).into();
            });
            let heard = std::thread::spawn(move || {
                let (state, calls) = take(&agent);
                let pid = i32::try_from(state["pid"].as_i64().unwrap()).unwrap();
                let alive = proc::is_alive(pid)
                    && proc::namespace(pid, "pid").unwrap() != proc::own_namespace("pid").unwrap();
                // Nobody is left to answer: what waits is told that there is no such call.
                let count = calls.len();
                drop(calls);
                (state, count, alive)
            });
            let output = mode.env.tinyd(["start", "-a", &bundle.id]).ok();
            assert_eq!(output.stdout(), "1\nFunction not implemented\n");
            let (state, count, alive) = heard.join().unwrap();
            assert!(alive && count == 1, "{count}");
            assert_eq!(
                (&state["fds"], &state["metadata"], &state["state"]["id"], &state["state"]["status"]),
                (&json!(["seccompFd"]), &json!("for the agent"), &json!(bundle.id), &json!("creating"))
            );
            assert_eq!((&state["pid"], &state["ociVersion"]), (&state["state"]["pid"], &json!("1.3.0")));
            assert_eq!(state["state"]["annotations"]["org.example.note"], "x");
            assert!(Path::new(state["state"]["bundle"].as_str().unwrap()).join("config.json").exists());
            mode.env.tinyd(["rm", &bundle.id]).ok();
        }
    });
}

#[test]
fn a_further_command_asks_as_well() {
    require!(root);
    in_both_modes(|mode| {
        let socket = mode.env.files().join("agent");
        let agent = UnixListener::bind(&socket).unwrap();
        let image = roots::busybox();
        let words = ["--userns", mode.userns(), image.to_str().unwrap(), "sleep", "1000"];
        let bundle = Bundle::create(&mode.env, &words);
        bundle.edit(asks(&socket));
        let heard = std::thread::spawn(move || [take(&agent).0, take(&agent).0]);
        mode.env.tinyd(["start", &bundle.id]).ok();
        let output = mode.env.tinyd(["exec", &bundle.id, "mkdir", "/made"]).fails(1);
        assert!(output.stderr().contains("Function not implemented"), "{output}");
        let [first, second] = heard.join().unwrap();
        assert_eq!(second["state"]["status"], "running");
        assert_eq!(first["state"]["id"], second["state"]["id"]);
        assert_ne!(first["pid"], second["pid"]);
        mode.env.tinyd(["rm", "-f", &bundle.id]).ok();
    });
}

#[test]
fn an_agent_that_is_not_there_is_told_by_its_path() {
    require!(root);
    in_both_modes(|mode| {
        let run = |change: &dyn Fn(&mut Value)| tinyd_tests::bundle::run(mode, change, "echo ran").fails(125);
        let missing = mode.env.files().join("nobody");
        let output = run(&asks(&missing));
        assert!(output.stderr().contains(missing.to_str().unwrap()), "{output}");
        let without = |config: &mut Value| {
            asks(&missing)(config);
            config["linux"]["seccomp"].as_object_mut().unwrap().remove("listenerPath");
            config["linux"]["seccomp"].as_object_mut().unwrap().remove("listenerMetadata");
        };
        assert!(run(&without).stderr().contains("listenerPath"));
    });
}
