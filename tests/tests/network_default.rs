//! T07: what a container is connected to for which no network is named.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::io::Write as _;
use std::net::TcpListener;

use tinyd_tests::ground::{self, Ground, HOST, OUTSIDE, SERVER, image};
use tinyd_tests::{Cmd, Env, NO_NETWORK, require, unserved, wait_until};

/// A command as a user's is, who has not said what containers are connected to.
fn plain(env: &Env, words: &[&str]) -> Cmd {
    env.cmd(words.iter().copied()).env(NO_NETWORK.0, "")
}

#[test]
fn without_a_word_a_container_is_on_the_default_network() {
    require!(root);
    require!(program);
    Ground::stand(|ground, env| {
        let listener = ground.outside.within(|| TcpListener::bind((OUTSIDE, 7000)).unwrap());
        let answer = std::thread::spawn(move || {
            let (mut stream, from) = listener.accept().unwrap();
            stream.write_all(b"from outside\n").unwrap();
            from.ip().to_string()
        });
        let script = format!("ip -o addr show eth0 | grep -c 'inet '; nc -w 5 {OUTSIDE} 7000");
        let said = plain(env, &["run", "--rm", &image(), "sh", "-c", &script]).output().ok().text();
        assert_eq!(said, "1\nfrom outside", "it has an address, and a way out");
        assert_eq!(answer.join().unwrap(), HOST);
        let networks = env.tinyd(["network", "ls", "--format", "{{.Name}} {{.Driver}}"]).ok().stdout();
        assert!(networks.lines().any(|line| line == "tinyd bridge"), "{networks}");
        // What needs a network needs no more words.
        let words = ["run", "-d", "--name", "web", "-p", "8080:80", "--network-alias", "www", &image()];
        plain(env, &[&words[..], &["sh", "-c", SERVER]].concat()).output().ok();
        wait_until("its port is reached", || {
            ground::fetch(&ground.outside, HOST, 8080).as_deref() == Some("hello\n")
        });
        let on_it =
            env.tinyd(["ps", "--filter", "network=tinyd", "--format", "{{.Names}} {{.Networks}}"]).ok();
        assert_eq!(on_it.text(), "web tinyd;");
        assert_eq!(env.tinyd(["ps", "-q", "--filter", "network=other"]).ok().text(), "");
        let fetch = ["run", "--rm", &image(), "wget", "-qO-", "http://www/"];
        assert_eq!(plain(env, &fetch).output().ok().text(), "hello");
        // What was created is started with what it was given.
        let created = ["create", "--name", "later", &image(), "wget", "-qO-", "http://web/"];
        plain(env, &created).output().ok();
        assert_eq!(env.tinyd(["start", "-a", "later"]).ok().text(), "hello");
        let seen = env.tinyd(["inspect", "later"]).ok().json();
        assert_eq!(seen[0]["HostConfig"]["NetworkMode"], "tinyd");
        env.tinyd(["rm", "-f", "web", "later"]).ok();
    });
}

#[test]
fn the_default_network_is_made_beside_another_one() {
    require!(root);
    require!(program);
    Ground::stand(|_, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &[]);
        let script = "ip -o -4 addr show | grep -c ' eth'";
        let words = ["run", "--rm", "--net", "web", "--net", "bridge", &image(), "sh", "-c", script];
        assert_eq!(env.cmd(words).limit(std::time::Duration::from_secs(10)).output().ok().text(), "2");
    });
}

#[test]
fn the_variable_names_another_one_and_the_option_stands_above_it() {
    require!(root);
    require!(program);
    Ground::stand(|_, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &[]);
        let links = |variable: &str, options: &[&str]| {
            let script = "ip -o -4 addr show | grep -v ' lo ' | awk '{ print $4 }'";
            let image = image();
            let words = [&["run", "--rm"], options, &[&image, "sh", "-c", script]].concat();
            env.cmd(words).env(NO_NETWORK.0, variable).output()
        };
        assert_eq!(links("none", &[]).ok().text(), "");
        let some = |output: tinyd_tests::Output| assert!(output.ok().text().starts_with("10.77.0."));
        some(links("web", &[]));
        assert_eq!(links("web:ip=10.77.0.9", &[]).ok().text(), "10.77.0.9/24");
        assert_eq!(links("web", &["--net", "none"]).ok().text(), "");
        some(links("none", &["--net", "web"]));
        assert_eq!(links("web", &["--ip", "10.77.0.7"]).ok().text(), "10.77.0.7/24");
        for (variable, option, expected) in [
            ("nowhere", &[][..], "nowhere"),
            ("container:", &[], "$TINYD_NETWORK is \"container:\""),
            ("none", &["--ip", "10.77.0.7"], "--ip needs a network of its own"),
        ] {
            let refused = links(variable, option).fails(125);
            assert!(refused.stderr().contains(expected), "{refused}");
            assert_eq!(env.containers().len(), 0);
        }
    });
}

