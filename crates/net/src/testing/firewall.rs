//! The suite for firewalls.

use crate::firewall::{Firewall, NetworkRules, Publication};
use crate::{Prefix, Protocol, PublishedPort, Undo};
use std::io::ErrorKind;
use std::net::IpAddr;

/// Holds a firewall to the contract of [`Firewall`], as far as that can be seen without traffic. Neither of the networks may be
/// open, and nothing published; both have a range of IPv4 and one of IPv6. It is left as it was found.
///
/// # Panics
/// With the assertion that failed.
pub fn firewall_conformance(make: &dyn Fn() -> Box<dyn Firewall>, networks: [&NetworkRules; 2]) {
    let cases: &[fn(&Ground<'_>)] = &[
        a_name_is_a_word,
        probing_changes_nothing,
        opening_can_be_repeated,
        what_is_open_is_told_from_what_is_not,
        what_is_published_outlives_the_process,
        all_are_published_or_none,
        what_meets_a_port_is_found,
        what_has_no_meaning_is_refused,
        an_undo_takes_away_its_own_and_can_be_repeated,
        withdrawing_is_for_one_address,
        closing_can_be_repeated_and_is_for_one_network,
    ];
    for case in cases {
        let ground = Ground { make, networks };
        assert_eq!(ground.published(), [], "something is published before");
        case(&ground);
        for network in networks {
            (make)().close(network).expect("to close a network");
        }
        assert_eq!(ground.published(), [], "something is published after all was closed");
    }
}

/// What a case works with.
struct Ground<'a> {
    make: &'a dyn Fn() -> Box<dyn Firewall>,
    networks: [&'a NetworkRules; 2],
}

impl Ground<'_> {
    /// One of another process each time: nothing is known but what the kernel knows.
    fn firewall(&self) -> Box<dyn Firewall> {
        (self.make)()
    }

    fn opened(&self) -> Box<dyn Firewall> {
        let firewall = self.firewall();
        self.networks.iter().for_each(|network| firewall.open(network).expect("to open a network"));
        firewall
    }

    fn published(&self) -> Vec<Publication> {
        let mut all = self.firewall().published().expect("to say what is published");
        all.sort_unstable();
        all
    }

    /// An address of a network, of one family.
    fn address(&self, network: usize, is_v6: bool) -> IpAddr {
        let of_family = |subnet: &&Prefix| subnet.address.is_ipv6() == is_v6;
        let subnet = self.networks[network].subnets.iter().find(of_family).expect("a range of each family");
        subnet.nth(7).expect("a range with room for containers")
    }

    /// Ports of each kind that lead to a container of a network, in order.
    fn ports(&self, network: usize, first: u16) -> Vec<Publication> {
        let [v4, v6] = [false, true].map(|is_v6| self.address(network, is_v6));
        let one = |host: Option<&str>, host_port, protocol, to| {
            let host = host.map(|host| host.parse().expect("an address"));
            Publication { port: PublishedPort { host, host_port, container_port: 80, protocol }, to }
        };
        let mut all = vec![
            one(None, first, Protocol::Tcp, v4),
            one(None, first, Protocol::Tcp, v6),
            one(None, first, Protocol::Udp, v4),
            one(None, first + 1, Protocol::Sctp, v6),
            one(Some("127.0.0.1"), first, Protocol::Tcp, v4),
            one(Some("127.0.0.1"), first + 2, Protocol::Udp, v4),
            one(Some("2001:db8::1"), first, Protocol::Tcp, v6),
        ];
        all.sort_unstable();
        all
    }
}

fn a_name_is_a_word(ground: &Ground<'_>) {
    let name = ground.firewall().name();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    assert!(!name.is_empty() && name.bytes().all(plain), "{name:?} cannot be typed as an option");
}

fn probing_changes_nothing(ground: &Ground<'_>) {
    ground.firewall().probe().expect("a firewall that works here");
    let wanted = ground.ports(0, 8080);
    ground.opened().publish(&wanted).expect("ports that are free");
    ground.firewall().probe().expect("a firewall that is at work");
    assert_eq!(ground.published(), wanted, "a look changed something");
}

fn opening_can_be_repeated(ground: &Ground<'_>) {
    let wanted = ground.ports(0, 8080);
    ground.opened().publish(&wanted).expect("ports that are free");
    ground.opened();
    assert_eq!(ground.published(), wanted, "opening a network that is open lost a port");
}

fn what_is_open_is_told_from_what_is_not(ground: &Ground<'_>) {
    let is_open =
        |network: usize| ground.firewall().is_open(ground.networks[network]).expect("to look at rules");
    assert!(!is_open(0) && !is_open(1), "nothing was opened");
    ground.firewall().open(ground.networks[0]).expect("to open a network");
    assert!(is_open(0) && !is_open(1) && ground.firewall().stands(&[]).expect("to ask the kernel"));
    ground.firewall().publish(&ground.ports(0, 8080)).expect("ports that are free");
    assert!(is_open(0), "ports are no rules");
    ground.firewall().close(ground.networks[0]).expect("to close a network");
    let firewall = ground.firewall();
    let stands = firewall.stands(&[]).expect("to ask the kernel");
    assert!(!is_open(0) && stands == firewall.runs_programs(), "it was closed");
}

fn what_is_published_outlives_the_process(ground: &Ground<'_>) {
    let wanted = ground.ports(0, 8080);
    ground.opened().publish(&wanted).expect("ports that are free");
    assert_eq!(ground.published(), wanted);
    assert_eq!(ground.firewall().publish(&[]).expect("nothing is no work"), []);
}

