//! The driver of CNI's plugins with plugins that the test scripts: who is called when, with what, and what becomes of those
//! that fail.

#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test; clippy.toml does not see that its helpers are one")]

mod ground;
mod plugins;

use std::fs;
use std::time::Duration;

use ground::{Other, address, own, root_only};
use plugins::{Called, Plugins};
use serde_json::json;
use tinyd_net::{
    EndpointSpec, EndpointState, NetworkDriver as _, NetworkSpec, Protocol, PublishedPort, Undo,
};

fn endpoint(container: &str) -> EndpointSpec {
    EndpointSpec { container: container.to_owned(), ..Default::default() }
}

/// What is known of a container of which only the id is.
fn unknown(container: &str) -> EndpointState {
    EndpointState { container: container.to_owned(), ..Default::default() }
}

/// An error and its causes, as a user reads them.
fn whole(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", whole(source)),
        None => error.to_string(),
    }
}

const TWO: &str =
    r#"{"type": "a", "x": 1}, {"type": "b", "capabilities": {"portMappings": true, "mac": true}}"#;

#[test]
fn root_plugins_are_called_in_order_and_leave_in_the_reverse_one() {
    root_only!();
    let plugins = Plugins::new(&["a", "b"]);
    plugins.list("web", "1.0.0", "", TWO);
    let driver = plugins.driver();
    let network = driver.create(&plugins.spec("web")).unwrap();
    assert_eq!(plugins.calls(), [], "nobody came yet");
    let other = Other::new();
    let wanted = EndpointSpec {
        ports: vec![PublishedPort { host: None, host_port: 0, container_port: 80, protocol: Protocol::Tcp }],
        mac: Some([2, 0, 0, 0, 0, 1]),
        ..endpoint("aaaa")
    };
    let endpoint = driver.attach(&network, &wanted, &other.netns).unwrap();
    assert_eq!(driver.held_for(&network).unwrap(), ["aaaa"]);
    let netns = plugins.pins().join("web/aaaa@eth0").to_str().unwrap().to_owned();
    let called = |plugin: &str, operation: &str| Called {
        plugin: plugin.into(),
        operation: operation.into(),
        container: "aaaa".into(),
        interface: "eth0".into(),
        netns: netns.clone(),
    };
    assert_eq!(plugins.calls(), [called("a", "ADD"), called("b", "ADD")]);
    assert_eq!(plugins.input(0), json!({"cniVersion": "1.0.0", "name": "web", "type": "a", "x": 1}));
    let second = plugins.input(1);
    assert_eq!((&second["prevResult"]["by"], &second["x"]), (&json!("a"), &json!(null)));
    // The port that was chosen is the port that the plugin opens.
    let port = endpoint.ports[0].host_port;
    assert_ne!(port, 0);
    assert_eq!(
        second["runtimeConfig"],
        json!({"mac": "02:00:00:00:00:01", "portMappings": [{"hostPort": port, "containerPort": 80, "protocol": "tcp"}]})
    );
    assert_eq!(endpoint.interfaces[0].addresses[0].address, address("10.9.0.2"));

    assert!(driver.publishes(&network) && driver.removes_links());
    driver.check(&network, "aaaa").unwrap();
    driver.check(&network, "bbbb").unwrap();
    assert_eq!(plugins.order(), "a CHECK, b CHECK");
    for number in [0, 1] {
        assert_eq!(plugins.input(number)["prevResult"]["by"], "b", "the last one's result");
    }
    driver.detach(&network, &endpoint).unwrap();
    assert_eq!(plugins.calls(), [called("b", "DEL"), called("a", "DEL")]);
    assert_eq!(plugins.input(0)["runtimeConfig"], second["runtimeConfig"], "as at ADD");
    assert_eq!(plugins.input(1)["prevResult"]["by"], "b");
    driver.detach(&network, &endpoint).unwrap();
    assert_eq!(plugins.calls(), [], "it had left");
    assert_eq!(driver.held_for(&network).unwrap(), Vec::<String>::new());
    driver.delete(&network).unwrap();
    plugins.assert_nothing_left();
    assert!(!plugins.pins().exists(), "the last network took the folder with it");
}

