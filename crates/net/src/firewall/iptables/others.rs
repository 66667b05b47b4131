//! The table `filter`, which is others': whether it drops what is forwarded, and the two rules of ours in the place that it has
//! for such rules, where a network asks for them.

use super::family::Family;
use super::program::{self, CHANGE, Programs, Variant};
use super::rules::script;
use super::saved::Line;
use std::collections::BTreeMap;
use std::io;

const FILTER: &str = "filter";
const FORWARD: &str = "FORWARD";

/// Chains that are meant for rules of whoever likes, in the order in which they are preferred, and whose they are.
const MEANT: [(&str, &str); 3] =
    [("DOCKER-USER", "Docker"), ("ufw-user-forward", "ufw"), ("ufw6-user-forward", "ufw")];

/// The table of a family, in one of the two places that the kernel may have it in.
pub(in crate::firewall) struct Filter {
    programs: Programs,
    family: Family,
    /// With their policies; `-` where they have none.
    chains: BTreeMap<String, String>,
    lines: Vec<Line>,
}

/// Where a rule of ours goes.
pub(in crate::firewall) struct Place {
    pub(in crate::firewall) chain: String,
    /// Whose it is, where that is known.
    pub(in crate::firewall) owner: Option<&'static str>,
}

impl Filter {
    /// As the variant lists it; by the usual programs where that has none of its own.
    pub(in crate::firewall) fn read(variant: Variant, family: Family) -> io::Result<Self> {
        let programs = Programs::find(variant).or_else(|_| Programs::find(Variant::Usual))?;
        let what = "list the rules of others";
        let listing = program::run(None, what, programs.save(family), &[], b"", None)?;
        let (chains, lines) = parse(&String::from_utf8_lossy(&listing));
        Ok(Self { programs, family, chains, lines })
    }

    /// As notes name it.
    pub(in crate::firewall) fn in_words(&self) -> String {
        let family = ["ip", "ip6"][self.family.index()];
        format!("the chain {FORWARD} of the table {family} {FILTER}")
    }

    /// Whether what no rule lets pass is dropped.
    pub(in crate::firewall) fn drops(&self) -> bool {
        let last = self.lines.iter().rfind(|line| line.chain == FORWARD);
        self.chains.get(FORWARD).is_some_and(|policy| policy == "DROP")
            || last
                .is_some_and(|line| is_for_all(line) && ["DROP", "REJECT"].map(Some).contains(&target(line)))
    }

    /// Where a rule is to be that lets something pass; `None` where none is needed.
    pub(in crate::firewall) fn place(&self) -> Option<Place> {
        let meant = MEANT.iter().find(|(chain, _)| self.chains.contains_key(*chain));
        match meant {
            Some((chain, owner)) => Some(Place { chain: (*chain).to_owned(), owner: Some(owner) }),
            None => self.drops().then(|| Place { chain: FORWARD.to_owned(), owner: None }),
        }
    }

    /// Whether the rules of a bridge are where they are to be.
    pub(in crate::firewall) fn lets_pass(&self, mark: &str, bridge: &str) -> bool {
        self.place().is_none_or(|place| {
            let there = |comment: &str| {
                self.lines.iter().any(|line| line.chain == place.chain && line.comment() == comment)
            };
            rules(mark, bridge).iter().all(|(comment, _)| there(comment))
        })
    }

    /// Adds what is missing of the two, behind others' rules where nothing behind them is reached, else before that.
    pub(in crate::firewall) fn let_pass(&self, mark: &str, bridge: &str) -> io::Result<()> {
        let Some(place) = self.place().filter(|_| !self.lets_pass(mark, bridge)) else { return Ok(()) };
        let own: Vec<_> = self.lines.iter().filter(|line| line.chain == place.chain).collect();
        let mut lines: Vec<_> =
            self.marked(mark, bridge).filter(|line| line.chain == place.chain).map(removal).collect();
        let ends = own.last().is_some_and(|line| is_for_all(line) && target(line).is_some());
        // As it is numbered when ours are gone.
        let number = own.len() - lines.len();
        for (index, (_, rule)) in rules(mark, bridge).iter().enumerate() {
            lines.push(match ends {
                true => format!("-I {} {} {rule}", place.chain, number + index),
                false => format!("-A {} {rule}", place.chain),
            });
        }
        self.change("let packets of a network pass others' rules", &lines)
    }

    /// Takes away what [`let_pass`](Self::let_pass) added, wherever it is.
    pub(in crate::firewall) fn take_back(&self, mark: &str, bridge: &str) -> io::Result<()> {
        let lines: Vec<_> = self.marked(mark, bridge).map(removal).collect();
        self.change("take back what let packets of a network pass", &lines)
    }

    fn marked(&self, mark: &str, bridge: &str) -> impl Iterator<Item = &Line> {
        let comments = rules(mark, bridge).map(|(comment, _)| comment);
        self.lines.iter().filter(move |line| comments.iter().any(|comment| line.comment() == comment))
    }

