//! T23: the network of the host itself.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use tinyd_tests::ground::{self, Ground, HOST, inside, start};
use tinyd_tests::{require, roots, wait_until};

#[test]
fn t23_on_the_hosts_network_a_container_has_what_the_host_has() {
    require!(root);
    require!(program);
    Ground::stand(|ground, env| {
        // Its root is nobody on the host, and has none of the lower ports.
        let server = "echo hello > /tmp/index.html; exec httpd -f -p 8088 -h /tmp";
        start(env, &["--net", "host", "--name", "c1"], server);
        let busybox = roots::busybox().join("bin/busybox");
        for words in ["-o addr", "-o link", "route", "-6 route"] {
            let mut command = vec![busybox.to_str().unwrap(), "ip"];
            command.extend(words.split(' '));
            let of_host = ground.host.run(&command);
            assert!(!of_host.trim().is_empty(), "{words}");
            assert_eq!(inside(env, "c1", &format!("ip {words}")), of_host.trim(), "{words}");
        }
        // Its ports are the host's.
        wait_until("it is reached at the host's address", || {
            ground::fetch(&ground.outside, HOST, 8088).as_deref() == Some("hello\n")
        });
        assert_eq!(ground.ports(), Vec::<String>::new());
        env.tinyd(["rm", "-f", "c1"]).ok();
    });
}