#[test]
fn root_what_was_made_is_left_by_the_list_that_made_it() {
    root_only!();
    let plugins = Plugins::new(&["a", "b", "c"]);
    let file = plugins.list("web", "1.0.0", "", TWO);
    let driver = plugins.driver();
    let network = driver.create(&plugins.spec("web")).unwrap();
    driver.attach(&network, &endpoint("aaaa"), &own()).unwrap();
    plugins.list("web", "1.1.0", "", r#"{"type": "c"}"#);
    plugins.calls();
    driver.detach(&network, &unknown("aaaa")).unwrap();
    assert_eq!(plugins.order(), "b DEL, a DEL");
    fs::remove_file(file).unwrap();
    driver.attach(&network, &endpoint("aaaa"), &own()).unwrap();
    driver.delete(&network).unwrap();
    assert_eq!(plugins.order(), "a ADD, b ADD, b DEL, a DEL");
    plugins.assert_nothing_left();
}

#[test]
fn root_when_one_fails_all_of_them_leave() {
    root_only!();
    let plugins = Plugins::new(&["a", "b", "c"]);
    plugins.list("web", "0.4.0", "", r#"{"type": "a"}, {"type": "b"}, {"type": "c"}"#);
    let driver = plugins.driver();
    let network = driver.create(&plugins.spec("web")).unwrap();
    for (script, part) in [
        (
            r#"printf %s '{"code": 7, "msg": "no room", "details": "at all"}'; exit 1"#,
            "the plugin b refused ADD: no room: at all (code 7)",
        ),
        ("echo broken >&2; exit 2", "the plugin b failed at ADD with exit status: 2: broken"),
        ("exit 0", "the plugin b answered ADD with a result that is empty"),
        ("echo '{\"cniVersion\": \"0.2.0\"}'; exit 0", "is of version \"0.2.0\""),
    ] {
        plugins.teach("b", "ADD", script);
        let error = driver.attach(&network, &endpoint("aaaa"), &own()).unwrap_err();
        let said = whole(&error);
        assert!(said.contains("\"web\"") && said.contains(part), "{said}");
        assert_eq!(said.lines().count(), 1);
        assert_eq!(plugins.order(), "a ADD, b ADD, c DEL, b DEL, a DEL", "{script}");
        plugins.assert_nothing_left();
    }
    plugins.unteach("b", "ADD");
    driver.attach(&network, &endpoint("aaaa"), &own()).unwrap();
    driver.delete(&network).unwrap();
    plugins.assert_nothing_left();
}

#[test]
fn root_who_cannot_leave_is_remembered_and_leaves_later() {
    root_only!();
    let plugins = Plugins::new(&["a", "b"]);
    plugins.list("web", "1.0.0", "", TWO);
    let driver = plugins.driver();
    let network = driver.create(&plugins.spec("web")).unwrap();
    driver.attach(&network, &endpoint("aaaa"), &own()).unwrap();
    plugins.calls();
    plugins.teach("b", "DEL", "echo stuck >&2; exit 1");
    let said = whole(&driver.detach(&network, &unknown("aaaa")).unwrap_err());
    assert!(said.contains("the plugin b failed at DEL") && said.contains("stuck"), "{said}");
    assert_eq!(plugins.order(), "b DEL, a DEL", "the others are called all the same");
    assert_eq!(driver.held_for(&network).unwrap(), ["aaaa"]);
    plugins.unteach("b", "DEL");
    // Whoever comes again with the same id is not refused for what was left: it leaves first, in the namespace that it was in.
    driver.attach(&network, &endpoint("aaaa"), &own()).unwrap();
    let calls = plugins.calls();
    let order: Vec<_> = calls.iter().map(|call| format!("{} {}", call.plugin, call.operation)).collect();
    assert_eq!(order, ["b DEL", "a DEL", "a ADD", "b ADD"]);
    assert!(calls.iter().all(|call| call.netns.ends_with("web/aaaa@eth0")), "{calls:?}");
    driver.detach(&network, &unknown("aaaa")).unwrap();
    plugins.calls();
    // Of a driver that was killed in the middle of ADD there is a record, which may be torn: another one finds it.
    fs::create_dir_all(plugins.kept().join("web")).unwrap();
    fs::write(plugins.kept().join("web/bbbb@eth0.json"), "").unwrap();
    assert_eq!(plugins.driver().held_for(&network).unwrap(), ["bbbb"]);
    plugins.driver().detach(&network, &unknown("bbbb")).unwrap();
    let calls = plugins.calls();
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|call| call.operation == "DEL" && call.netns.is_empty()), "{calls:?}");
    assert_eq!(plugins.input(0)["prevResult"], json!(null));
    plugins.assert_nothing_left();
}

