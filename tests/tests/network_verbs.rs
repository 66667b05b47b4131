//! The verbs of networks and published ports, as far as no packet has to flow: wrong input, and what every host has.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use tinyd_tests::{Env, Output, require, roots};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// Everything that the engine keeps of networks.
fn kept(env: &Env) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(env.root().join("networks")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// Requires a refusal in one line that holds all these parts, and that nothing is there afterwards.
#[track_caller]
fn refused(env: &Env, words: &[&str], code: i32, parts: &[&str]) -> Output {
    let output = env.tinyd(words.iter().copied()).fails(code);
    assert_eq!(output.stdout(), "", "{output}");
    assert_eq!(output.stderr().lines().count(), 1, "{output}");
    assert!(output.stderr().starts_with("tinyd: "), "{output}");
    for part in parts {
        assert!(output.stderr().contains(part), "no {part:?}: {output}");
    }
    assert!(env.containers().is_empty(), "a container was left: {output}");
    assert_eq!(kept(env), Vec::<String>::new(), "a network was left: {output}");
    output
}

#[test]
fn addresses_that_cannot_be_are_refused_before_anything_is_made() {
    require!(root);
    let env = Env::new();
    let create = |words: &[&str], code, parts: &[&str]| {
        let all: Vec<&str> = ["network", "create"].iter().chain(words).copied().collect();
        refused(&env, &all, code, parts);
    };
    for subnet in
        ["10.9.0.0", "10.9.0/24", "10.9.0.0/33", "10.9.0.0/", "web", "", "fd00::/129", "10.9.0.0/+8"]
    {
        create(&["--subnet", subnet, "web"], 2, &["--subnet", "10.88.0.0/16"]);
        create(&["--ip-range", subnet, "web"], 2, &["--ip-range"]);
    }
    create(&["--gateway", "10.9.0", "web"], 2, &["--gateway", "10.9.0"]);
    create(&["--gateway", "10.9.0.1", "web"], 1, &["10.9.0.1", "needs a subnet"]);
    let subnet = ["--subnet", "10.9.0.0/24"];
    let with = |more: &[&'static str]| [&subnet[..], more].concat();
    create(&with(&["--gateway", "10.9.1.1", "web"]), 1, &["gateway \"10.9.1.1\"", "is not in 10.9.0.0/24"]);
    create(&with(&["--gateway", "fd00::1", "web"]), 1, &["gateway \"fd00::1\""]);
    create(
        &with(&["--gateway", "10.9.0.1", "--gateway", "10.9.0.2", "web"]),
        1,
        &["10.9.0.2", "one too many"],
    );
    create(&with(&["--ip-range", "10.9.1.0/25", "web"]), 1, &["10.9.1.0/25", "is not in 10.9.0.0/24"]);
    create(&with(&["--ip-range", "10.0.0.0/8", "web"]), 1, &["10.0.0.0/8", "is not in 10.9.0.0/24"]);
    create(&with(&["--subnet", "10.0.0.0/8", "web"]), 1, &["10.0.0.0/8", "overlaps 10.9.0.0/24"]);
    create(&["--mtu", "70000000000", "web"], 2, &["--mtu"]);
    create(&["-o", "mtu=big", "web"], 1, &["big", "number of bytes"]);
    env.assert_clean();
}

#[test]
fn drivers_and_names_that_cannot_be_are_refused() {
    require!(root);
    let env = Env::new();
    let create = |words: &[&str], code, parts: &[&str]| {
        let all: Vec<&str> = ["network", "create"].iter().chain(words).copied().collect();
        refused(&env, &all, code, parts);
    };
    create(&["-d", "vlan", "web"], 1, &["no network driver \"vlan\"", "none", "host"]);
    // The daemon of tinyd's forerunner died of this one.
    create(&["-d", "host", "web"], 1, &["\"web\"", "one network alone"]);
    create(&["-d", "none", "web"], 1, &["\"web\"", "one network alone"]);
    create(&["-d", "host"], 1, &["one network alone"]);
    for name in ["none", "host", "tinyd", "Tiny-docker", "bridge", "default"] {
        create(&[name], 1, &[name]);
        create(&["-d", "host", name], 1, &[name]);
    }
    let id = "0123456789abcdef0123456789abcdef";
    for name in ["a b", "a/b", "../x", "_x", "", id, &"x".repeat(65)] {
        create(&[name], 1, &["network name", name]);
    }
    create(&["--label", "=x", "web"], 2, &["--label"]);
    create(&["web", "db"], 2, &["db"]);
    env.assert_clean();
}

#[test]
fn a_network_that_is_not_there_is_named() {
    require!(root);
    let env = Env::new();
    let image = image();
    for verb in ["delete", "rm", "remove", "inspect"] {
        let output = env.tinyd(["network", verb, "no-such", "neither"]).fails(1);
        let lines: Vec<String> = output.stderr().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 2, "{output}");
        assert!(
            lines[0].contains("there is no network \"no-such\"") && lines[1].contains("neither"),
            "{output}"
        );
        refused(&env, &["network", verb], 2, &["NETWORK"]);
    }
    for verb in ["run", "create"] {
        refused(&env, &[verb, "--net", "no-such", &image, "true"], 125, &["there is no network \"no-such\""]);
    }
    refused(&env, &["network", "frobnicate"], 2, &["frobnicate"]);
    assert_eq!(env.tinyd(["network", "prune"]).ok().stdout(), "");
    for name in ["none", "host"] {
        refused(&env, &["network", "rm", "-f", name], 1, &[name, "stays"]);
    }
    env.assert_clean();
}

#[test]
fn the_networks_that_every_host_has_are_shown_with_those_who_use_them() {
    require!(root);
    let env = Env::new();
    let id = env.tinyd(["create", "--name", "c1", "--net", "host", &image(), "true"]).ok().text();
    for verb in ["list", "ls"] {
        let text = env.tinyd(["network", verb]).ok().stdout();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["SUBNET", "NAME", "DRIVER", "CONTAINERS"]);
        assert_eq!(rows[1..], [["-", "none", "none", "0"], ["-", "host", "host", "1"]]);
    }
    let json = env.tinyd(["network", "inspect", "host", "none"]).ok().json();
    assert_eq!(
        (&json[0]["Name"], &json[0]["Driver"], &json[1]["Name"]),
        (&"host".into(), &"host".into(), &"none".into())
    );
    assert_eq!((&json[0]["Scope"], &json[0]["IPAM"]["Config"]), (&"local".into(), &serde_json::json!([])));
    assert_eq!((&json[0]["EnableIPv6"], &json[0]["Internal"]), (&false.into(), &false.into()));
    assert_eq!(json[0]["Containers"][&id]["Name"], "c1");
    assert_eq!(json[1]["Containers"], serde_json::json!({}));
    // What a list gives finds each again.
    for id in env.tinyd(["network", "ls", "-q", "--no-trunc"]).ok().stdout().lines() {
        assert_eq!(env.tinyd(["network", "inspect", "-f", "{{.Id}}", id]).ok().text(), id);
    }
    let rows =
        env.tinyd(["network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Containers}}"]).ok().stdout();
    assert_eq!(rows, "none none 0\nhost host 1\n");
    env.tinyd(["rm", "c1"]).ok();
    env.assert_clean();
}

