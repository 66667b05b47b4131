//! A bridge has 1,023 ports: whoever comes after them is refused, is told why, and has left nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fmt::Write as _;

use tinyd_tests::ground::{self, Ground, SERVER, held, inside, say, start};
use tinyd_tests::{Env, require, wait_until};

/// Pairs of links of which both ends are ports: as many ports as a bridge has, but one.
const PAIRS: usize = 511;

/// Makes what `ip` is told, all at once.
fn batch(ground: &Ground, env: &Env, lines: &str) {
    let file = env.file("lines", lines);
    ground.host.run(&["ip", "-batch", file.to_str().unwrap()]);
}

#[test]
fn the_1024th_on_a_bridge_is_refused_and_leaves_nothing() {
    require!(root);
    require!(program);
    require!(command "nft");
    Ground::stand(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/16"], &[]);
        start(env, &["--net", "web", "--name", "first", "-p", "8080:80"], SERVER);
        let first = ground.ports();
        assert_eq!(first.len(), 1);
        let links = ground.host.ip(&format!("-o link show {}", first[0]));
        let bridge = links.split_once(" master ").unwrap().1.split(' ').next().unwrap().to_owned();
        let (mut make, mut take) = (String::new(), String::new());
        for number in 0..PAIRS {
            writeln!(make, "link add full{number} master {bridge} type veth peer name lluf{number}").unwrap();
            writeln!(make, "link set lluf{number} master {bridge}").unwrap();
            writeln!(take, "link del full{number}").unwrap();
        }
        batch(ground, env, &make);
        assert_eq!(ground.ports().len(), 1023);

        let before = (held(env), env.containers(), ground.rules());
        let image = ground::image();
        let words = ["run", "-d", "--name", "last", "--net", "web", "-p", "8081:80", &image, "true"];
        let refused = env.tinyd(words);
        assert_eq!(refused.code(), Some(125), "{refused}");
        for part in ["web", &bridge, "1,023", "no more", "another network"] {
            assert!(refused.stderr().contains(part), "no {part:?}: {refused}");
        }
        // One that is there already stays as it was.
        env.tinyd(["create", "--name", "made", "--net", "web", "-p", "8082:80", &image, "sh", "-c", SERVER])
            .ok();
        let refused = env.tinyd(["start", "made"]);
        assert!(refused.code() != Some(0) && refused.stderr().contains("1,023"), "{refused}");
        assert_eq!(env.containers().len(), before.1.len() + 1);
        assert_eq!((held(env), ground.rules()), (before.0, before.2), "a refusal left something");
        assert_eq!(ground.ports().len(), 1023);

        batch(ground, env, &take);
        wait_until("there is room", || ground.ports().len() == 1);
        env.tinyd(["start", "made"]).ok();
        assert_eq!(say(env, &["--net", "web"], "sleep 2; timeout 5 wget -qO- http://made/"), "hello");
        assert_eq!(inside(env, "made", "timeout 5 wget -qO- http://first/"), "hello");
        env.tinyd(["rm", "-f", "first", "made"]).ok();
        ground.holds_nothing(env);
    });
}
