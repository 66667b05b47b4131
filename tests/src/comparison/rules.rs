//! What makes a fact looser than another, subject by subject. Where no rule knows better, a difference is looser.

use super::facts::Facts;
use super::files::Access;
use super::lines::Verdict;
use super::mounts;

type Place = (String, String);

/// A fact, if it is there, and all others beside it.
type Fact<'a> = (Option<&'a String>, &'a Facts);

/// Judges one fact.
pub(super) fn judge(place: &Place, docker: Fact<'_>, ours: Fact<'_>) -> Verdict {
    let (subject, key) = (place.0.as_str(), place.1.trim_end_matches('+'));
    if docker.0 == ours.0 {
        return Verdict::Same;
    }
    match (subject, docker.0, ours.0) {
        ("mounts", theirs, own) => mount(key, (theirs, docker.1), (own, ours.1)),
        ("masked" | "read-only", Some(_), own) => hidden(key, own, ours.1),
        (
            "settings" | "limits" | "status" | "process" | "namespaces" | "capabilities",
            Some(theirs),
            Some(own),
        ) => given(subject, key, theirs, own),
        ("groups", theirs, own) => group(key, theirs, own),
        ("devices" | "made-devices" | "attempts", theirs, own) => tried(key, theirs, own),
        // Which kind of stream the three are is the caller's matter.
        ("descriptors", Some(_), Some(_)) => Verdict::Same,
        ("variables", Some(_), Some(_)) if key != "PATH" => Verdict::Same,
        (argument, Some(theirs), Some(own)) if is_argument(argument) => {
            Verdict::of((theirs == "allow") == (own == "allow"), own != "allow")
        }
        // One thing less: a mask that Docker has not, a descriptor or a variable that we have not.
        ("masked" | "read-only", None, Some(_)) | (_, Some(_), None) => Verdict::Tighter,
        _ => Verdict::Looser,
    }
}

/// `x86_64-socket` and its like: calls whose verdict hangs on an argument.
fn is_argument(subject: &str) -> bool {
    ["-socket", "-clone", "-personality"].iter().any(|call| subject.ends_with(call))
}

/// The mount that a path is on.
fn covering<'a>(path: &str, facts: &'a Facts) -> Option<&'a String> {
    let mut above = path;
    loop {
        if let Some(mount) = facts.plain.get(&("mounts".to_owned(), above.to_owned())) {
            return Some(mount);
        }
        above = match above.rfind('/') {
            Some(0) if above != "/" => "/",
            Some(slash) if slash > 0 => &above[..slash],
            _ => return None,
        };
    }
}

fn mount(target: &str, docker: Fact<'_>, ours: Fact<'_>) -> Verdict {
    match (docker.0, ours.0) {
        // Nothing is seen of either.
        (Some(_), Some(_)) if hides(target, docker.1) && hides(target, ours.1) => Verdict::Same,
        (Some(theirs), Some(own)) => mounts::judge(theirs, own),
        // Whether it is hidden is asked of the file itself.
        (Some(_), None) if hides(target, docker.1) => Verdict::Same,
        // What Docker has mounted there might take something away.
        (Some(theirs), None) => {
            let stricter = covering(target, ours.1).is_some_and(|own| mounts::is_as_strict(theirs, own));
            Verdict::of(false, stricter)
        }
        (None, Some(_)) => Verdict::of(false, hides(target, ours.1)),
        (None, None) => Verdict::Same,
    }
}

/// Whether nothing can be opened at this path of `/proc` or `/sys`.
fn hides(path: &str, facts: &Facts) -> bool {
    facts.files.at(path) == Access::from_word("--")
}

/// A path that Docker hides or protects, and our configuration does not name as such.
fn hidden(path: &str, own: Option<&String>, ours: &Facts) -> Verdict {
    let masked = ours.plain.contains_key(&("masked".to_owned(), path.to_owned()));
    Verdict::of(own.is_some(), masked)
}

