//! Containers on networks of CNI plugins, those of the package `containernetworking-plugins`, on a host that the test makes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test; clippy.toml does not see that its helpers are one"
)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use tinyd_tests::ground::{self, HOST, SERVER, fetch, image};
use tinyd_tests::{Env, kill, require, unserved, wait_until};

/// The ground, with plugins.
struct Ground {
    machines: ground::Ground,
    /// Where host-local keeps its leases, and a plugin of the test's own what it was called with.
    place: tempfile::TempDir,
}

impl Ground {
    fn new() -> Ground {
        Ground { machines: ground::Ground::with_ipv4_alone(), place: tempfile::tempdir().unwrap() }
    }

    fn folder(&self, name: &str) -> String {
        let path = self.place.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Writes the list `web`: a bridge that masquerades, ports, and these plugins besides.
    fn write_list(&self, more: &str) -> PathBuf {
        let text = format!(
            r#"{{"cniVersion": "0.4.0", "cniVersions": ["1.0.0", "1.1.0"], "name": "web", "plugins": [
            {{"type": "bridge", "bridge": "web0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
              "ipam": {{"type": "host-local", "dataDir": "{}", "ranges": [[{{"subnet": "10.77.0.0/24"}}]],
                        "routes": [{{"dst": "0.0.0.0/0"}}]}}}},
            {{"type": "portmap", "capabilities": {{"portMappings": true}}}}{more}]}}"#,
            self.folder("leases")
        );
        let path = PathBuf::from(self.folder("net.d")).join("10-web.conflist");
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes a plugin of the test's own, which does the lines of a script at ADD.
    fn write_plugin(&self, name: &str, at_add: &str) {
        let calls = self.place.path().join("calls");
        let result = r#"{"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": "x"}],
            "ips": [{"address": "10.77.0.2/24", "interface": 0}]}"#;
        let versions = r#"{"cniVersion": "1.0.0", "supportedVersions": ["1.0.0"]}"#;
        let text = format!(
            "#!/bin/sh\ncase $CNI_COMMAND in\nVERSION) echo '{versions}' ;;\nADD) echo ADD >> {calls}\n{at_add}\n\
             echo '{result}' ;;\n*) echo $CNI_COMMAND >> {calls} ;;\nesac\n",
            calls = calls.display()
        );
        let path = PathBuf::from(self.folder("bin")).join(name);
        let script = self.place.path().join("script");
        fs::write(&script, text).unwrap();
        // By another process: a child of another test, about to start, may hold open what this one writes (ETXTBSY).
        let status = Command::new("install").args(["-m", "755"]).args([&script, &path]).status();
        assert!(status.unwrap().success());
    }

    fn create(&self, env: &Env) {
        let (conf, bin) = (self.folder("net.d"), self.folder("bin"));
        let (conf, bin) = (format!("conf-dir={conf}"), format!("bin-dir={bin}:/usr/lib/cni"));
        env.tinyd(["network", "create", "-d", "cni", "-o", &conf, "-o", &bin, "web"]).ok();
    }

    fn leases(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.place.path().join("leases/web")) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("10.")).collect()
    }

    /// What plugins have on the host for containers: leases, rules that name an address of one, links.
    fn held(&self) -> Vec<String> {
        let mut held = self.leases();
        for table in ["nat", "filter"] {
            let rules = self.machines.host.run(&["iptables", "-t", table, "-S"]);
            held.extend(rules.lines().filter(|rule| rule.contains("10.77.0.")).map(str::to_owned));
        }
        let links = self.machines.host.ip("-o link show type veth");
        held.extend(links.lines().filter(|link| !link.contains("uplink0")).map(str::to_owned));
        held
    }
}

/// A host with the network `web`, which has left nothing when it is gone.
fn on_web(more: &str, work: impl FnOnce(&Ground, &Env) + Send) {
    require!(root);
    require!(command "/usr/lib/cni/bridge");
    require!(command "iptables");
    let ground = Ground::new();
    ground.write_list(more);
    ground.machines.host.within(|| {
        let env = Env::new();
        ground.create(&env);
        work(&ground, &env);
        env.tinyd(["network", "rm", "web"]).ok();
        env.assert_clean();
    });
    assert_eq!(ground.held(), Vec::<String>::new());
    // The bridge is the plugin's, and stays by its design: it goes with the machine.
    ground.machines.host.ip("link del web0");
}