#[test]
fn who_may_make_no_network_is_told_how_to_do_without() {
    require!(root);
    require!(program);
    require!(command "setpriv");
    unserved!("the rights that it takes away are those of the client");
    Ground::stand(|_, env| {
        let words = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"];
        let run = |variable: &str| {
            let command = env.cmd(["run", "--rm", &image(), "echo", "up"]).env(NO_NETWORK.0, variable);
            command.under(words).output()
        };
        let refused = run("").fails(125);
        let said = refused.stderr();
        assert!(said.contains("network \"tinyd\"") && said.contains("not permitted"), "{refused}");
        assert!(said.contains("--net none") && said.contains("TINYD_NETWORK=none"), "{refused}");
        assert_eq!(run("none").ok().text(), "up");
    });
}

#[test]
fn d10_who_opens_a_port_to_all_is_told_and_a_variable_says_what_is_meant() {
    require!(root);
    require!(program);
    Ground::stand(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &[]);
        let run = |variable: &str, port: &str| {
            let words =
                ["run", "-d", "--name", "web", "--net", "web", "-p", port, &image(), "sh", "-c", SERVER];
            let output = env.cmd(words).env("TINYD_PUBLISH_ADDRESS", variable).output().ok();
            let inside = || ground::fetch(&ground.host, "127.0.0.1", 8080).as_deref() == Some("hello\n");
            wait_until("the host reaches it", inside);
            let is_open = ground::fetch(&ground.outside, HOST, 8080).is_some();
            // No process stands between: what listens on the host does not.
            assert!(!ground.host.run(&["cat", "/proc/net/tcp", "/proc/net/tcp6"]).contains(":1F90"));
            env.tinyd(["rm", "-f", "web"]).ok();
            (output.stderr().contains("port 8080 of this machine is open to whoever reaches it"), is_open)
        };
        assert_eq!(run("", "8080:80"), (true, true));
        assert_eq!(run("", "0.0.0.0:8080:80"), (true, true));
        assert_eq!(run("", "127.0.0.1:8080:80"), (false, false));
        assert_eq!(run("0.0.0.0", "8080:80"), (false, true));
        assert_eq!(run("127.0.0.1", "8080:80"), (false, false));
        let words = ["run", "--rm", "--net", "web", "-p", "8080:80", &image(), "true"];
        let refused = env.cmd(words).env("TINYD_PUBLISH_ADDRESS", "here").output().fails(125);
        assert!(refused.stderr().contains("$TINYD_PUBLISH_ADDRESS is \"here\""), "{refused}");
    });
}

#[test]
fn ranges_come_from_the_pools_that_a_variable_names() {
    require!(root);
    require!(program);
    unserved!("a daemon has its own variables");
    Ground::stand(|ground, env| {
        // The host's own routes are in the way of the first range.
        ground.host.ip("route add 10.9.0.0/25 dev lo");
        let create = |name: &str, pools: &str| {
            let words = ["network", "create", "--ipv6=false", name];
            env.cmd(words).env("TINYD_ADDRESS_POOLS", pools).output()
        };
        let ranges = "10.9.0.0/24:25, 10.10.0.0/30:30";
        for name in ["one", "two"] {
            create(name, ranges).ok();
        }
        let of = |name: &str| {
            env.tinyd(["network", "ls", "--format", "{{.Name}} {{.Subnet}}"])
                .ok()
                .stdout()
                .lines()
                .find_map(|line| line.strip_prefix(name).map(|rest| rest.trim().to_owned()))
        };
        assert_eq!(
            (of("one").as_deref(), of("two").as_deref()),
            (Some("10.9.0.128/25"), Some("10.10.0.0/30"))
        );
        assert_eq!(
            ground::say(env, &["--net", "two"], "ip -o -4 addr show eth0 | awk '{ print $4 }'"),
            "10.10.0.2/30"
        );
        let full = create("three", ranges).fails(1);
        assert!(full.stderr().contains("no subnet can be found"), "{full}");
        let wrong = create("three", "10.9.0.0/24").fails(1);
        assert!(wrong.stderr().contains("TINYD_ADDRESS_POOLS"), "{wrong}");
        ground.host.ip("route del 10.9.0.0/25 dev lo");
    });
}