    fn change(&self, what: &str, lines: &[String]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let script = script(FILTER, lines);
        Ok(program::run(None, what, self.programs.restore(self.family), &CHANGE, &script, None).map(drop)?)
    }
}

fn removal(line: &Line) -> String {
    format!("-D {} {}", line.chain, line.text)
}

/// The rules with their comments: out of a network, and what was led into it and what answers. Who else gets into it our own
/// rules say, and they say it whatever these do.
fn rules(mark: &str, bridge: &str) -> [(String, String); 2] {
    let rule = |parts: &str, words: &str| {
        let comment = format!("{mark}: {bridge} {words}");
        let text = format!("{parts} -m comment --comment \"{comment}\" -j ACCEPT");
        (comment, text)
    };
    [
        rule(&format!("-i {bridge}"), "out"),
        rule(&format!("-o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED,DNAT"), "in"),
    ]
}

/// The chains and rules of the table.
fn parse(listing: &str) -> (BTreeMap<String, String>, Vec<Line>) {
    let (mut chains, mut lines, mut is_filter) = (BTreeMap::new(), Vec::new(), false);
    for line in listing.lines() {
        if let Some(table) = line.strip_prefix('*') {
            is_filter = table.trim() == FILTER;
        } else if let Some(chain) = line.strip_prefix(':').filter(|_| is_filter) {
            let mut words = chain.split(' ').map(str::to_owned);
            let name = words.next().unwrap_or_default();
            chains.insert(name, words.next().unwrap_or_default());
        } else if is_filter {
            lines.extend(Line::parse(line));
        }
    }
    (chains, lines)
}

/// Whether a rule is for every packet.
fn is_for_all(line: &Line) -> bool {
    let mut words = line.words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "-m" if words.next() == Some("comment") => {}
            "--comment" | "-j" | "--reject-with" => drop(words.next()),
            _ => return false,
        }
    }
    true
}

fn target(line: &Line) -> Option<&str> {
    let place = line.words.iter().position(|word| word == "-j")?;
    line.words.get(place + 1).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(listing: &str) -> Filter {
        let (chains, lines) =
            parse(&format!("*nat\n:FORWARD DROP [0:0]\nCOMMIT\n*filter\n{listing}COMMIT\n"));
        Filter { programs: Programs::failing(), family: Family::V4, chains, lines }
    }

    #[test]
    fn pure_what_drops_is_told_from_what_does_not() {
        for (listing, expected) in [
            ("", false),
            (":FORWARD ACCEPT [0:0]\n", false),
            (":FORWARD DROP [1:2]\n", true),
            (":FORWARD ACCEPT [0:0]\n-A FORWARD -j DROP\n", true),
            (
                ":FORWARD ACCEPT [0:0]\n-A FORWARD -m comment --comment \"no more\" -j REJECT --reject-with icmp-host-prohibited\n",
                true,
            ),
            (":FORWARD ACCEPT [0:0]\n-A FORWARD -i eth0 -j DROP\n", false),
            (":FORWARD ACCEPT [0:0]\n-A FORWARD -m state --state NEW -j DROP\n", false),
            (":FORWARD ACCEPT [0:0]\n-A FORWARD -j DROP\n-A FORWARD -i eth0 -j ACCEPT\n", false),
        ] {
            assert_eq!(filter(listing).drops(), expected, "{listing}");
        }
    }

    #[test]
    fn pure_the_place_is_the_one_that_is_meant_for_it() {
        let place = |listing: &str| filter(listing).place().map(|place| (place.chain, place.owner));
        let docker = ":DOCKER-USER - [0:0]\n:FORWARD DROP [0:0]\n:ufw-user-forward - [0:0]\n";
        assert_eq!(place(docker), Some(("DOCKER-USER".to_owned(), Some("Docker"))));
        assert_eq!(place(":ufw6-user-forward - [0:0]\n").unwrap().1, Some("ufw"));
        assert_eq!(place(":FORWARD DROP [0:0]\n"), Some(("FORWARD".to_owned(), None)));
        assert_eq!(place(":FORWARD ACCEPT [0:0]\n"), None);
        assert!(filter(":FORWARD ACCEPT [0:0]\n").lets_pass("m", "br-1"), "nothing is in the way");
        let [(_, out), (_, into)] = rules("m", "br-1");
        let half = format!(":FORWARD DROP [0:0]\n-A FORWARD {out}\n");
        assert!(!filter(&half).lets_pass("m", "br-1"));
        let whole = format!("{half}-A FORWARD {into}\n");
        assert!(filter(&whole).lets_pass("m", "br-1") && !filter(&whole).lets_pass("m", "br-2"));
        assert!(!filter(&whole).lets_pass("n", "br-1"), "another engine's");
    }
}
