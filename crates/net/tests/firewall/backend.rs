//! The firewalls that there are, and how the host's own programs see what they made.

use crate::ground::run;
use std::io::{ErrorKind, Write as _};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use tinyd_net::firewall::{Firewall, Iptables, Nftables, Programs, Variant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Nftables,
    Iptables(Variant),
}

/// What others have in the host's rules of iptables(8), and must keep. Whatever the traffic tests send passes.
const FOREIGN: &str = "*mangle
:PREROUTING ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:theirs - [0:0]
-A FORWARD -m comment --comment \"somebody's own\" -j theirs
-A theirs -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -p tcp -m tcp --dport 1 -j REDIRECT --to-ports 2
-A POSTROUTING -o vpn0 -j MASQUERADE
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT DROP [0:0]
-A FORWARD -p tcp -m tcp --dport 1 -j DROP
-A OUTPUT -j ACCEPT
COMMIT
";

impl Backend {
    /// Those that this machine has. In CI it has all.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::Nftables];
        for variant in [Variant::Nft, Variant::Legacy] {
            match Programs::find(variant) {
                Ok(_) => all.push(Self::Iptables(variant)),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::NotFound);
                    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{error}");
                    eprintln!("SKIPPED ({error})");
                }
            }
        }
        all
    }

    pub(crate) fn firewall(self, netns: BorrowedFd<'_>, name: &str, lock: &Path) -> Box<dyn Firewall> {
        match self {
            Self::Nftables => Box::new(Nftables::of(netns, name).unwrap()),
            Self::Iptables(variant) => {
                let firewall = Iptables::of(netns, name, lock).unwrap();
                Box::new(firewall.with_programs(Programs::find(variant).unwrap()))
            }
        }
    }

    /// `iptables-nft`, `ip6tables-nft`.
    pub(crate) fn programs(self) -> Vec<String> {
        let ending = match self {
            Self::Nftables => return Vec::new(),
            Self::Iptables(Variant::Nft) => "-nft",
            Self::Iptables(Variant::Legacy) => "-legacy",
            Self::Iptables(Variant::Usual) => "",
        };
        ["iptables", "ip6tables"].map(|program| format!("{program}{ending}")).to_vec()
    }

    /// Has each family's program read these rules besides those that it has.
    pub(crate) fn load(self, rules: &str) {
        for program in self.programs() {
            let mut restore = Command::new(format!("{program}-restore"));
            let mut restore = restore.arg("--noflush").stdin(Stdio::piped()).spawn().unwrap();
            restore.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
            assert!(restore.wait().unwrap().success(), "{program}: {rules}");
        }
    }

    pub(crate) fn load_foreign(self) {
        self.load(FOREIGN);
    }

    /// All rules of the host, of everybody, without what it counts.
    pub(crate) fn rules(self) -> String {
        match self {
            Self::Nftables => run("nft", &["-s", "-j", "list", "ruleset"]),
            Self::Iptables(_) => {
                self.saved().join("\n") + &run("nft", &["-s", "list", "table", "ip", "foreign"])
            }
        }
    }

    /// What a firewall of this name has of them.
    pub(crate) fn own_rules(self, name: &str) -> String {
        match self {
            Self::Nftables => run("nft", &["-s", "list", "table", "inet", name]),
            Self::Iptables(_) => {
                let mut lines = self.saved();
                lines.retain(|line| line.contains(&format!("{name}-")));
                lines.join("\n")
            }
        }
    }

    /// What the programs list, without times and counters.
    fn saved(self) -> Vec<String> {
        let lists = self.programs().into_iter().map(|program| run(&format!("{program}-save"), &[]));
        let lines = lists.flat_map(|list| list.lines().map(str::to_owned).collect::<Vec<_>>());
        let lines = lines.filter(|line| !line.starts_with('#'));
        lines.map(|line| line.split(" [").next().unwrap_or_default().to_owned()).collect()
    }

    /// Takes all rules away, everybody's.
    pub(crate) fn flush(self) {
        for program in self.programs() {
            for table in ["mangle", "nat", "filter"] {
                if table == "filter" {
                    assert_eq!(run(&program, &["-P", "OUTPUT", "ACCEPT"]), "");
                }
                assert_eq!(run(&program, &["-t", table, "-F"]), "");
            }
        }
        assert_eq!(run("nft", &["flush", "ruleset"]), "");
    }
}