#[test]
fn ports_that_cannot_be_are_refused_before_anything_is_made() {
    require!(root);
    let env = Env::new();
    let image = image();
    for (port, part) in [
        ("0:80", "'0' is none of 1 to 65535"),
        ("80:0", "'0' is none of 1 to 65535"),
        ("0", "'0' is none of 1 to 65535"),
        ("70000:80", "'70000' is none of 1 to 65535"),
        ("80:70000", "'70000' is none of 1 to 65535"),
        ("8080:http", "'http'"),
        ("8000-8002:80-81", "3 ports of this machine cannot lead to 2"),
        ("8000-8002:80", "3 ports of this machine cannot lead to 1"),
        ("8002-8000:80-82", "ends before it begins"),
        ("80:80/icmp", "'icmp'"),
        ("::1:80:80", "brackets"),
        ("example:80:80", "no IP address"),
        ("1.2.3.4:80", "no IP address"),
        ("", "8080:80"),
    ] {
        for verb in ["run", "create"] {
            // The rest of a word such as 1.2.3.4:80 is told by whatever fails first.
            let parts: &[&str] = if port == "1.2.3.4:80" { &["8080:80"] } else { &[part] };
            refused(&env, &[verb, "--publish", port, &image, "true"], 125, parts);
        }
    }
    for (ports, parts) in [
        (&["8080:80", "8080:81"][..], ["8080:81", "taken already, by 8080:80"]),
        (&["8000-8009:80-89", "127.0.0.1:8005:1"], ["127.0.0.1:8005:1", "by 8005:85"]),
        (&["0.0.0.0:53:53/udp", "127.0.0.1:53:54/udp"], ["127.0.0.1:53:54/udp", "by 0.0.0.0:53:53/udp"]),
        (&["[::]:53:53", "[::1]:53:54"], ["[::1]:53:54", "by [::]:53:53"]),
    ] {
        let options = ports.iter().flat_map(|port| ["-p", *port]);
        let words: Vec<&str> =
            ["run", "--net", "tinyd"].into_iter().chain(options).chain([image.as_str(), "true"]).collect();
        refused(&env, &words, 125, &parts);
    }
    env.assert_clean();
}

