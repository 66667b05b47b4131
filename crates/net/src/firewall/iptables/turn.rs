//! From what is there to what shall be, in lines of iptables-restore(8).

use super::port;
use super::rules::{self, NAT};
use super::saved::{Line, Table};

/// What turns a table into the one that it shall be; nothing where it is that. `ports` are the chains of ports, which keep them.
pub(super) fn into(wanted: &rules::Table, there: &Table, ports: &[String]) -> Vec<String> {
    let is_good = |chain: &rules::Chain| {
        let comments = chain.rules.iter().map(|rule| rule.comment.as_str());
        there.has(&chain.name) && there.of(&chain.name).map(Line::comment).eq(comments)
    };
    let broken: Vec<_> = wanted.chains.iter().filter(|chain| !is_good(chain)).collect();
    // A line with a chain's name makes it, or empties it.
    let mut lines: Vec<_> = broken.iter().map(|chain| format!(":{} - [0:0]", chain.name)).collect();
    for chain in ports.iter().filter(|_| wanted.name == NAT) {
        if !there.has(chain) {
            lines.push(format!(":{chain} - [0:0]"));
        }
        let strange = there.of(chain).filter(|line| port::read(line).is_none());
        lines.extend(strange.map(|line| format!("-D {chain} {}", line.text)));
    }
    for chain in broken {
        lines.extend(chain.rules.iter().map(|rule| format!("-A {} {}", chain.name, rule.text)));
    }
    let mut jumps: Vec<_> = there.jumps().collect();
    for jump in &wanted.jumps {
        let same = |line: &&Line| line.chain == jump.from && line.comment() == jump.rule.comment;
        match jumps.iter().position(same) {
            Some(place) => drop(jumps.remove(place)),
            None if jump.first => lines.push(format!("-I {} 1 {}", jump.from, jump.rule.text)),
            None => lines.push(format!("-A {} {}", jump.from, jump.rule.text)),
        }
    }
    // One too many, or one of another version of this program.
    lines.extend(jumps.iter().map(|line| format!("-D {} {}", line.chain, line.text)));
    lines
}

/// What takes all that is ours away.
pub(super) fn into_nothing(there: &Table) -> Vec<String> {
    let mut lines: Vec<_> = there.jumps().map(|line| format!("-D {} {}", line.chain, line.text)).collect();
    // Chains lead to each other: they are removed only when all are empty.
    lines.extend(there.chains.iter().map(|chain| format!("-F {chain}")));
    lines.extend(there.chains.iter().map(|chain| format!("-X {chain}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::iptables::family::Family;
    use crate::firewall::iptables::names::Names;
    use crate::firewall::iptables::network::Network;
    use crate::firewall::iptables::saved::Saved;

    const PREFIX: &str = "tinyd-0a1b2c3d";

    fn wanted() -> [rules::Table; 2] {
        let network = Network::read("br-1 10.99.1.0/24").unwrap();
        rules::tables(&Names::of(PREFIX), Family::V4, &[network])
    }

    /// As a program lists a table that is the wanted one, with this rule of a port.
    fn listing(wanted: &rules::Table, port: &str) -> String {
        let mut text = format!("*{}\n", wanted.name);
        for chain in &wanted.chains {
            text += &format!(":{} - [0:0]\n", chain.name);
            text.extend(chain.rules.iter().map(|rule| format!("-A {} {}\n", chain.name, rule.text)));
        }
        text.extend(wanted.jumps.iter().map(|jump| format!("-A {} {}\n", jump.from, jump.rule.text)));
        text + &format!(
            ":{PREFIX}-hostports - [0:0]\n:{PREFIX}-ports - [0:0]\n-A {PREFIX}-ports {port}\nCOMMIT\n"
        )
    }

    fn turned(wanted: &rules::Table, listing: &str) -> Vec<String> {
        let names = Names::of(PREFIX);
        let there = Saved::parse(listing, &names.mark(), |chain| names.is_own(chain));
        into(wanted, there.table(wanted.name), &rules::OF_PORTS.map(|ending| names.chain(ending)))
    }

    const PORT: &str = "-p tcp -m tcp --dport 80 -j DNAT --to-destination 10.99.1.2:80";

    #[test]
    fn pure_what_is_whole_is_left_alone_and_what_is_missing_is_made() {
        for wanted in wanted() {
            let whole = listing(&wanted, PORT);
            assert_eq!(turned(&wanted, &whole), [""; 0]);
            let made = turned(&wanted, "");
            let rules: usize = wanted.chains.iter().map(|chain| chain.rules.len()).sum();
            let ports = if wanted.name == NAT { rules::OF_PORTS.len() } else { 0 };
            assert_eq!(made.len(), wanted.chains.len() + ports + rules + wanted.jumps.len(), "{made:?}");
            // A line of it less: its chain is made anew, or its jump.
            for line in whole.lines().filter(|line| line.starts_with("-A ") && !line.contains("DNAT --to")) {
                let damaged = whole.replacen(&format!("{line}\n"), "", 1);
                assert!(!turned(&wanted, &damaged).is_empty(), "{line}");
            }
        }
    }

    #[test]
    fn pure_ports_stay_and_what_is_none_goes() {
        let [_, nat] = wanted();
        let strange = listing(&nat, "-p tcp -j ACCEPT");
        assert_eq!(turned(&nat, &strange), [format!("-D {PREFIX}-ports -p tcp -j ACCEPT")]);
        let lines = turned(&nat, &listing(&nat, PORT).replace("#", "#0"));
        assert!(
            lines.iter().all(|line| !line.contains("ports - ") && !line.contains("-D tinyd-0a1b2c3d-ports"))
        );
        // Jumps of another version go when those of this one are there.
        assert_eq!(lines.iter().filter(|line| line.starts_with("-D ")).count(), nat.jumps.len(), "{lines:?}");
    }
}
