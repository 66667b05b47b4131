//! A host whose rules drop what is forwarded, as Docker's and ufw's do: it is said once, and a network that asks for it gets
//! through, without a change to anything else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test; clippy.toml does not see that its helpers are one"
)]

use tinyd_tests::ground::{self, GREET, Ground, HOST, SERVER, fetch, image, start};
use tinyd_tests::{Env, require, unserved, wait_until};

const DOCKER: &str = "*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
";

/// A host with Docker's rules.
fn walled() -> Ground {
    let ground = Ground::with_ipv4_alone();
    ground.greet();
    ground.host.run(&["sh", "-c", &format!("printf '%s' '{DOCKER}' | iptables-restore")]);
    ground
}

/// All rules and policies of others, without counters.
fn others(ground: &Ground) -> Vec<String> {
    let saved = ground.host.run(&["iptables-save"]) + &ground.host.run(&["ip6tables-save"]);
    let lines = saved.lines().filter(|line| !line.starts_with('#') && !line.contains("tinyd-"));
    lines.map(|line| line.split(" [").next().unwrap().to_owned()).collect()
}

fn reaches_out(env: &Env, network: &str) -> bool {
    env.tinyd(["run", "--rm", "--net", network, &image(), "sh", "-c", GREET]).stdout() == "hello\n"
}

#[test]
fn a_wall_is_said_when_a_network_is_made_or_shown_and_not_when_it_is_used() {
    require!(root);
    require!(command "iptables-save");
    let ground = walled();
    ground.host.within(|| {
        let env = Env::new();
        let before = others(&ground);
        let said = env.tinyd(["network", "create", "--subnet", "10.77.0.0/24", "web"]).ok();
        // (That it forwards is said as well, where it did not before.)
        let note = said.stderr();
        let note: Vec<_> =
            note.lines().filter(|line| !line.contains("forwards packets of networks")).collect();
        assert_eq!(note.len(), 1, "{note:?}");
        let note = note[0];
        for word in ["note: ", "chain FORWARD of the table ip filter (Docker)", "--firewall-compat"] {
            assert!(note.contains(word), "no {word:?} in {note}");
        }
        assert!(!reaches_out(&env, "web"), "there is no wall");
        let used = env.tinyd(["run", "--rm", "--net", "web", &image(), "true"]).ok();
        assert_eq!(used.stderr(), "", "said with each start");
        let seen = env.tinyd(["network", "inspect", "web"]).ok().json();
        let shown = seen[0]["Notes"][0].as_str().unwrap();
        assert!(note.contains(shown), "{shown}");
        assert!(env.tinyd(["system", "check"]).stderr().contains(shown));
        // The default network is made by its first container.
        let first = ["run", "--rm", "--net", "bridge", &image(), "true"].map(str::to_owned);
        assert!(
            env.tinyd(&first).ok().stderr().contains("note: this machine drops what network tinyd sends")
        );
        assert_eq!(env.tinyd(&first).ok().stderr(), "");
        // Nothing is to be let through from one that has no way out.
        assert_eq!(env.tinyd(["network", "create", "--internal", "back"]).ok().stderr(), "");
        env.tinyd(["network", "rm", "web", "back", "bridge"]).ok();
        assert_eq!(others(&ground), before);
        env.assert_clean();
    });
}

#[test]
fn a_network_that_asks_for_it_gets_through_and_takes_its_rules_along() {
    require!(root);
    require!(command "iptables-save");
    unserved!("a daemon brings back at once what is missed here");
    let ground = walled();
    let before = others(&ground);
    ground.host.within(|| {
        let env = Env::new();
        let words = ["network", "create", "--firewall-compat", "--subnet", "10.77.0.0/24", "web"];
        // (That it forwards is said, where it did not before.)
        let said = env.tinyd(words).ok().stderr();
        let of_walls: Vec<_> =
            said.lines().filter(|line| !line.contains("forwards packets of networks")).collect();
        assert_eq!(of_walls, [""; 0], "there is no wall any more");
        ground::network(&env, "plain", &["10.78.0.0/24"], &[]);
        assert_eq!(others(&ground), before);
        assert!(reaches_out(&env, "web") && !reaches_out(&env, "plain"));
        let id = start(&env, &["--net", "web", "-p", "8080:80"], SERVER);
        wait_until("it answers", || fetch(&ground.outside, HOST, 8080).as_deref() == Some("hello\n"));
        // What they let pass is still ours to refuse: D3, a port that is not published.
        ground.lead_outside("10.77.0.0/24");
        let address = env.tinyd(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", &id]).ok().text();
        assert!(fetch(&ground.host, &address, 80).is_some());
        assert_eq!(fetch(&ground.outside, &address, 80), None);
        // Docker starts anew, and everything of others is as it was before ours.
        let script = format!("iptables -P FORWARD ACCEPT; printf '%s' '{DOCKER}' | iptables-restore");
        ground.host.run(&["sh", "-c", &script]);
        assert!(!reaches_out(&env, "web"));
        let found = env.tinyd(["system", "check"]).fails(1).stdout();
        assert!(found.contains("network web: lacks its rules among others'"), "{found}");
        assert_eq!(env.tinyd(["network", "reload", "web"]).ok().text(), "web");
        assert!(reaches_out(&env, "web"));
        env.tinyd(["rm", "-f", &id]).ok();
        env.tinyd(["network", "rm", "web", "plain"]).ok();
        env.assert_clean();
    });
    assert_eq!(others(&ground), before);
    let saved = ground.host.run(&["iptables-save"]);
    assert!(!saved.contains("tinyd"), "{saved}");
}
