//! `--publish [IP:]HOST[-RANGE]:CONTAINER[-RANGE][/PROTOCOL]`, or `CONTAINER` alone.

use crate::failure::Failure;
use crate::settings::{Settings, schema};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use tinyd_engine::{HostPort, PortMapping, PortProtocol};

/// What one word of the option publishes: a port, or one for each of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published(pub(crate) Vec<PortMapping>);

/// Reads a word of the option. That no port of the host is given twice is the engine's to say.
pub(crate) fn parse(text: &str) -> Result<Published, String> {
    let (places, protocol) = with_protocol(text)?;
    let (host_ip, rest) = address(places)?;
    let (host, inside) = match (host_ip, rest.split_once(':')) {
        (_, Some((host, inside))) => (Some(host), inside),
        (None, None) => (None, rest),
        (Some(_), None) => return Err(wrong("an address of this machine needs a port behind it")),
    };
    let inside = range(inside)?;
    // `127.0.0.1::80` leaves the port of the host open.
    let host = host.filter(|host| !(host.is_empty() && host_ip.is_some())).map(range).transpose()?;
    let count = |range: &RangeInclusive<u16>| range.clone().count();
    if let Some(host) = &host
        && count(host) != count(&inside)
    {
        return Err(wrong(&format!(
            "{} ports of this machine cannot lead to {} of the container",
            count(host),
            count(&inside)
        )));
    }
    let mut numbers = host.into_iter().flatten();
    let mappings = inside.map(|container_port| PortMapping {
        host_ip,
        host_port: numbers.next(),
        container_port,
        protocol,
    });
    Ok(Published(mappings.collect()))
}

/// A port of this machine's choice for each that is exposed and that none leads to yet, as the engine would make them, who does not
/// know what was set here.
pub(super) fn all_exposed(published: &[Published], exposed: &[Exposed]) -> Published {
    let mut inside: Vec<_> = published
        .iter()
        .flat_map(|published| &published.0)
        .map(|port| (port.container_port, port.protocol))
        .collect();
    let mut all = Vec::new();
    for (container_port, protocol) in exposed.iter().flat_map(|exposed| exposed.0.iter().copied()) {
        if !inside.contains(&(container_port, protocol)) {
            inside.push((container_port, protocol));
            all.push(PortMapping { host_ip: None, host_port: None, container_port, protocol });
        }
    }
    Published(all)
}

/// Ports as they are meant, and what is said of them where they can be reached from outside and nobody said that they should.
pub(crate) fn settle(
    published: Vec<Published>,
    settings: &Settings,
) -> Result<(Vec<PortMapping>, Option<String>), Failure> {
    let mut ports: Vec<_> = published.into_iter().flat_map(|published| published.0).collect();
    let Some(address) = settings.parse(&schema::PUBLISH_ADDRESS, own_address)? else {
        let is_open = |port: &&PortMapping| port.host_ip.is_none_or(|address| address.is_unspecified());
        return Ok((ports.clone(), ports.iter().find(is_open).map(open_to_all)));
    };
    // All that there are, of both families.
    let address = Some(address).filter(|address| !address.is_unspecified());
    ports.iter_mut().for_each(|port| port.host_ip = port.host_ip.or(address));
    Ok((ports, None))
}

fn own_address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "it is no address: 127.0.0.1, or 0.0.0.0 for all".to_owned())
}

fn open_to_all(port: &PortMapping) -> String {
    let PortMapping { host_port, container_port, protocol, .. } = port;
    let number = host_port.map(|number| number.to_string()).unwrap_or_default();
    let suffix = if *protocol == PortProtocol::Tcp { String::new() } else { format!("/{protocol}") };
    let which = if number.is_empty() { "a port".to_owned() } else { format!("port {number}") };
    format!(
        "{which} of this machine is open to whoever reaches it; -p 127.0.0.1:{number}:{container_port}{suffix} keeps it to \
         itself, and ${} says which is meant",
        schema::PUBLISH_ADDRESS.variable
    )
}

/// `8080`, `127.0.0.1:53/udp`: a port of this machine.
pub(crate) fn host_port(text: &str) -> Result<HostPort, String> {
    let (places, protocol) = with_protocol(text)?;
    let (address, number) = match places.rsplit_once(':') {
        None => (None, places),
        Some((address, number)) => {
            let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
            let address = bare.parse().map_err(|_| format!("{address:?} is no address of this machine"))?;
            (Some(address), number)
        }
    };
    Ok(HostPort { address, number: port(number)?, protocol })
}

/// What one word of `--expose` names: a port, or each of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exposed(pub(crate) Vec<(u16, PortProtocol)>);

/// `80`, `8000-8009/udp`.
pub(super) fn exposed(text: &str) -> Result<Exposed, String> {
    let (numbers, protocol) = with_protocol(text)?;
    Ok(Exposed(range(numbers)?.map(|number| (number, protocol)).collect()))
}

