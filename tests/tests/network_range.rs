//! A container that publishes a thousand ports: all lead to it, and all are gone with it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use tinyd_tests::ground::{self, Ground, HOST, SERVER, fetch, held, start};
use tinyd_tests::{require, wait_until};

/// How many ports of the range lead to the container, as rules of each family say.
fn led(ground: &Ground) -> usize {
    let rules = ground.rules();
    (20_000..21_000).filter(|port| rules.contains(&format!("tcp . {port} :"))).count()
}

#[test]
fn a_thousand_ports_of_one_container_come_and_go_with_it() {
    require!(root);
    require!(program);
    require!(command "nft");
    Ground::stand(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24", "fd00:77::/64"], &[]);
        let ports = ["-p", "20000-20998:1000-1998", "-p", "20999:80"];
        start(env, &[&["--net", "web", "--name", "many"], &ports[..]].concat(), SERVER);
        assert_eq!(led(ground), 1000);
        wait_until("the last one answers", || fetch(&ground.outside, HOST, 20_999).is_some());
        // Its monitor takes all of them away by itself.
        env.tinyd(["stop", "-t", "0", "many"]).ok();
        wait_until("its monitor has tidied up", || held(env).is_empty());
        assert_eq!(led(ground), 0);
        env.tinyd(["start", "many"]).ok();
        assert_eq!(led(ground), 1000);
        env.tinyd(["rm", "-f", "many"]).ok();
        assert_eq!(led(ground), 0);
        ground.holds_nothing(env);
        env.assert_checked();
    });
}