/// A group's limits, what can be done with it, and the devices it lets pass.
fn group(key: &str, theirs: Option<&String>, own: Option<&String>) -> Verdict {
    let Some(own) = own else { return Verdict::Tighter };
    match (key.rsplit('/').next().unwrap_or(key), theirs) {
        // An own group as root shows nothing of the host's.
        ("path", Some(_)) => Verdict::of(false, own == "/"),
        ("path", None) => Verdict::of(own == "/", false),
        ("mkdir" | "cgroup.procs", theirs) => {
            let both = theirs.is_none_or(|theirs| theirs != "ok") && own != "ok";
            Verdict::of(both, own != "ok")
        }
        (
            "pids.max" | "memory.limit_in_bytes" | "memory.max" | "cpu.cfs_quota_us" | "cpu.max",
            Some(theirs),
        ) => Verdict::of(false, less(own, theirs)),
        // The limits of the other version of control groups.
        (name, None) if name.contains('.') => Verdict::Same,
        _ => Verdict::of(false, own == "not-mounted"),
    }
}

/// A number that is smaller; words and negative numbers stand for no limit.
fn less(own: &str, theirs: &str) -> bool {
    let number =
        |text: &str| text.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(u64::MAX);
    number(own) < number(theirs)
}

/// How far an attempt came: 0 not past who must let it pass, 1 past that, 2 to its end.
fn reach(answer: Option<&String>) -> usize {
    match answer.map(String::as_str) {
        None | Some("EPERM" | "EACCES" | "ENOSYS" | "EROFS" | "EAFNOSUPPORT") => 0,
        Some("ok") => 2,
        Some(text) if text.starts_with("no-node") || text.starts_with("signal-31") => 0,
        Some(_) => 1,
    }
}

fn tried(key: &str, theirs: Option<&String>, own: Option<&String>) -> Verdict {
    let is_node =
        |value: Option<&String>| value.is_some_and(|value| value.contains(' ') && !value.starts_with("no-"));
    if is_node(own) || is_node(theirs) {
        return node(theirs, own);
    }
    // A device of which Docker has no node cannot be opened there.
    let more = reach(own) > reach(theirs) && !(key.ends_with("/open") && reach(own) == 0);
    Verdict::of(reach(own) == reach(theirs), !more)
}

/// A file in `/dev`: `c:1:3 0666 0:0`, `link pts/ptmx`, `folder 0755`.
fn node(theirs: Option<&String>, own: Option<&String>) -> Verdict {
    let (Some(theirs), Some(own)) = (theirs, own) else {
        return Verdict::of(false, own.is_none());
    };
    let parts = |text: &str| {
        let mut words = text.split(' ').map(str::to_owned);
        (words.next(), words.next().and_then(|mode| u32::from_str_radix(&mode, 8).ok()), words.next())
    };
    let (theirs, own) = (parts(theirs), parts(own));
    let (Some(their_mode), Some(own_mode)) = (theirs.1, own.1) else { return Verdict::Looser };
    // The sticky bit takes something away.
    let (their_mode, own_mode) = (their_mode ^ 0o1000, own_mode ^ 0o1000);
    let alike = theirs.0 == own.0 && theirs.2 == own.2;
    Verdict::of(alike && their_mode == own_mode, alike && own_mode & !their_mode == 0)
}

/// What both have, and differ in.
fn given(subject: &str, key: &str, theirs: &str, own: &str) -> Verdict {
    let number = |text: &str, radix| i128::from_str_radix(text, radix).unwrap_or(i128::MAX);
    let (their_number, own_number) = (number(theirs, 10), number(own, 10));
    let tighter = match (subject, key) {
        ("capabilities", _) => number(own, 16) & !number(theirs, 16) == 0,
        ("namespaces", _) => own == "own",
        ("limits", _) => own_number < their_number,
        ("status", "Umask") => number(theirs, 8) & !number(own, 8) == 0,
        ("status", "NoNewPrivs" | "Seccomp" | "Seccomp_filters") => own_number > their_number,
        ("status", "Groups") => {
            own.split_whitespace().all(|group| theirs.split_whitespace().any(|one| one == group))
        }
        ("process", "oom_score_adj" | "nice" | "securebits") => own_number > their_number,
        // Root inside is not root outside.
        ("process", "uid_map" | "gid_map") => !own.starts_with("0 0 ") && own.starts_with("0 "),
        ("settings", "net/ipv4/ip_unprivileged_port_start") => own_number > their_number,
        ("settings", "net/ipv4/ping_group_range") => within(own, theirs),
        _ => false,
    };
    Verdict::of(false, tighter)
}