/// `80`, `80/udp`: a port of a container, as `inspect` calls it.
pub(crate) fn inner_port(text: &str) -> Result<String, String> {
    let (number, protocol) = with_protocol(text)?;
    Ok(format!("{}/{protocol}", port(number)?))
}

fn with_protocol(text: &str) -> Result<(&str, PortProtocol), String> {
    let Some((places, word)) = text.rsplit_once('/') else { return Ok((text, PortProtocol::Tcp)) };
    let protocol = match word.to_ascii_lowercase().as_str() {
        "tcp" => PortProtocol::Tcp,
        "udp" => PortProtocol::Udp,
        "sctp" => PortProtocol::Sctp,
        _ => return Err(wrong(&format!("'{word}' is none of tcp, udp and sctp"))),
    };
    Ok((places, protocol))
}

/// The address of this machine, and what follows its colon.
fn address(text: &str) -> Result<(Option<IpAddr>, &str), String> {
    let (address, rest) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (address, rest) = bracketed.split_once(']').ok_or_else(|| wrong("a '[' is not closed"))?;
            let rest = rest.strip_prefix(':').ok_or_else(|| wrong("an address needs a port behind it"))?;
            let is_six = address.parse().is_ok_and(|address: IpAddr| address.is_ipv6());
            (is_six.then_some(address), rest)
        }
        None => match text.matches(':').count() {
            0 | 1 => return Ok((None, text)),
            2 => text.split_once(':').map_or((None, text), |(address, rest)| (Some(address), rest)),
            _ => return Err(wrong("an address of IPv6 stands in brackets")),
        },
    };
    match address.and_then(|address| address.parse().ok()) {
        Some(address) => Ok((Some(address), rest)),
        None => Err(wrong("what stands before the ports is no IP address")),
    }
}

fn range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    match first <= last {
        true => Ok(first..=last),
        false => Err(wrong(&format!("the range {text} ends before it begins"))),
    }
}

fn port(text: &str) -> Result<u16, String> {
    // A sign is taken by the parser of numbers.
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| plain && *number > 0);
    number.ok_or_else(|| wrong(&format!("the port '{text}' is none of 1 to 65535")))
}

