//! How much goes through a network, beside the same links of the kernel with nothing of ours on them.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use tinyd_tests::ground::{self, Ground, HOST, OUTSIDE};
use tinyd_tests::{Env, Machine};

use super::race::Dice;
use flow::Way;

mod flow;

const NOTES: &str = "\
One TCP connection each, writes of 128 KiB, counted by who receives; both are open at once and send by turns of 30 ms, which of
the two is first by chance. A pair is two new connections.
Both are hosts in network namespaces with an uplink of their own; programs run outside of containers, in their network
namespaces, so that nothing but the network is measured.
raw: the same links made by ip(8): two namespaces with a veth each on a bridge, forwarding switched on, no rule at all; no
connection is tracked, and no address translated.
  to the host, between containers: the same addresses on both sides.
  out by NAT: raw is routed, and the machine outside knows the way back.
  in by a port, by 127.0.0.1: raw calls the address in the namespace itself, which the caller knows the way to.";

/// The least number of pairs that say anything.
const LEAST_PAIRS: usize = 5;
/// The turns that each has, of 30 ms: with what is not counted a pair takes about two seconds.
const TURNS: usize = 20;

/// The ports of the container: one that is published by the same number, and one that is not.
const PORT: u16 = 9000;
const UNPUBLISHED: u16 = 9001;

/// The network's range, its gateway and the first two in it, on both sides.
const RANGE: &str = "10.77.0.0/24";
const GATEWAY: &str = "10.77.0.1";
const ONE: &str = "10.77.0.2";
const TWO: &str = "10.77.0.3";

/// The machines of a side: the host, the one outside, and the two on the bridge.
struct Side<'a> {
    host: &'a Machine,
    outside: &'a Machine,
    one: &'a Machine,
    two: &'a Machine,
}

/// What is compared.
struct Pair<'a> {
    what: &'static str,
    raw: Way<'a>,
    ours: Way<'a>,
    /// Bytes a second, of each.
    rates: Vec<[f64; 2]>,
}

/// Prints a table of so many pairs of each way; fewer than five are five.
pub(super) fn run(pairs: usize) -> Result<()> {
    let mut result = Ok(());
    Ground::stand(|ours, env| {
        let done = with_both(ours, env, pairs.max(LEAST_PAIRS));
        for name in ["one", "two"] {
            env.tinyd(["rm", "-f", name]);
        }
        result = done;
    });
    result
}

fn with_both(ours: &Ground, env: &Env, pairs: usize) -> Result<()> {
    ground::network(env, "web", &[RANGE], &[]);
    let stay = "exec sleep 100000";
    let publish = format!("{PORT}:{PORT}");
    for (name, address, options) in [("one", ONE, &["-p", &publish][..]), ("two", TWO, &[])] {
        let network = format!("web:ip={address}");
        ground::start(env, &[&["--net", &network, "--name", name], options].concat(), stay);
    }
    let (one, two) = (ground::machine(env, "one"), ground::machine(env, "two"));
    let ours = Side { host: &ours.host, outside: &ours.outside, one: &one, two: &two };
    let (bare, first, second) = (Ground::new(), Machine::new(), Machine::new());
    make_raw(&bare, [(&first, ONE), (&second, TWO)]);
    let raw = Side { host: &bare.host, outside: &bare.outside, one: &first, two: &second };
    let mut all = compared(&raw, &ours);
    let mut dice = Dice::new();
    for _ in 0..pairs {
        for pair in &mut all {
            let mut order = [0, 1];
            dice.shuffle(&mut order);
            pair.rates.push(flow::measure([&pair.raw, &pair.ours], order[0], TURNS).context(pair.what)?);
        }
    }
    println!("\nthroughput, {pairs} pairs, {TURNS} turns each\n");
    print!("{}", table(&all));
    println!("\n{NOTES}");
    Ok(())
}

/// A bridge with two machines on it, and the ways that lead to them.
fn make_raw(bare: &Ground, machines: [(&Machine, &str); 2]) {
    let host = &bare.host;
    host.ip("link add br0 type bridge");
    host.ip(&format!("addr add {GATEWAY}/24 dev br0"));
    host.ip("link set br0 up");
    for (name, (machine, address)) in ["raw0", "raw1"].into_iter().zip(machines) {
        host.cable((name, &[]), machine, ("eth0", &[&format!("{address}/24")]));
        host.ip(&format!("link set {name} master br0"));
        machine.ip(&format!("route add default via {GATEWAY}"));
    }
    host.run(&["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
    bare.outside.ip(&format!("route add {RANGE} via {HOST}"));
}

fn compared<'a>(raw: &Side<'a>, ours: &Side<'a>) -> Vec<Pair<'a>> {
    let way = |from, called, to, port| Way { from, called, to, port };
    let pair = |what, raw, ours| Pair { what, raw, ours, rates: Vec::new() };
    vec![
        pair(
            "container to host",
            way(raw.one, GATEWAY, raw.host, UNPUBLISHED),
            way(ours.one, GATEWAY, ours.host, UNPUBLISHED),
        ),
        pair(
            "between containers",
            way(raw.two, ONE, raw.one, UNPUBLISHED),
            way(ours.two, ONE, ours.one, UNPUBLISHED),
        ),
        pair(
            "out by NAT",
            way(raw.one, OUTSIDE, raw.outside, PORT),
            way(ours.one, OUTSIDE, ours.outside, PORT),
        ),
        pair("in by -p", way(raw.outside, ONE, raw.one, PORT), way(ours.outside, HOST, ours.one, PORT)),
        pair(
            "by -p on 127.0.0.1",
            way(raw.host, ONE, raw.one, PORT),
            way(ours.host, "127.0.0.1", ours.one, PORT),
        ),
    ]
}

/// The middle one; of an even number, the mean of the middle two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        _ if values.is_empty() => f64::NAN,
        0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

fn table(all: &[Pair<'_>]) -> String {
    let mut text = format!(
        "{:<22}{:>12}{:>12}{:>12}   {}\n",
        "", "raw Gbit/s", "ours", "ours / raw", "ratios of single pairs: least, middle, most"
    );
    for pair in all {
        let of = |index: usize| median(pair.rates.iter().map(|rates| rates[index]).collect());
        let (raw, ours) = (of(0), of(1));
        let mut ratios: Vec<f64> = pair.rates.iter().map(|[raw, ours]| ours / raw).collect();
        ratios.sort_by(f64::total_cmp);
        let ends = [ratios.first(), ratios.last()].map(|end| end.copied().unwrap_or(f64::NAN));
        let gigabits = |rate: f64| rate * 8.0 / 1e9;
        let _ = writeln!(
            text,
            "{:<22}{:>12.1}{:>12.1}{:>12.3}   {:.3}  {:.3}  {:.3}",
            pair.what,
            gigabits(raw),
            gigabits(ours),
            ours / raw,
            ends[0],
            median(ratios),
            ends[1],
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_between_two_of_an_even_number() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }
}
