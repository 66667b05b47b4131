//! The files of /etc that the engine writes for a container.

use std::fs;
use tinyd_net::Namespace;

/// Where systemd-resolved lists the servers that its stub at 127.0.0.53 asks.
const UPSTREAM: &str = "/run/systemd/resolve/resolv.conf";

/// `hosts` and `resolv.conf` for a container.
pub(crate) fn files(hostname: &str, netns: Namespace) -> (String, String) {
    // A host without these files is one whose containers get the generated part alone.
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let servers = read("/etc/resolv.conf");
    match netns {
        Namespace::Host => (hosts(hostname, Some(&read("/etc/hosts"))), servers),
        _ => (hosts(hostname, None), resolv_conf(&servers, || read(UPSTREAM))),
    }
}

fn hosts(hostname: &str, of_host: Option<&str>) -> String {
    let mut text = match of_host {
        Some(text) => text.to_owned(),
        None => "127.0.0.1\tlocalhost\n\
                 ::1\tlocalhost ip6-localhost ip6-loopback\n\
                 fe00::\tip6-localnet\n\
                 ff00::\tip6-mcastprefix\n\
                 ff02::1\tip6-allnodes\n\
                 ff02::2\tip6-allrouters\n"
            .to_owned(),
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    // Without a network of its own the container is reached at its loopback device alone.
    text.push_str(&format!("127.0.0.1\t{hostname}\n"));
    text
}

/// The host's servers; those that only the host itself can reach are replaced by the ones behind them.
fn resolv_conf(of_host: &str, upstream: impl FnOnce() -> String) -> String {
    let local = |line: &&str| {
        let mut words = line.split_ascii_whitespace();
        words.next() == Some("nameserver")
            && words.next().is_some_and(|address| address.starts_with("127.") || address == "::1")
    };
    let lines = |text: &str| -> String {
        text.lines()
            .filter(|line| !line.trim().is_empty() && !line.starts_with(['#', ';']) && !local(line))
            .fold(String::new(), |mut kept, line| {
                kept.push_str(line);
                kept.push('\n');
                kept
            })
    };
    if of_host.lines().any(|line| local(&line)) {
        let behind = upstream();
        if behind.lines().any(|line| line.trim_start().starts_with("nameserver") && !local(&line)) {
            return lines(&behind);
        }
    }
    lines(of_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_the_stub_is_replaced_by_what_is_behind_it() {
        let stub = "# made by resolved\nnameserver 127.0.0.53\noptions edns0\n\nsearch example\n";
        let behind = || "nameserver 10.0.0.1\nnameserver 10.0.0.2\nsearch example\n".to_owned();
        assert_eq!(resolv_conf(stub, behind), behind());
        // Without it nothing that cannot be reached is left.
        assert_eq!(resolv_conf(stub, String::new), "options edns0\nsearch example\n");
        let plain = "; c\nnameserver 9.9.9.9\n";
        assert_eq!(resolv_conf(plain, || panic!("not asked for")), "nameserver 9.9.9.9\n");
    }

    #[test]
    fn pure_the_container_knows_its_own_name() {
        let own = hosts("box", None);
        assert!(own.starts_with("127.0.0.1\tlocalhost\n") && own.ends_with("127.0.0.1\tbox\n"), "{own}");
        assert_eq!(hosts("box", Some("10.0.0.1 db")), "10.0.0.1 db\n127.0.0.1\tbox\n");
    }
}