fn wrong(what: &str) -> String {
    format!("{what}; write it like 8080:80, 127.0.0.1:8080:80, 8000-8009:80-89/udp or 80")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(host_ip: Option<&str>, host_port: Option<u16>, container_port: u16) -> PortMapping {
        let host_ip = host_ip.map(|text| text.parse().expect("an address"));
        PortMapping { host_ip, host_port, container_port, protocol: PortProtocol::Tcp }
    }

    #[test]
    fn ports_with_and_without_addresses() {
        for (text, wanted) in [
            ("8080:80", mapping(None, Some(8080), 80)),
            ("8080:80/tcp", mapping(None, Some(8080), 80)),
            ("80", mapping(None, None, 80)),
            ("127.0.0.1:8080:80", mapping(Some("127.0.0.1"), Some(8080), 80)),
            ("127.0.0.1::80", mapping(Some("127.0.0.1"), None, 80)),
            ("0.0.0.0:65535:1", mapping(Some("0.0.0.0"), Some(65535), 1)),
            ("[::1]:8080:80", mapping(Some("::1"), Some(8080), 80)),
            ("[fd00::2]::80", mapping(Some("fd00::2"), None, 80)),
        ] {
            assert_eq!(parse(text), Ok(Published(vec![wanted])), "{text}");
        }
    }

    #[test]
    fn who_publishes_to_all_is_told_unless_it_was_said() {
        let of = |words: &[&str], variable: Option<&str>| {
            let words = words.iter().map(|word| parse(word).expect("a port")).collect();
            settle(words, &Settings::of(&schema::PUBLISH_ADDRESS, variable.unwrap_or_default()))
        };
        let addresses = |ports: &[PortMapping]| -> Vec<_> {
            ports.iter().map(|port| port.host_ip.map(|ip| ip.to_string()).unwrap_or_default()).collect()
        };
        for (words, told) in [
            (&["8080:80"][..], Some("port 8080 of this machine is open")),
            (&["127.0.0.1:1:1", "0.0.0.0:53:53/udp"], Some("-p 127.0.0.1:53:53/udp keeps")),
            (&["80"], Some("a port of this machine is open to whoever reaches it; -p 127.0.0.1::80 keeps")),
            (&["127.0.0.1:8080:80", "[::1]:8080:80"], None),
            (&[], None),
        ] {
            let (_, said) = of(words, None).expect("ports");
            assert_eq!(said.is_some(), told.is_some(), "{words:?}");
            assert!(said.unwrap_or_default().contains(told.unwrap_or_default()), "{words:?}");
        }
        let (ports, said) = of(&["8080:80", "[::1]:1:1"], Some("127.0.0.1")).expect("ports");
        assert_eq!((addresses(&ports), said), (vec!["127.0.0.1".to_owned(), "::1".to_owned()], None));
        let (ports, said) = of(&["8080:80"], Some("0.0.0.0")).expect("ports");
        assert_eq!((addresses(&ports), said), (vec![String::new()], None));
        assert!(of(&["8080:80"], Some("here")).is_err());
    }

    #[test]
    fn ports_that_are_exposed_are_published_where_and_as_the_others_are() {
        let exposed = ["80", "90-91/udp", "80", "81"].map(|text| exposed(text).expect("a port"));
        let settled = |variable: &str| {
            let mut all = vec![parse("8080:81").expect("a port")];
            all.push(all_exposed(&all, &exposed));
            settle(all, &Settings::of(&schema::PUBLISH_ADDRESS, variable)).expect("ports")
        };
        let (ports, said) = settled("127.0.0.1");
        let inside: Vec<_> =
            ports.iter().map(|port| format!("{}/{}", port.container_port, port.protocol)).collect();
        assert_eq!(inside, ["81/tcp", "80/tcp", "90/udp", "91/udp"]);
        assert!(ports.iter().all(|port| port.host_ip.is_some_and(|address| address.is_loopback())));
        assert_eq!(said, None);
        assert!(settled("").1.is_some_and(|said| said.contains("port 8080 of this machine is open")));
        let alone = vec![all_exposed(&[], &exposed)];
        let (_, said) = settle(alone, &Settings::of(&schema::PUBLISH_ADDRESS, "")).expect("ports");
        assert!(said.is_some_and(|said| said.contains("-p 127.0.0.1::80 keeps")));
    }

    #[test]
    fn a_port_of_the_machine_is_named_by_its_number() {
        let named = |address: Option<&str>, number, protocol| {
            let address = address.map(|text| text.parse().expect("an address"));
            Ok(HostPort { address, number, protocol })
        };
        assert_eq!(host_port("8080"), named(None, 8080, PortProtocol::Tcp));
        assert_eq!(host_port("127.0.0.1:53/udp"), named(Some("127.0.0.1"), 53, PortProtocol::Udp));
        assert_eq!(host_port("[::1]:80"), named(Some("::1"), 80, PortProtocol::Tcp));
        for bad in ["", "0", "8080:80:81", "web:80", "80/icmp", "70000"] {
            assert!(host_port(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges_lead_to_ranges_and_protocols_are_words() {
        let published = parse("8000-8002:80-82/UDP").expect("a range").0;
        let pairs: Vec<_> = published.iter().map(|one| (one.host_port, one.container_port)).collect();
        assert_eq!(pairs, [(Some(8000), 80), (Some(8001), 81), (Some(8002), 82)]);
        assert!(published.iter().all(|one| one.protocol == PortProtocol::Udp));
        let published = parse("[::]:9-9:7-7/sctp").expect("a range of one").0;
        assert_eq!((published.len(), published[0].protocol), (1, PortProtocol::Sctp));
        let published = parse("80-81").expect("for the host to choose").0;
        assert_eq!(published, [mapping(None, None, 80), mapping(None, None, 81)]);
        assert_eq!(parse("1-65535:1-65535").expect("all").0.len(), 65535);
    }

    #[test]
    fn everything_else_is_refused_with_an_example() {
        for text in [
            "",
            ":",
            "0",
            "0:80",
            "80:0",
            "70000:80",
            "80:70000",
            "65536",
            "-1:80",
            "+80:80",
            "8080:",
            ":80",
            "a:80",
            "80:b",
            "80/",
            "80/icmp",
            "8080:80/tcp/udp",
            "8000-8002:80",
            "8000-8001:80-82",
            "8002-8000:80-82",
            "8000-:80",
            "1.2.3:80:80",
            "host:80:80",
            "::1:80:80",
            "fd00::1:80",
            "[::1]",
            "[::1]80:80",
            "[::1:80:80",
            "[1.2.3.4]:80:80",
            "[]:80:80",
            "1.2.3.4:80",
            "1.2.3.4:80:80:80",
            "80 :80",
            "٣:80",
        ] {
            let message = parse(text).expect_err(text);
            assert!(message.contains("8080:80"), "{text}: {message}");
        }
        assert!(parse("70000:80").is_err_and(|message| message.contains("'70000' is none of 1 to 65535")));
        assert!(parse("8000-8002:80").is_err_and(|message| message.contains("3 ports")));
        assert!(parse("fd00::1:80:80").is_err_and(|message| message.contains("brackets")));
    }

    #[test]
    fn a_port_of_a_container_has_a_protocol() {
        assert_eq!(inner_port("80").as_deref(), Ok("80/tcp"));
        assert_eq!(inner_port("53/UDP").as_deref(), Ok("53/udp"));
        for text in ["", "0", "x", "80-81", "80/x", "8080:80"] {
            assert!(inner_port(text).is_err(), "{text}");
        }
    }
}
