//! `--publish [IP:]HOST[-RANGE]:CONTAINER[-RANGE][/PROTOCOL]`, or `CONTAINER` alone.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use tinyd_engine::{PortMapping, PortProtocol};

/// What one word of the option publishes: a port, or one for each of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published(pub(crate) Vec<PortMapping>);

/// Reads a word of the option. That no port of the host is given twice is the engine's to say.
pub(super) fn parse(text: &str) -> Result<Published, String> {
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