/// Runs a container to its end and gives what it said.
#[track_caller]
fn say(env: &Env, options: &[&str], script: &str) -> String {
    ground::say(env, &[&["--net", "web"], options].concat(), script)
}

/// A web server in a container that runs on.
#[track_caller]
fn serve(env: &Env, options: &[&str]) -> String {
    ground::start(env, &[&["--net", "web"], options].concat(), SERVER)
}

const MORE: &str =
    r#", {"type": "tuning", "sysctl": {"net.ipv4.conf.eth0.arp_notify": "1"}}, {"type": "firewall"}"#;

#[test]
fn a_container_of_a_list_of_plugins_reaches_its_gateway_and_the_world() {
    on_web(MORE, |ground, env| {
        let said = say(
            env,
            &["--cap-add", "NET_RAW"],
            "ip -o addr; ip route; cat /proc/sys/net/ipv4/conf/eth0/arp_notify; ping -c 3 -q 10.77.0.1",
        );
        assert!(said.contains("inet 10.77.0.2/24"), "{said}");
        assert!(said.contains("default via 10.77.0.1 dev eth0") && said.contains("\n1\n"), "{said}");
        assert!(said.contains("3 packets received, 0% packet loss"), "{said}");
        // It was removed before its command's end was told.
        assert_eq!(ground.held(), Vec::<String>::new());

        let seen = ground.machines.caller(|script| drop(say(env, &[], script)));
        assert_eq!(seen, HOST, "the list masquerades");
    });
}

#[test]
fn a_port_is_published_by_the_plugin_and_neighbours_reach_each_other() {
    on_web(MORE, |ground, env| {
        let id = serve(env, &["--name", "c1", "-p", "8080:80"]);
        wait_until("the server answers", || {
            fetch(&ground.machines.outside, HOST, 8080).as_deref() == Some("hello\n")
        });
        assert_eq!(
            fetch(&ground.machines.host, "127.0.0.1", 8080).as_deref(),
            Some("hello\n"),
            "the host itself"
        );
        assert_eq!(say(env, &[], "wget -qO- http://10.77.0.2/"), "hello", "a neighbour");
        let words = ["run", "--rm", "--net", "web", "-p", "8080:80", &image(), "true"];
        let output = env.tinyd(words).fails(125);
        assert!(
            output
                .stderr()
                .contains(&format!("port 8080/tcp is published already: it leads to the container {id}")),
            "{output}"
        );

        // What is shown of it.
        assert_eq!(env.tinyd(["port", "c1"]).ok().text(), "80/tcp -> 0.0.0.0:8080");
        let row = env.tinyd(["ps", "--format", "{{.Names}} {{.Ports}}"]).ok().text();
        assert!(row.starts_with("c1 ") && row.contains("8080"), "{row}");
        let seen = &env.tinyd(["inspect", "c1"]).ok().json()[0]["NetworkSettings"];
        let inside = env.tinyd(["exec", "c1", "cat", "/sys/class/net/eth0/address"]).ok().text();
        assert_eq!(
            (&seen["IPAddress"], &seen["IPPrefixLen"], &seen["Gateway"], &seen["MacAddress"]),
            (&"10.77.0.2".into(), &24.into(), &"10.77.0.1".into(), &inside.into())
        );
        let network = &env.tinyd(["network", "inspect", "web"]).ok().json()[0];
        assert_eq!(network["Containers"][&id]["IPv4Address"], "10.77.0.2/24");
        assert_eq!(
            (&network["Driver"], &network["Options"]["cni-version"]),
            (&"cni".into(), &"1.0.0".into())
        );
        assert!(env.tinyd(["exec", "c1", "cat", "/etc/hosts"]).ok().text().contains("10.77.0.2"));

        assert!(ground.held().len() > 4, "{:?}", ground.held());
        env.tinyd(["rm", "-f", "c1"]).ok();
        assert_eq!(ground.held(), Vec::<String>::new());
        assert_eq!(fetch(&ground.machines.outside, HOST, 8080), None, "its container is gone");
        env.assert_checked();
    });
}