#[test]
fn ports_of_a_network_without_any_are_refused_with_the_reason() {
    require!(root);
    let env = Env::new();
    let image = image();
    refused(
        &env,
        &["run", "--net", "none", "-p", "8080:80", &image, "true"],
        125,
        &["8080:80", "has no link"],
    );
    let parts = ["8080:80", "every port of the container is one of this machine"];
    refused(&env, &["run", "--net", "host", "-p", "8080:80", &image, "true"], 125, &parts);
    refused(&env, &["create", "-p", "80", "--net", "host", &image, "true"], 125, &["80", "of this machine"]);
    env.assert_clean();
}

#[test]
fn a_container_without_ports_has_none_to_print() {
    require!(root);
    let env = Env::new();
    env.tinyd(["create", "--name", "c1", "--net", "none", &image(), "true"]).ok();
    assert_eq!(env.tinyd(["port", "c1"]).ok().stdout(), "");
    let output = env.tinyd(["port", "c1", "80"]).fails(1);
    assert_eq!(output.stderr(), "tinyd: container c1 publishes no port 80/tcp\n");
    assert!(env.tinyd(["port", "nosuch"]).fails(1).stderr().contains("there is no container \"nosuch\""));
    assert!(env.tinyd(["port", "c1", "0"]).fails(2).stderr().contains("1 to 65535"));
    assert_eq!(env.tinyd(["inspect", "-f", "{{json .NetworkSettings.Ports}}", "c1"]).ok().text(), "{}");
    env.tinyd(["rm", "c1"]).ok();
    env.assert_clean();
}

#[test]
fn networks_are_listed_and_pruned_by_their_labels() {
    require!(root);
    let env = Env::new();
    for (label, name) in [("stage=test", "a"), ("keep", "b")] {
        env.tinyd(["network", "create", "--label", label, name]).ok();
    }
    let list = |filters: &[&str]| {
        let words = ["network", "ls", "--format", "{{.Name}}"].into_iter();
        env.tinyd(words.chain(filters.iter().flat_map(|filter| ["-f", filter]))).ok().stdout()
    };
    assert_eq!(list(&["label=stage"]), "a\n");
    assert_eq!(list(&["label=stage=live"]), "");
    assert_eq!(list(&["driver=bridge", "name=^b$"]), "b\n");
    let id = env.tinyd(["network", "ls", "-q", "--filter", "name=a", "-f", "label=stage"]).ok().text();
    assert_eq!(list(&[&format!("id={id}")]), "a\n");
    let prune = |filter: &str| env.tinyd(["network", "prune", "-f", "--filter", filter]).ok().stdout();
    env.tinyd(["create", "--name", "c1", "--net", "a", &image(), "true"]).ok();
    assert_eq!(prune("label!=keep"), "", "a container uses it");
    // What is gone is on no network; what is there is not taken for gone.
    assert!(env.tinyd(["network", "disconnect", "a", "nobody"]).fails(1).stderr().contains("nobody"));
    env.tinyd(["network", "disconnect", "--force", "a", "nobody"]).ok();
    assert!(
        env.tinyd(["network", "disconnect", "-f", "nosuch", "nobody"])
            .fails(1)
            .stderr()
            .contains("\"nosuch\"")
    );
    assert!(env.tinyd(["network", "disconnect", "-f", "b", "c1"]).fails(1).stderr().contains("\"b\""));
    env.tinyd(["network", "disconnect", "-f", "a", "c1"]).ok();
    assert_eq!(prune("label=stage=test"), "a\n");
    assert_eq!(prune("label=stage=test"), "");
    assert_eq!(list(&["name=b", "driver=bridge"]), "b\n");
    env.tinyd(["rm", "c1"]).ok();
    env.tinyd(["network", "rm", "b"]).ok();
    env.assert_clean();
}