#[test]
fn root_a_plugin_that_hangs_is_ended() {
    root_only!();
    let plugins = Plugins::new(&["a", "b"]);
    plugins.list("web", "1.0.0", "", TWO);
    let driver = plugins.driver().with_limit(Duration::from_secs(2));
    let network = driver.create(&plugins.spec("web")).unwrap();
    plugins.teach("b", "ADD", "sleep 1000 & wait");
    let said = whole(&driver.attach(&network, &endpoint("aaaa"), &own()).unwrap_err());
    assert!(said.contains("the plugin b did not end its ADD within 2 s"), "{said}");
    assert_eq!(plugins.order(), "a ADD, b ADD, b DEL, a DEL");
    plugins.assert_nothing_left();
}

#[test]
fn root_a_monitor_can_undo_it_without_the_driver() {
    root_only!();
    let plugins = Plugins::new(&["a", "b"]);
    plugins.list("web", "1.0.0", "", TWO);
    let driver = plugins.driver();
    let network = driver.create(&plugins.spec("web")).unwrap();
    let endpoint = driver.attach(&network, &endpoint("aaaa"), &Other::new().netns).unwrap();
    plugins.calls();
    for step in &endpoint.undo {
        match step {
            Undo::Unlink(path) => fs::remove_file(path).unwrap(),
            Undo::Unpin(path) => {
                rustix::mount::unmount(path, rustix::mount::UnmountFlags::DETACH).unwrap();
                fs::remove_file(path).unwrap();
            }
            Undo::Run { program, arguments, environment, stdin, strict } => {
                assert!(strict, "a plugin that fails holds something still");
                let input = plugins.path().join("input");
                fs::write(&input, stdin).unwrap();
                let mut command = std::process::Command::new(program);
                command.args(arguments).env_clear().envs(environment.iter().cloned());
                let status = command.stdin(fs::File::open(input).unwrap()).status().unwrap();
                assert!(status.success(), "{program:?}");
            }
            step => panic!("{step:?}"),
        }
    }
    let calls = plugins.calls();
    let order: Vec<_> = calls.iter().map(|call| (call.plugin.as_str(), call.operation.as_str())).collect();
    assert_eq!(order, [("b", "DEL"), ("a", "DEL")]);
    // The container is gone, and its namespace is there until they have left it.
    assert!(calls.iter().all(|call| call.netns.ends_with("web/aaaa@eth0")), "{calls:?}");
    assert_eq!(plugins.input(0)["prevResult"]["by"], "b");
    plugins.assert_nothing_left();
    assert_eq!(driver.held_for(&network).unwrap(), Vec::<String>::new());
}

#[test]
fn root_garbage_is_collected_where_the_list_is_said_to_be_ours_alone() {
    root_only!();
    let plugins = Plugins::new(&["a", "b"]);
    plugins.list("web", "1.1.0", "", TWO);
    let driver = plugins.driver();
    let mut spec = plugins.spec("web");
    let network = driver.create(&spec).unwrap();
    driver.attach(&network, &endpoint("aaaa"), &own()).unwrap();
    assert_eq!(plugins.order(), "a STATUS, b STATUS, a ADD, b ADD", "another engine may use the list");

    // A second network of the same list: who is on the first is no garbage.
    spec.name = "more".into();
    spec.options.insert("config".into(), "web".into());
    spec.options.insert("gc".into(), "true".into());
    let more = driver.create(&spec).unwrap();
    assert_eq!(plugins.order(), "a STATUS, b STATUS, a GC, b GC");
    let valid = json!([{"containerID": "aaaa", "ifname": "eth0"}]);
    assert_eq!(plugins.input(2)["cni.dev/valid-attachments"], valid);
    assert_eq!(
        (&plugins.input(3)["cni.dev/valid-attachments"], &plugins.input(3)["name"]),
        (&valid, &json!("web"))
    );

    // The first container since the machine was started finds what the run before has left.
    let other = EndpointSpec { interface: "eth1".into(), ..endpoint("bbbb") };
    driver.attach(&more, &other, &own()).unwrap();
    assert_eq!(plugins.order(), "a GC, b GC, a ADD, b ADD");
    driver.attach(&more, &endpoint("cccc"), &own()).unwrap();
    assert_eq!(plugins.order(), "a ADD, b ADD");
    plugins.teach("a", "GC", "echo stuck >&2; exit 1");
    let said = whole(&driver.collect_garbage(&more).unwrap_err());
    assert!(said.contains("the plugin a failed at GC"), "{said}");
    assert_eq!(plugins.order(), "a GC, b GC", "the others are called all the same");
    assert_eq!(plugins.input(1)["cni.dev/valid-attachments"].as_array().unwrap().len(), 3);
    driver.delete(&more).unwrap();
    driver.delete(&network).unwrap();
    plugins.assert_nothing_left();
}