#[test]
fn of_many_who_want_a_port_at_once_one_gets_it() {
    on_web("", |ground, env| {
        let image = image();
        let run = || env.cmd(["run", "-d", "--net", "web", "-p", "8080:80", &image, "sleep", "600"]).spawn();
        let running: Vec<_> = (0..6).map(|_| run()).collect();
        let outputs: Vec<_> = running.into_iter().map(|one| one.wait()).collect();
        let (well, refused): (Vec<_>, Vec<_>) = outputs.iter().partition(|one| one.code() == Some(0));
        assert_eq!(well.len(), 1, "{outputs:?}");
        let id = well[0].text();
        for output in refused {
            assert_eq!(output.code(), Some(125), "{output}");
            assert!(
                output.stderr().contains(&format!("is published already: it leads to the container {id}")),
                "{output}"
            );
        }
        assert_eq!((env.containers().len(), ground.leases().len()), (1, 1));
        env.tinyd(["rm", "-f", &id]).ok();
        assert_eq!(ground.held(), Vec::<String>::new());
    });
}

#[test]
fn a_container_that_is_stopped_gives_all_back_and_gets_it_anew_from_the_list_it_was_made_with() {
    on_web("", |ground, env| {
        serve(env, &["--name", "c1", "-p", "8080:80"]);
        // Whatever becomes of the file: the network was made with what it said then.
        fs::write(ground.place.path().join("net.d/10-web.conflist"), "{").unwrap();
        for _ in 0..2 {
            env.tinyd(["stop", "-t", "1", "c1"]).ok();
            assert_eq!(ground.held(), Vec::<String>::new());
            env.tinyd(["start", "c1"]).ok();
            wait_until("the server answers", || {
                fetch(&ground.machines.outside, HOST, 8080).as_deref() == Some("hello\n")
            });
            assert_eq!(ground.leases().len(), 1);
        }
        env.tinyd(["rm", "-f", "c1"]).ok();
    });
}

#[test]
fn what_a_killed_monitor_left_with_plugins_goes_with_the_next_command() {
    on_web(MORE, |ground, env| {
        serve(env, &["--name", "one", "-p", "8080:80"]);
        for pid in [kill::monitor_of(env, "one"), ground::init(env, "one")] {
            kill::kill(pid);
        }
        assert!(ground.held().len() > 4, "nobody was there to take it away: {:?}", ground.held());
        env.tinyd(["ps"]).ok();
        assert_eq!(ground.held(), Vec::<String>::new());
        env.tinyd(["start", "one"]).ok();
        wait_until("the server answers", || {
            fetch(&ground.machines.outside, HOST, 8080).as_deref() == Some("hello\n")
        });
        // A monitor that took over undoes it as the first one would have.
        kill::kill(kill::monitor_of(env, "one"));
        env.tinyd(["ps"]).ok();
        env.tinyd(["stop", "-t", "1", "one"]).ok();
        assert_eq!(ground.held(), Vec::<String>::new());
        env.tinyd(["rm", "one"]).ok();
    });
}

