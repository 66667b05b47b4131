//! Rules of others that drop what is forwarded: found, said, let pass where a network asks for it, and afterwards as they were.

#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test; clippy.toml does not see its helpers")]

mod ground;

use std::path::Path;
use std::process::Command;

use ground::{in_a_namespace, prefix, root_only};
use tinyd_net::firewall::{Nftables, Programs, Variant};
use tinyd_net::{BridgeDriver, NetworkDriver, NetworkSpec};

fn driver(folder: &Path) -> BridgeDriver {
    BridgeDriver::new(folder, |table| Box::new(Nftables::new(table)))
}

fn spec(compat: bool) -> NetworkSpec {
    let option = compat.then(|| ("firewall-compat".to_owned(), "true".to_owned()));
    NetworkSpec {
        subnets: ["10.99.0.0/24", "fd00:99::/64"].map(prefix).to_vec(),
        options: option.into_iter().collect(),
        ..NetworkSpec::named("web")
    }
}

fn shell(script: &str) -> String {
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Both families' rules by a variant of the programs, without counters.
fn saved(variant: &str) -> String {
    let save = |family: &str| format!("{family}-{variant}-save | grep -v '^#' | sed 's/ \\[.*//'; ");
    shell(&(save("iptables") + &save("ip6tables")))
}

fn restore(variant: &str, rules: &str) {
    for family in ["iptables", "ip6tables"] {
        let rules = if family == "ip6tables" { rules.replace("ufw-", "ufw6-") } else { rules.to_owned() };
        shell(&format!("printf '%s' '{rules}' | {family}-{variant}-restore"));
    }
}

/// As Docker leaves it, cut down.
const DOCKER: &str = "*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -j ACCEPT
-A DOCKER-USER -s 192.0.2.66 -j DROP
-A DOCKER-USER -j RETURN
COMMIT
";

/// As ufw does, cut down.
const UFW: &str = "*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:ufw-user-forward - [0:0]
-A FORWARD -j ufw-user-forward
-A ufw-user-forward -o eth9 -j DROP
COMMIT
";

const PLAIN: &str = "*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -i eth9 -j ACCEPT
-A FORWARD -j REJECT
COMMIT
";

#[test]
fn root_what_drops_is_said_and_let_pass_in_the_place_meant_for_it() {
    root_only!();
    let docker = DOCKER.replace("192.0.2.66 ", "192.0.2.66 -i eth9 ").replace("-s 192.0.2.66 ", "");
    for (variant, program) in [("nft", Variant::Nft), ("legacy", Variant::Legacy)] {
        if let Err(error) = Programs::find(program) {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{error}");
            eprintln!("SKIPPED ({error})");
            continue;
        }
        for (rules, chain, owner, before_ours, behind) in [
            (docker.as_str(), "DOCKER-USER", "(Docker)", "-i eth9 -j DROP", "-j RETURN"),
            (UFW, "ufw-user-forward", "(ufw)", "-o eth9 -j DROP", ""),
            (PLAIN, "FORWARD", "the chain FORWARD", "-i eth9 -j ACCEPT", "-j REJECT"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            in_a_namespace(|| {
                restore(variant, rules);
                let before = saved(variant);
                let plain = driver(folder.path()).create(&spec(false)).unwrap();
                assert_eq!(saved(variant), before, "nobody asked for it");
                let notes = driver(folder.path()).notes(&plain).unwrap();
                assert_eq!(notes.len(), 1, "{notes:?}");
                for word in ["network web", "table ip filter", "table ip6 filter", owner, "--firewall-compat"]
                {
                    assert!(notes[0].contains(word), "no {word:?}: {notes:?}");
                }
                driver(folder.path()).delete(&plain).unwrap();

                let network = driver(folder.path()).create(&spec(true)).unwrap();
                let driver = || driver(folder.path());
                assert_eq!(driver().notes(&network).unwrap(), [""; 0]);
                let with = saved(variant);
                let own: Vec<_> = with.lines().filter(|line| line.contains("tinyd-")).collect();
                assert_eq!(own.len(), 4, "{with}");
                let right =
                    |line: &&str| line.starts_with(&format!("-A {chain} ")) || line.starts_with("-A ufw6-");
                assert!(
                    own.iter().all(right) && own.iter().all(|line| line.ends_with("-j ACCEPT")),
                    "{own:?}"
                );
                let rest: Vec<_> = with.lines().filter(|line| !line.contains("tinyd-")).collect();
                assert_eq!(rest, before.lines().collect::<Vec<_>>(), "a rule or policy of others");
                // Others' rules there come first, but for the one that ends it all.
                let at = |text: &str| with.lines().position(|line| line.contains(text)).unwrap();
                assert!(at(before_ours) < at("tinyd-"), "{with}");
                let (last, end) = (with.rfind("tinyd-").unwrap(), with.rfind(behind).unwrap());
                assert!(behind.is_empty() || last < end, "{with}");

                assert_eq!(driver().missing(&network, &[]).unwrap(), [""; 0]);
                restore(variant, rules);
                assert_eq!(driver().missing(&network, &[]).unwrap(), ["its rules among others'"]);
                assert!(driver().notes(&network).unwrap()[0].contains("tinyd network reload web"));
                for _ in 0..2 {
                    driver().restore(&network, &[]).unwrap();
                    assert_eq!(saved(variant), with);
                }
                driver().delete(&network).unwrap();
                assert_eq!(saved(variant), before, "{variant} {chain}");
            });
        }
    }
}

#[test]
fn root_a_wall_with_no_place_for_rules_is_said_with_what_its_owner_does_about_it() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        let driver = driver(folder.path());
        let network = driver.create(&spec(true)).unwrap();
        let bridge = network.links[0].clone();
        assert_eq!(driver.notes(&network).unwrap(), [""; 0], "nothing is in the way");
        let hook = "type filter hook forward priority 0; policy";
        for (table, chain, policy, rule, remedy) in [
            (
                "inet theirs",
                "gate",
                "drop",
                "",
                format!("nft insert rule inet theirs gate iifname {bridge} accept"),
            ),
            ("ip6 theirs", "gate", "drop", "", "nft insert rule ip6 theirs gate".to_owned()),
            (
                "inet firewalld",
                "filter_FORWARD",
                "accept",
                "counter reject with icmpx admin-prohibited",
                format!("--zone=trusted --add-interface={bridge}"),
            ),
            ("inet theirs", "gate", "accept", "counter log drop", "nft insert rule".to_owned()),
        ] {
            shell(&format!("nft 'add table {table}; add chain {table} {chain} {{ {hook} {policy}; }}'"));
            if !rule.is_empty() {
                shell(&format!(
                    "nft 'add rule {table} {chain} iifname x accept; add rule {table} {chain} {rule}'"
                ));
            }
            let before = shell(&format!("nft list table {table}"));
            let notes = driver.notes(&network).unwrap();
            assert!(notes.len() == 1 && notes[0].contains(&remedy), "no {remedy:?}: {notes:?}");
            assert!(notes[0].contains(&format!("the chain {chain} of the table {table}")), "{notes:?}");
            driver.restore(&network, &[]).unwrap();
            assert_eq!(shell(&format!("nft list table {table}")), before);
            shell(&format!("nft delete table {table}"));
        }
        // What is no wall: another hook, another family, a drop of some packets, our own chains.
        shell(
            "nft 'add table inet a; add chain inet a b { type filter hook input priority 0; policy drop; }'",
        );
        shell(&format!("nft 'add table bridge a; add chain bridge a b {{ {hook} drop; }}'"));
        shell(&format!(
            "nft 'add table ip a; add chain ip a b {{ {hook} accept; }}; add rule ip a b iifname x drop'"
        ));
        assert_eq!(driver.notes(&network).unwrap(), [""; 0]);
        driver.delete(&network).unwrap();
    });
}

#[test]
fn pure_the_option_is_true_or_false_and_not_for_internal_networks() {
    let folder = tempfile::tempdir().unwrap();
    let driver = driver(folder.path());
    for (value, internal, word) in [("yes", false, "true or false"), ("true", true, "no way out")] {
        let mut wanted = NetworkSpec { internal, ..spec(true) };
        wanted.options.insert("firewall-compat".to_owned(), value.to_owned());
        let error = driver.validate(&wanted).unwrap_err().to_string();
        assert!(error.contains("firewall-compat") && error.contains(word), "{error}");
    }
}