fn all_are_published_or_none(ground: &Ground<'_>) {
    let there = ground.ports(0, 8080);
    ground.opened().publish(&there).expect("ports that are free");
    for taken in &there {
        let mut wanted = ground.ports(1, 9090);
        wanted.push(Publication { to: ground.address(1, taken.to.is_ipv6()), ..*taken });
        let error = ground.firewall().publish(&wanted).expect_err("a port that leads elsewhere");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        let name = format!("{}/{}", taken.port.host_port, taken.port.protocol);
        assert!(error.to_string().contains(&name), "{error} does not name {name}");
        assert_eq!(ground.published(), there, "a part of what was refused is published");
    }
}

fn what_meets_a_port_is_found(ground: &Ground<'_>) {
    let one = ground.ports(1, 9090);
    assert_eq!(ground.firewall().meeting(&one).expect("to look where no network is open"), []);
    let there = ground.ports(0, 8080);
    ground.opened().publish(&there).expect("ports that are free");
    let meeting = |wanted: &[Publication]| ground.firewall().meeting(wanted).expect("to look for what meets");
    assert_eq!(meeting(&one), [], "another number");
    for known in &there {
        // Wherever it is to lead, and of whichever address it is wanted.
        let wanted = Publication { to: ground.address(1, known.to.is_ipv6()), ..*known };
        assert!(meeting(&[wanted]).contains(known), "{known:?}");
        let mut of_all = wanted;
        of_all.port.host = None;
        let mut found = there.clone();
        found.retain(|other| of_all.meets(other));
        found.sort_unstable();
        assert_eq!(meeting(&[of_all]), found);
    }
    for known in there.iter().filter(|one| one.port.host.is_none()) {
        let mut wanted = *known;
        let host = if known.to.is_ipv6() { "2001:db8::77" } else { "192.0.2.77" };
        wanted.port.host = Some(host.parse().expect("an address"));
        assert_eq!(meeting(&[wanted]), [*known], "a single address and all of them");
    }
}

fn what_has_no_meaning_is_refused(ground: &Ground<'_>) {
    let firewall = ground.opened();
    let good = ground.ports(0, 8080);
    let at_loopback = good.iter().find(|one| one.port.host.is_some_and(|host| host.is_ipv4()));
    let at_loopback = *at_loopback.expect("one at 127.0.0.1");
    let mut bad = [at_loopback; 3];
    bad[0].port.host_port = 0;
    bad[1].port.container_port = 0;
    bad[2].to = ground.address(0, true);
    for one in bad {
        let error = firewall.publish(&[good[0], one]).expect_err("what has no meaning");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert_eq!(ground.published(), []);
    }
}

fn an_undo_takes_away_its_own_and_can_be_repeated(ground: &Ground<'_>) {
    let firewall = ground.opened();
    let steps = firewall.publish(&ground.ports(0, 8080)).expect("ports that are free");
    let others = ground.ports(1, 9090);
    firewall.publish(&others).expect("ports that are free");
    for _ in 0..2 {
        steps.iter().for_each(perform);
        assert_eq!(ground.published(), others);
    }
    // The ports lead elsewhere now.
    let mut again = ground.ports(1, 8080);
    firewall.publish(&again).expect("ports that were given back");
    steps.iter().for_each(perform);
    again.extend(others);
    again.sort_unstable();
    assert_eq!(ground.published(), again, "an undo that came late took a port from its new owner");
}

fn withdrawing_is_for_one_address(ground: &Ground<'_>) {
    let firewall = ground.opened();
    let (mut ours, others) = (ground.ports(0, 8080), ground.ports(1, 9090));
    firewall.publish(&ours).expect("ports that are free");
    firewall.publish(&others).expect("ports that are free");
    for is_v6 in [false, true] {
        for _ in 0..2 {
            ground.firewall().withdraw(ground.address(0, is_v6)).expect("to withdraw, again too");
        }
        ours.retain(|one| one.to.is_ipv6() != is_v6);
        let mut left = [ours.clone(), others.clone()].concat();
        left.sort_unstable();
        assert_eq!(ground.published(), left);
    }
}

fn closing_can_be_repeated_and_is_for_one_network(ground: &Ground<'_>) {
    let others = ground.ports(1, 9090);
    ground.opened().publish(&others).expect("ports that are free");
    for _ in 0..2 {
        ground.firewall().close(ground.networks[0]).expect("to close a network, again too");
        assert_eq!(ground.published(), others, "closing a network took another's ports");
    }
    for _ in 0..2 {
        ground.firewall().close(ground.networks[1]).expect("to close the last one, again too");
    }
}

/// Does a step as a process would that knows nothing of networks: no answer is read.
fn perform(step: &Undo) {
    use rustix::net::{self, AddressFamily, SendFlags, SocketFlags, SocketType};
    match step {
        Undo::Unlink(path) => drop(std::fs::remove_file(path)),
        Undo::Netlink { protocol, packet } => {
            let protocol = std::num::NonZeroU32::new(protocol.cast_unsigned()).map(net::Protocol::from_raw);
            let socket =
                net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol);
            net::send(socket.expect("a socket to the kernel"), packet, SendFlags::empty())
                .expect("to send a step");
        }
        Undo::Unpin(_) => panic!("a firewall pins no namespace"),
        Undo::Run { program, arguments, environment, stdin, .. } => {
            use std::io::Write as _;
            use std::process::{Command, Stdio};
            let mut command = Command::new(program);
            command.args(arguments).env_clear().envs(environment.iter().cloned());
            let mut child =
                command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("to start a step");
            child.stdin.take().expect("its input").write_all(stdin).expect("it reads");
            child.wait().expect("to wait for a step");
        }
    }
}