#[test]
fn a_client_that_is_killed_while_plugins_work_leaves_nothing() {
    require!(root);
    unserved!("a daemon sees at once that a monitor was killed");
    unserved!("who is killed is the client, and the daemon goes on with what it was asked for");
    let more = r#", {"type": "slow"}"#;
    let ground = Ground::new();
    ground.write_plugin("slow", &format!("echo $$ > {}/at; exec sleep 1000", ground.place.path().display()));
    ground.write_list(more);
    ground.machines.host.within(|| {
        let env = Env::new();
        ground.create(&env);
        let at = ground.place.path().join("at");
        let client = env.cmd(["run", "-d", "--net", "web", &image(), "sleep", "1000"]).spawn();
        wait_until("the last plugin is called", || {
            fs::read_to_string(&at).is_ok_and(|text| text.ends_with('\n'))
        });
        assert!(ground.held().len() > 3, "{:?}", ground.held());
        client.signal(Signal::KILL);
        client.wait();
        // It is nobody's any more; whoever killed its client may kill it.
        kill::kill(fs::read_to_string(&at).unwrap().trim().parse().unwrap());
        wait_until("the next command takes it away", || {
            env.tinyd(["ps"]).ok();
            ground.held().is_empty()
        });
        env.tinyd(["network", "rm", "web"]).ok();
        env.assert_clean();
        assert_eq!(fs::read_to_string(ground.place.path().join("calls")).unwrap(), "ADD\nDEL\n");
    });
}

#[test]
fn a_place_of_no_container_is_found_and_given_back() {
    on_web("", |ground, env| {
        serve(env, &["--name", "c1", "-p", "8080:80"]);
        let id = env.tinyd(["inspect", "-f", "{{.Id}}", "c1"]).ok().text();
        // Its record outlives the monitor that takes everything else away.
        let records = env.root().join("cni/web");
        let record = fs::read(records.join(format!("{id}@eth0.json"))).unwrap();
        env.tinyd(["rm", "-f", "c1"]).ok();
        assert_eq!(fs::read_dir(&records).unwrap().count(), 0, "a record is left");
        let lost = "0123456789abcdef0123456789abcdef";
        fs::write(records.join(format!("{lost}@eth0.json")), record).unwrap();
        let lease = ground.place.path().join("leases/web/10.77.0.9");
        fs::write(&lease, format!("{lost}\r\neth0")).unwrap();
        let seen = env.tinyd(["system", "check"]).fails(1).stdout();
        assert!(seen.contains("the place of 0123456789ab on network web"), "{seen}");
        assert!(lease.exists(), "a look changes nothing");
        env.tinyd(["system", "check", "--repair"]);
        assert!(!lease.exists());
        env.assert_checked();
    });
}

#[test]
fn who_comes_and_goes_while_it_runs_leaves_no_rule_behind() {
    on_web("", |ground, env| {
        // The chains that plugins make once, and keep.
        say(env, &["-p", "8080:80"], "true");
        let rules = || ground.machines.host.run(&["iptables", "-t", "nat", "-S"]);
        let before = rules();
        ground::start(env, &["--net", "none", "--name", "c1"], "sleep 1000");
        for _ in 0..2 {
            env.tinyd(["network", "connect", "web", "c1"]).ok();
            assert!(rules().contains("10.77.0.") && ground.leases().len() == 1, "{}", rules());
            assert!(ground::inside(env, "c1", "ip route").contains("default via 10.77.0.1"));
            env.assert_checked();
            env.tinyd(["network", "disconnect", "web", "c1"]).ok();
            assert_eq!((rules(), ground.held()), (before.clone(), Vec::new()));
            assert_eq!(ground::inside(env, "c1", "ip -o link | wc -l"), "1");
        }
        // Its plugins say what is missing of a place, and what helps is told. (Not the link: by its addresses alone the plugin
        // finds the rules that it has to take away.)
        env.tinyd(["network", "connect", "web", "c1"]).ok();
        ground::machine(env, "c1").ip("route del default");
        let seen = env.tinyd(["system", "check"]).fails(1).stdout();
        assert!(seen.contains("network web") && seen.contains("the plugin bridge"), "{seen}");
        let seen = env.tinyd(["system", "check", "--repair"]).fails(1).stdout();
        assert!(seen.contains("disconnect and connect it"), "{seen}");
        env.tinyd(["network", "disconnect", "web", "c1"]).ok();
        env.tinyd(["network", "connect", "web", "c1"]).ok();
        env.assert_checked();
        env.tinyd(["rm", "-f", "c1"]).ok();
        assert_eq!(ground.held(), Vec::<String>::new());
    });
}