#[test]
fn root_what_the_list_switches_off_or_does_not_know_is_not_called() {
    root_only!();
    let plugins = Plugins::new(&["a", "b"]);
    for (version, more, calls) in [
        ("1.1.0", r#""disableGC": true, "disableCheck": true,"#, "a STATUS, b STATUS, a ADD, b ADD"),
        ("1.0.0", "", "a ADD, b ADD, a CHECK, b CHECK"),
        ("0.4.0", r#""cniVersions": ["1.0.0"], "disableCheck": true,"#, "a ADD, b ADD"),
    ] {
        plugins.list("web", version, more, TWO);
        let driver = plugins.driver();
        let mut spec = plugins.spec("web");
        spec.options.insert("gc".into(), "true".into());
        let network = driver.create(&spec).unwrap();
        driver.attach(&network, &endpoint("aaaa"), &own()).unwrap();
        driver.collect_garbage(&network).unwrap();
        driver.check(&network, "aaaa").unwrap();
        assert_eq!(plugins.order(), calls, "{version} {more}");
        driver.delete(&network).unwrap();
        plugins.calls();
    }
}

#[test]
fn root_the_newest_version_that_all_speak_is_spoken() {
    root_only!();
    let plugins = Plugins::new(&["a", "b"]);
    let old = r#"printf %s '{"cniVersion": "0.4.0", "supportedVersions": ["0.4.0", "1.0.0"]}'; exit 0"#;
    plugins.teach("b", "VERSION", old);
    plugins.list("web", "0.4.0", r#""cniVersions": ["1.0.0", "1.1.0"],"#, TWO);
    let driver = plugins.driver();
    let network = driver.create(&plugins.spec("web")).unwrap();
    driver.attach(&network, &endpoint("aaaa"), &own()).unwrap();
    assert_eq!(plugins.input(0)["cniVersion"], "1.0.0");
    driver.delete(&network).unwrap();
    plugins.calls();
    plugins.list("web", "1.1.0", "", TWO);
    let said = whole(&driver.create(&plugins.spec("web")).unwrap_err());
    assert!(said.ends_with("the plugin b does not speak version 1.1.0: it speaks 0.4.0, 1.0.0"), "{said}");
    plugins.teach("b", "VERSION", "echo; exit 0");
    let said = whole(&driver.create(&plugins.spec("web")).unwrap_err());
    assert!(said.contains("the plugin b answered VERSION with a result that makes no sense"), "{said}");
    assert_eq!(plugins.calls(), []);
}

#[test]
fn root_what_cannot_be_is_refused_before_anything_is_called() {
    root_only!();
    let plugins = Plugins::new(&["a", "b"]);
    plugins.list("web", "1.1.0", "", TWO);
    let driver = plugins.driver();
    let refused = |spec: &NetworkSpec, parts: &[&str]| {
        let said = whole(&driver.validate(spec).unwrap_err());
        assert!(driver.create(spec).is_err());
        for part in parts {
            assert!(said.contains(part), "no {part:?} in {said}");
        }
        assert_eq!(said.lines().count(), 1, "{said}");
    };
    let bin = plugins.path().join("bin").to_str().unwrap().to_owned();
    refused(&plugins.spec("db"), &["no list of plugins \"db\"", "there are web", "net.d"]);
    refused(&plugins.spec("a/b"), &["its name"]);
    plugins.list("x", "1.0.0", "", r#"{"type": "a"}, {"type": "nosuch"}"#);
    refused(&plugins.spec("x"), &["no plugin \"nosuch\"", &bin, "bin-dir"]);
    plugins.list("x", "1.0.0", "", r#"{"type": "a", "ipam": {"type": "nosuch"}}"#);
    refused(&plugins.spec("x"), &["no plugin \"nosuch\"", &bin]);
    plugins.list("x", "0.3.1", "", TWO);
    let mut by_file = plugins.spec("x");
    let file = plugins.path().join("net.d/x.conflist").to_str().unwrap().to_owned();
    by_file.options.insert("config".into(), file.clone());
    refused(&by_file, &[&file, "0.3.1 is not spoken"]);
    fs::write(&file, "{\n\"name\": ,\n}").unwrap();
    refused(&by_file, &[&file, "line 2"]);
    refused(&plugins.spec("x"), &["\"x\"", "x.conflist is no JSON", "line 2"]);
    assert_eq!(plugins.calls(), []);
    // A plugin that is not ready says so before there is a network.
    plugins.teach("b", "STATUS", r#"printf %s '{"code": 50, "msg": "no daemon"}'; exit 1"#);
    refused(&plugins.spec("web"), &["the plugin b refused STATUS: no daemon (code 50)"]);
    plugins.unteach("b", "STATUS");

    let network = driver.create(&plugins.spec("web")).unwrap();
    plugins.calls();
    let ask = |wanted: EndpointSpec, parts: &[&str]| {
        let said = whole(&driver.attach(&network, &wanted, &own()).unwrap_err());
        for part in parts {
            assert!(said.contains(part), "no {part:?} in {said}");
        }
    };
    ask(endpoint("a@b"), &["id \"a@b\""]);
    ask(EndpointSpec { interface: "a/b".into(), ..endpoint("c") }, &["the link \"a/b\""]);
    ask(EndpointSpec { interface: "sixteen-letters-".into(), ..endpoint("c") }, &["the link"]);
    assert_eq!(plugins.calls(), []);
    // No plugin says that it takes an address: it can be asked for all the same, and is missed.
    ask(
        EndpointSpec { addresses: vec![address("10.9.0.77")], ..endpoint("c") },
        &["the address 10.9.0.77 cannot be had", "10.9.0.2/24 instead"],
    );
    assert_eq!(plugins.input(0)["args"], json!({"cni": {"ips": ["10.9.0.77"]}}));
    assert_eq!(plugins.order(), "a ADD, b ADD, b DEL, a DEL");
    let wanted = EndpointSpec { addresses: vec![address("10.9.0.2")], ..endpoint("c") };
    driver.attach(&network, &wanted, &own()).unwrap();
    driver.delete(&network).unwrap();

    plugins.list("bare", "1.0.0", "", r#"{"type": "a"}"#);
    let network = driver.create(&plugins.spec("bare")).unwrap();
    let ports =
        vec![PublishedPort { host: None, host_port: 8080, container_port: 80, protocol: Protocol::Tcp }];
    let error = driver.attach(&network, &EndpointSpec { ports, ..endpoint("c") }, &own()).unwrap_err();
    assert!(
        whole(&error).contains("a published port cannot be had: no plugin of the list \"bare\""),
        "{error}"
    );
    let error = driver.attach(&network, &EndpointSpec { mac: Some([2; 6]), ..endpoint("c") }, &own());
    assert!(whole(&error.unwrap_err()).contains("a hardware address cannot be had"));
    plugins.assert_nothing_left();
}

#[test]
fn root_a_port_leads_to_one_container() {
    root_only!();
    let plugins = Plugins::new(&["a", "b"]);
    plugins.list("web", "1.0.0", "", TWO);
    let driver = plugins.driver();
    let network = driver.create(&plugins.spec("web")).unwrap();
    let wanted = |container: &str, host_port| EndpointSpec {
        ports: vec![PublishedPort { host: None, host_port, container_port: 80, protocol: Protocol::Tcp }],
        ..endpoint(container)
    };
    let first = driver.attach(&network, &wanted("aaaa", 0), &own()).unwrap();
    let port = first.ports[0].host_port;
    plugins.calls();
    let said = whole(&driver.attach(&network, &wanted("bbbb", port), &own()).unwrap_err());
    assert!(
        said.contains(&format!("port {port}/tcp is published already")) && said.contains("aaaa"),
        "{said}"
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = listener.local_addr().unwrap().port();
    let said = whole(&driver.attach(&network, &wanted("bbbb", busy), &own()).unwrap_err());
    assert!(said.contains(&format!("{busy}")) && said.contains("in use"), "{said}");
    assert_eq!(plugins.calls(), []);
    assert_eq!(driver.held_for(&network).unwrap(), ["aaaa"]);
    driver.delete(&network).unwrap();
    plugins.assert_nothing_left();
}