/// Whether a range of two numbers lies in another.
fn within(own: &str, theirs: &str) -> bool {
    let ends = |text: &str| {
        let (first, last) = text.split_once(' ')?;
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?))
    };
    ends(own).zip(ends(theirs)).is_some_and(|(own, theirs)| own.0 >= theirs.0 && own.1 <= theirs.1)
}

#[cfg(test)]
mod tests {
    use super::super::lines::compare;
    use super::*;

    /// The verdict of the one line in which these two differ.
    fn verdict(docker: &str, ours: &str) -> Verdict {
        let facts = |line: &str| {
            let base = "mounts / overlay rw private -\nmounts /proc proc rw,nosuid private -\n";
            let end = "probe arguments ok\nprobe calls ok\nprobe end ok\n";
            let line = if line.is_empty() { String::new() } else { format!("{line}\n") };
            Facts::read(&format!("{base}{line}{end}"))
        };
        let lines = compare(&facts(ours), &facts(docker));
        lines.iter().map(|line| line.verdict).max().unwrap()
    }

    #[track_caller]
    fn assert_one_way(looser: &str, tighter: &str) {
        assert_eq!(verdict(tighter, looser), Verdict::Looser, "{looser} beside {tighter}");
        assert_eq!(verdict(looser, tighter), Verdict::Tighter, "{tighter} beside {looser}");
    }

    #[test]
    fn each_subject_knows_which_way_is_looser() {
        for (looser, tighter) in [
            ("capabilities CapBnd 00000000a80425fb", "capabilities CapBnd 00000000800405fb"),
            ("status NoNewPrivs 0", "status NoNewPrivs 1"),
            ("status Umask 0000", "status Umask 0022"),
            ("status Groups 0 5", "status Groups 0"),
            ("limits NOFILE-hard unlimited", "limits NOFILE-hard 1024"),
            ("process oom_score_adj -500", "process oom_score_adj 0"),
            ("process uid_map 0 0 4294967295", "process uid_map 0 586678272 65536"),
            ("namespaces user the-host's", "namespaces user own"),
            (
                "settings net/ipv4/ip_unprivileged_port_start 0",
                "settings net/ipv4/ip_unprivileged_port_start 1024",
            ),
            ("settings net/ipv4/ping_group_range 0 2147483647", "settings net/ipv4/ping_group_range 0 65535"),
            ("groups pids.max max", "groups pids.max 2048"),
            ("groups pids/path the-host's", "groups pids/path /"),
            ("groups pids/mkdir ok", "groups pids/mkdir EROFS"),
            ("devices null c:1:3 0666 0:0", "devices null c:1:3 0600 0:0"),
            ("devices shm folder 0777", "devices shm folder 1777"),
            ("made-devices mem ok", "made-devices mem EPERM"),
            ("made-devices tty ENXIO", "made-devices tty no-node EPERM"),
            ("attempts bpf ok", "attempts bpf ENOSYS"),
            ("attempts reboot EINVAL", "attempts reboot EPERM"),
            ("x86_64-socket 38 allow", "x86_64-socket 38 EPERM"),
            ("mounts /x tmpfs rw,nosuid private -", "mounts /x tmpfs rw,nosuid,nodev private -"),
        ] {
            assert_one_way(looser, tighter);
        }
    }

    #[test]
    fn what_docker_has_not_is_looser_and_what_it_hides_must_be_hidden() {
        let none = "";
        for more in [
            "descriptors 3 file",
            "variables SECRET x",
            "devices mem c:1:1 0600 0:0",
            "groups c/10:200/rwm allowed",
            "mounts /x ext4 ro,nosuid,nodev,noexec private -",
            "something new here",
        ] {
            assert_eq!(verdict(none, more), Verdict::Looser, "{more}");
        }
        assert_eq!(verdict("masked /proc/keys yes", none), Verdict::Looser);
        assert_eq!(verdict("read-only /proc/asound yes", none), Verdict::Looser);
        assert_eq!(verdict("mounts /proc/sys proc ro,nosuid private -", none), Verdict::Looser);
        assert_eq!(verdict(none, "masked /proc/more yes"), Verdict::Tighter);
        assert_eq!(verdict("descriptors 3 file", none), Verdict::Tighter);
        // A difference that no rule knows.
        assert_eq!(verdict("settings kernel/sem 1", "settings kernel/sem 2"), Verdict::Looser);
    }
}