#[test]
fn what_a_plugin_did_not_take_away_at_the_end_is_found_and_goes_later() {
    require!(root);
    require!(command "/usr/lib/cni/bridge");
    require!(command "iptables");
    let ground = Ground::new();
    // It fails at DEL for as long as the file is there.
    ground.write_plugin("stuck", "");
    ground.write_list(r#", {"type": "stuck"}"#);
    let obstacle = ground.place.path().join("obstacle");
    let calls = ground.place.path().join("calls");
    let script = fs::read_to_string(ground.place.path().join("script")).unwrap();
    let script = script.replace(
        "*) echo",
        &format!("DEL) test ! -e {} && echo DEL >> {} ;;\n*) echo", obstacle.display(), calls.display()),
    );
    fs::write(ground.place.path().join("script"), script).unwrap();
    let told = |operation: &str| {
        let calls = fs::read_to_string(&calls).unwrap_or_default();
        calls.lines().filter(|line| *line == operation).count()
    };
    let plugin = ground.place.path().join("bin/stuck");
    let mut install = Command::new("install");
    install.args(["-m", "755"]).arg(ground.place.path().join("script")).arg(&plugin);
    assert!(install.status().unwrap().success());
    ground.machines.host.within(|| {
        let env = Env::new();
        ground.create(&env);
        let records = env.root().join("cni/web");
        let count = || fs::read_dir(&records).map_or(0, Iterator::count);
        ground::start(&env, &["--net", "web", "--name", "c1"], "sleep 1000");
        for remedy in [&["system", "check", "--repair"][..], &["start", "c1"], &["rm", "-f", "c1"]] {
            fs::write(&obstacle, "").unwrap();
            env.tinyd(["stop", "-t", "1", "c1"]).ok();
            assert_eq!(count(), 1, "its record says that something is held");
            let seen = env.tinyd(["system", "check"]).fails(1).stdout();
            // (Of the control groups it sees those of other tests too.)
            let own = seen.lines().find(|line| line.contains("on network web")).unwrap_or_default();
            assert!(own.ends_with("on network web: is held, and the container does not run"), "{seen}");
            fs::remove_file(&obstacle).unwrap();
            let before = told("DEL");
            let output = env.tinyd(remedy);
            match remedy[0] {
                // Its exit code tells of the other tests' control groups as well.
                "system" => assert!(!env.tinyd(["system", "check"]).stdout().contains("on network web")),
                _ => drop(output.ok()),
            }
            assert_eq!(told("DEL"), before + 1, "{remedy:?}");
            match remedy[0] {
                "start" => assert_eq!(count(), 1),
                _ => assert_eq!((count(), ground.held()), (0, Vec::new()), "{remedy:?}"),
            }
            if remedy[0] != "start" {
                // (Of one that runs the plugin that is made up here has kept no links for CHECK.)
                env.assert_checked();
            }
            if remedy[0] == "system" {
                env.tinyd(["start", "c1"]).ok();
            }
        }
        env.tinyd(["network", "rm", "web"]).ok();
        env.assert_clean();
    });
    // Each start was undone once, and no more than once.
    assert_eq!((told("ADD"), told("DEL")), (3, 3));
}

#[test]
fn a_plugin_that_fails_keeps_the_command_from_running_and_leaves_nothing() {
    let ground_more = r#", {"type": "picky"}"#;
    require!(root);
    let ground = Ground::new();
    ground.write_plugin("picky", "printf '{\"code\": 101, \"msg\": \"not today\"}'; exit 1");
    ground.write_list(ground_more);
    ground.machines.host.within(|| {
        let env = Env::new();
        ground.create(&env);
        let image = image();
        for words in [&["run", "--rm"][..], &["run", "-d", "--name", "c1"]] {
            let output = env.tinyd([words, &["--net", "web", &image, "echo", "hello"]].concat()).fails(125);
            assert_eq!((output.stdout().as_str(), output.stderr().lines().count()), ("", 1), "{output}");
            for part in ["network \"web\"", "the plugin picky refused ADD: not today (code 101)"] {
                assert!(output.stderr().contains(part), "no {part:?}: {output}");
            }
            assert_eq!(ground.held(), Vec::<String>::new());
        }
        assert!(env.containers().is_empty());
        // Once it is content, the same network works.
        ground.write_plugin("picky", "");
        assert_eq!(say(&env, &[], "echo hello"), "hello");
        env.tinyd(["network", "rm", "web"]).ok();
        env.assert_clean();
    });
}

#[test]
fn lists_that_cannot_be_used_are_refused_in_one_line_and_leave_nothing() {
    require!(root);
    require!(command "/usr/lib/cni/bridge");
    let ground = Ground::new();
    let file = ground.write_list("").to_str().unwrap().to_owned();
    ground.machines.host.within(|| {
        let env = Env::new();
        let conf = format!("conf-dir={}", ground.folder("net.d"));
        let bin = "bin-dir=/usr/lib/cni".to_owned();
        let refused_with = |bin: &str, words: &[&str], parts: &[&str]| {
            let words = [&["network", "create", "-d", "cni", "-o", &conf, "-o", bin], words].concat();
            let output = env.tinyd(words).fails(1);
            assert_eq!((output.stdout().as_str(), output.stderr().lines().count()), ("", 1), "{output}");
            for part in parts {
                assert!(output.stderr().contains(part), "no {part:?}: {output}");
            }
            let left = env.tinyd(["network", "ls", "--format", "{{.Name}}"]).ok().stdout();
            assert_eq!(left, "none\nhost\n");
        };
        let refused = |words: &[&str], parts: &[&str]| refused_with(&bin, words, parts);
        refused(&["db"], &["no list of plugins \"db\"", "there are web", "-o config="]);
        refused(&["-o", "config=/no/such/file", "db"], &["/no/such/file"]);
        refused(&["--subnet", "10.77.0.0/24", "web"], &["a subnet cannot be chosen"]);
        refused(&["--internal", "web"], &["'internal' cannot be chosen"]);
        refused(&["-o", "colour=blue", "web"], &["\"colour\"", "conf-dir"]);
        refused_with("bin-dir=/nowhere", &["web"], &["no plugin \"bridge\" in /nowhere", "bin-dir"]);
        let write = |text: &str| fs::write(&file, text).unwrap();
        let by_file = format!("config={file}");
        write("{\"cniVersion\": \"1.0.0\",\n\"name\": }");
        refused(&["-o", &by_file, "web"], &[&file, "line 2"]);
        write(r#"{"cniVersion": "1.0.0", "name": "web", "plugins": [{"type": "../../bin/sh"}]}"#);
        refused(&["-o", &by_file, "web"], &["\"../../bin/sh\" is not the name of a file"]);
        write(r#"{"cniVersion": "0.2.0", "name": "web", "type": "bridge"}"#);
        refused(&["-o", &by_file, "web"], &["0.2.0 is not spoken here"]);
        // Debian's plugins are older than that.
        write(r#"{"cniVersion": "1.1.0", "name": "web", "type": "bridge"}"#);
        refused(&["-o", &by_file, "web"], &["the plugin bridge does not speak version 1.1.0"]);

        // A single plugin, by its file, for a network of another name; it takes no ports.
        write(&format!(
            r#"{{"cniVersion": "0.4.0", "name": "lan", "type": "bridge", "bridge": "lan0",
                "ipam": {{"type": "host-local", "dataDir": "{}", "subnet": "10.77.0.0/24"}}}}"#,
            ground.folder("leases")
        ));
        env.tinyd(["network", "create", "-d", "cni", "-o", &by_file, "-o", &bin, "web"]).ok();
        let output = env.tinyd(["run", "--rm", "--net", "web", "-p", "8080:80", &image(), "true"]).fails(125);
        assert!(
            output
                .stderr()
                .contains("no plugin of the list \"lan\" has \"capabilities\": {\"portMappings\": true}"),
            "{output}"
        );
        assert!(say(&env, &[], "ip -o addr").contains("inet 10.77.0.2/24"));
        env.tinyd(["network", "rm", "web"]).ok();
        env.assert_clean();
    });
}
