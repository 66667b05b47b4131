//! Limits of processes above what the machine gives to who starts tinyd: had with the right to raise them, also where the
//! container has ids of its own; without it refused, with the reason.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;

use tinyd_tests::{in_both_modes, require};

/// The hard limit of open files that this process has, and hands on.
fn hard() -> u64 {
    let text = fs::read_to_string("/proc/self/limits").unwrap();
    let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_ascii_whitespace().nth(4).unwrap().parse().unwrap()
}

/// Whether this process has CAP_SYS_RESOURCE, number 24 (capabilities(7)).
fn may_raise() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(effective.trim(), 16).unwrap() & (1 << 24) != 0
}

#[test]
fn a_limit_above_the_hosts_is_raised_by_who_may_and_refused_with_the_reason_otherwise() {
    require!(root);
    require!(program);
    let (most, hard) = (fs::read_to_string("/proc/sys/fs/nr_open").unwrap(), hard());
    let most: u64 = most.trim().parse().unwrap();
    assert!(hard < most, "there is nothing to raise");
    let wanted = hard + 1;
    in_both_modes(|mode| {
        let option = format!("nofile={hard}:{wanted}");
        let words = ["--ulimit", &option, "host"];
        if may_raise() {
            let seen = mode.run(words.into_iter().chain(["sh", "-c", "ulimit -Sn; ulimit -Hn"])).ok();
            assert_eq!(seen.stdout(), format!("{hard}\n{wanted}\n"));
            let container = mode.start(words.into_iter().chain(["sleep", "300"]));
            assert_eq!(container.exec(&[], &["sh", "-c", "ulimit -Hn"]).ok().text(), wanted.to_string());
            return;
        }
        let refused = mode.run(words.into_iter().chain(["true"])).fails(125);
        let said = refused.stderr();
        for word in [&format!("RLIMIT_NOFILE={hard}:{wanted}"), &format!("is {hard},"), "CAP_SYS_RESOURCE"] {
            assert!(said.contains(word), "no {word:?}: {refused}");
        }
        assert_eq!(said.lines().count(), 1, "{refused}");
        assert!(mode.env.containers().is_empty());
    });
}

#[test]
fn no_process_may_have_more_files_than_the_kernel_gives() {
    require!(root);
    require!(program);
    let most: u64 = fs::read_to_string("/proc/sys/fs/nr_open").unwrap().trim().parse().unwrap();
    in_both_modes(|mode| {
        let option = format!("nofile=10:{}", most + 1);
        let refused = mode.run(["--ulimit", &option, "host", "true"]).fails(125);
        assert!(refused.stderr().contains("fs.nr_open"), "{refused}");
        assert!(mode.env.containers().is_empty());
    });
}
