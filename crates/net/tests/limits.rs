//! Rates of containers' traffic on a bridge: measured, with containers that are namespaces and no more.

#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test; clippy.toml does not see that its helpers are one")]

mod ground;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ground::{Other, in_a_namespace, own, prefix, root_only};
use rustix::net::{AddressFamily, Protocol, SendFlags, SocketFlags, SocketType};
use rustix::thread::move_into_link_name_space;
use tinyd_net::firewall::Nftables;
use tinyd_net::link::Links;
use tinyd_net::{
    BridgeDriver, EndpointSpec, EndpointState, NetworkDriver, NetworkSpec, NetworkState, Rates, Undo,
};

/// How long is measured, after what was saved up has been sent.
const TIME: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_millis(500);

/// What of a full packet of TCP over IPv6 a program has sent, at least: the rest are headers.
const SHARE: f64 = 0.93;

fn driver(folder: &Path) -> BridgeDriver {
    BridgeDriver::new(folder, |table| Box::new(Nftables::new(table)))
}

fn limit(
    driver: &BridgeDriver,
    network: &NetworkState,
    endpoint: &EndpointState,
    rates: Rates,
) -> EndpointState {
    driver.limiter().unwrap().limit(network, endpoint, &rates).unwrap()
}

/// Bits a second of one TCP connection, as its receiver counts them, after something was changed while it sends.
fn measure_after(from: BorrowedFd<'_>, to: BorrowedFd<'_>, at: IpAddr, change: impl FnOnce()) -> f64 {
    thread::scope(|scope| {
        let (ready, bound) = mpsc::channel();
        let ((warm, is_warm), (go_on, changed)) = (mpsc::channel(), mpsc::channel());
        scope.spawn(move || {
            move_into_link_name_space(from, None).unwrap();
            let address = bound.recv().unwrap();
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(9)).unwrap();
            // Until the receiver has seen enough, and is gone.
            while stream.write_all(&[0; 64 << 10]).is_ok() {}
        });
        let receiver = scope.spawn(move || {
            move_into_link_name_space(to, None).unwrap();
            let listener = TcpListener::bind(SocketAddr::new(at, 0)).unwrap();
            listener.set_nonblocking(true).unwrap();
            ready.send(listener.local_addr().unwrap()).unwrap();
            let end = Instant::now() + Duration::from_secs(9);
            let mut stream = loop {
                match listener.accept() {
                    Ok((stream, _)) => break stream,
                    Err(error) => assert!(Instant::now() < end, "nobody came: {error}"),
                }
                thread::sleep(Duration::from_millis(5));
            };
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(9))).unwrap();
            let mut buffer = vec![0; 1 << 20];
            let mut count = |time: Duration| {
                let (start, mut bytes) = (Instant::now(), 0);
                while start.elapsed() < time {
                    bytes += stream.read(&mut buffer).unwrap();
                }
                bytes as f64 * 8.0 / start.elapsed().as_secs_f64()
            };
            count(WARM_UP);
            warm.send(()).unwrap();
            changed.recv().unwrap();
            count(WARM_UP);
            count(TIME)
        });
        is_warm.recv().unwrap();
        change();
        go_on.send(()).unwrap();
        receiver.join().unwrap()
    })
}

fn measure(from: BorrowedFd<'_>, to: BorrowedFd<'_>, at: IpAddr) -> f64 {
    measure_after(from, to, at, || ())
}

#[track_caller]
fn assert_held(what: &str, measured: f64, rate: u64) {
    let most = rate as f64;
    assert!((most * SHARE * 0.8..most * 1.1).contains(&measured), "{what}: {measured} of {rate}");
}

/// Does the steps that undo a connection as the container's monitor does.
fn undo(endpoint: &EndpointState) {
    for step in &endpoint.undo {
        match step {
            Undo::Netlink { protocol, packet } => {
                let protocol = NonZeroU32::new(protocol.cast_unsigned()).map(Protocol::from_raw);
                let (family, sort) = (AddressFamily::NETLINK, SocketType::RAW);
                let socket = rustix::net::socket_with(family, sort, SocketFlags::CLOEXEC, protocol).unwrap();
                rustix::net::send(socket, packet, SendFlags::empty()).unwrap();
            }
            Undo::Unlink(path) => std::fs::remove_file(path).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

fn links() -> Vec<String> {
    Links::here().unwrap().list().unwrap().into_iter().map(|link| link.name).collect()
}

#[test]
fn root_traffic_is_held_to_each_rate_each_way_by_both_families_and_comes_free_again() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        let host = own();
        let driver = driver(folder.path());
        let wanted = NetworkSpec {
            subnets: ["10.99.0.0/24", "fd00:99::/64"].map(prefix).to_vec(),
            ..NetworkSpec::named("web")
        };
        let network = driver.create(&wanted).unwrap();
        let (one, two) = (Other::new(), Other::new());
        let place = |container: &str, other: &Other| {
            let wanted =
                EndpointSpec { container: container.to_owned(), gateway: true, ..Default::default() };
            driver.attach(&network, &wanted, &other.netns).unwrap()
        };
        let before = links();
        let (first, second) = (place("aaaa", &one), place("bbbb", &two));
        let address =
            |endpoint: &EndpointState, index: usize| endpoint.interfaces[0].addresses[index].address;
        let gateways = network.spec.gateways.clone();
        let (slow, fast) = (8_000_000, 80_000_000);

        let limited = limit(&driver, &network, &first, Rates { egress: Some(slow), ingress: Some(fast) });
        for family in [0, 1] {
            let out = measure(one.netns.as_fd(), host.as_fd(), gateways[family]);
            assert_held("to the host", out, slow);
            let across = measure(one.netns.as_fd(), two.netns.as_fd(), address(&second, family));
            assert_held("to a neighbour", across, slow);
            let in_ = measure(host.as_fd(), one.netns.as_fd(), address(&first, family));
            assert_held("from the host", in_, fast);
        }
        // Other rates in place of those, while packets wait that are larger than what passes at once then.
        let changed = Rates { egress: Some(fast), ingress: Some(slow) };
        let mut now = limited.clone();
        let across = measure_after(two.netns.as_fd(), one.netns.as_fd(), address(&first, 0), || {
            now = limit(&driver, &network, &limited, changed);
        });
        assert_held("from a neighbour", across, slow);
        let limited = now;
        assert_held("to the host", measure(one.netns.as_fd(), host.as_fd(), gateways[0]), fast);
        let neighbour = measure(two.netns.as_fd(), host.as_fd(), gateways[0]);
        assert!(neighbour > 2.0 * fast as f64, "a neighbour was limited to {neighbour}");

        let limited = limit(&driver, &network, &limited, Rates::default());
        assert_eq!(limited, first);
        let free = measure(one.netns.as_fd(), host.as_fd(), gateways[0]);
        assert!(free > 2.0 * fast as f64, "what is limited no more has {free}");

        let limited = limit(&driver, &network, &limited, Rates { egress: Some(slow), ingress: Some(slow) });
        undo(&limited);
        drop(one);
        driver.detach(&network, &second).unwrap();
        // The kernel takes the namespace away when it has time, and the pair of links with it.
        let end = Instant::now() + Duration::from_secs(9);
        while links() != before && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(links(), before);
        driver.delete(&network).unwrap();
    });
}
