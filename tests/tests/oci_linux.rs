//! What a configuration says of Linux, as the container and the kernel show it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::ffi::OsString;
use std::fs;
use std::io::{IoSliceMut, Read as _};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::net::{RecvAncillaryBuffer, RecvFlags, recvmsg};
use serde_json::{Value, json};
use tinyd_tests::oci::Oci;
use tinyd_tests::{Env, proc, require, roots};

fn mounts(config: &mut Value) -> &mut Vec<Value> {
    config["mounts"].as_array_mut().unwrap()
}

fn tmpfs(target: &str, options: &[&str]) -> Value {
    json!({ "destination": target, "type": "tmpfs", "source": "tmpfs", "options": options })
}

/// A root of the test's own, whose places may be made.
fn own_root(env: &Env, config: &mut Value) {
    config["root"] = json!({ "path": roots::copy_of_busybox(env), "readonly": false });
}

#[test]
fn the_root_is_relative_to_the_bundle_and_read_only_where_it_is_said() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let root = roots::copy_of_busybox(&env);
    let script = "touch /made 2> /dev/null && echo written || echo refused";
    for (name, readonly, said) in
        [("yes", json!(true), "refused"), ("no", json!(false), "written"), ("unsaid", Value::Null, "written")]
    {
        let bundle = oci.bundle(name, &["sh", "-c", script], |config| {
            config["root"] = json!({ "path": "rootfs" });
            if !readonly.is_null() {
                config["root"]["readonly"] = readonly;
            }
        });
        fs::rename(&root, bundle.join("rootfs")).unwrap();
        assert_eq!(oci.run_bundle(&bundle).ok().text(), said, "{name}");
        fs::rename(bundle.join("rootfs"), &root).unwrap();
    }
    for (name, root, part) in
        [("none", Value::Null, "root"), ("file", json!({ "path": "config.json" }), "root.path")]
    {
        let bundle = oci.bundle(name, &["true"], |config| config["root"] = root);
        assert!(oci.create(&bundle).fails(1).stderr().contains(part), "{name}");
    }
}

#[test]
fn what_is_masked_shows_nothing_and_what_is_read_only_takes_nothing() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let root = roots::copy_of_busybox(&env);
    fs::create_dir_all(root.join("folder/below")).unwrap();
    for file in ["file", "folder/file", "folder/below/file", "kept/file"] {
        fs::create_dir_all(root.join("kept")).unwrap();
        fs::write(root.join(file), "secret\n").unwrap();
    }
    for (name, kind) in [("char", "c"), ("fifo", "p"), ("block", "b")] {
        let numbers: &[&str] = if kind == "p" { &[] } else { &["0", "0"] };
        let words = ["mknod", root.join(name).to_str().unwrap(), kind].map(str::to_owned);
        env.other(words.into_iter().chain(numbers.iter().map(|one| (*one).to_owned()))).output().ok();
    }
    let script = "cat /file | wc -c; ls -A /folder | wc -l; for d in char fifo block; do cat /$d | wc -c; done; \
                  cat /kept/file; echo x 2> /dev/null > /kept/new || echo refused; echo x 2> /dev/null > /kept/file || echo refused";
    let output = oci.look("one", script, |config| {
        config["root"] = json!({ "path": root, "readonly": false });
        let masked = ["/file", "/folder/below/file", "/folder", "/char", "/fifo", "/block", "/no/such"];
        config["linux"]["maskedPaths"] = json!(masked);
        config["linux"]["readonlyPaths"] = json!(["/kept", "/no/such"]);
    });
    assert_eq!(output.ok().stdout(), "0\n0\n0\n0\n0\nsecret\nrefused\nrefused\n");
    assert_eq!(fs::read_to_string(root.join("file")).unwrap(), "secret\n");
    for list in ["maskedPaths", "readonlyPaths"] {
        let bundle = oci.bundle(list, &["true"], |config| config["linux"][list] = json!(["relative"]));
        let output = oci.create(&bundle).fails(1);
        assert!(output.stderr().contains(&format!("linux.{list}")), "{output}");
    }
}

#[test]
fn names_and_settings_of_the_kernel_are_the_containers_own() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let script = "hostname; cat /proc/sys/kernel/domainname /proc/sys/net/ipv4/ip_forward /proc/sys/net/core/somaxconn";
    let output = oci.look("one", script, |config| {
        config["hostname"] = "mrs".into();
        config["domainname"] = "example.test".into();
        config["linux"]["sysctl"] = json!({ "net.ipv4.ip_forward": "1", "net.core.somaxconn": "256" });
    });
    assert_eq!(output.ok().stdout(), "mrs\nexample.test\n1\n256\n");
    for (name, setting) in [("host", "kernel.panic"), ("unknown", "net.nosuch"), ("way", "../net.x")] {
        let bundle =
            oci.bundle(name, &["true"], |config| config["linux"]["sysctl"] = json!({ setting: "1" }));
        let output = oci.create(&bundle).fails(1);
        let as_file = setting.replace("net.", "net/");
        assert!(output.stderr().contains(setting) || output.stderr().contains(&as_file), "{output}");
    }
    let bundle = oci.bundle("hosts", &["true"], |config| {
        config["linux"]["namespaces"].as_array_mut().unwrap().retain(|one| one["type"] != "uts");
    });
    assert!(oci.create(&bundle).fails(1).stderr().contains("hostname"));
}

#[test]
fn devices_and_links_that_every_container_has_are_there() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let script = "for d in null zero full random urandom tty ptmx; do test -c /dev/$d || echo $d is missing; done; \
                  for l in fd stdin stdout stderr; do readlink /dev/$l; done; \
                  for p in /proc /sys /dev/pts /dev/shm; do stat -f -c %T $p; done; head -c 1 /dev/zero | wc -c";
    let expected = "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\nproc\nsysfs\n";
    let said = oci.look("one", script, |_| {}).ok().stdout();
    assert!(said.starts_with(expected) && said.ends_with("tmpfs\n1\n"), "{said}");
}

#[test]
fn every_kind_of_namespace_is_new_and_ids_are_mapped_as_they_are_written() {
    require!(root);
    require!(program);
    require!(userns);
    let env = Env::new();
    let oci = Oci::of(&env);
    let root = roots::copy_of_busybox(&env);
    let bundle = oci.bundle("one", &["sleep", "1000"], |config| {
        config["root"]["path"] = json!(root);
        let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.push(json!({ "type": "user" }));
        namespaces.push(json!({ "type": "time" }));
        let map = json!([
            { "containerID": 0, "hostID": 1000, "size": 100 }, { "containerID": 100, "hostID": 5000, "size": 900 },
        ]);
        config["linux"]["uidMappings"] = map.clone();
        config["linux"]["gidMappings"] = map;
        config["mounts"].as_array_mut().unwrap().retain(|one| one["destination"] != "/sys/fs/cgroup");
    });
    let owner = fs::metadata(&root).map(|found| std::os::unix::fs::MetadataExt::uid(&found)).unwrap();
    oci.launch(&bundle);
    let pid = oci.pid("one");
    for kind in ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts", "time"] {
        assert_ne!(proc::namespace(pid, kind).unwrap(), proc::own_namespace(kind).unwrap(), "{kind}");
    }
    for map in ["uid_map", "gid_map"] {
        let text = fs::read_to_string(format!("/proc/{pid}/{map}")).unwrap();
        let numbers: Vec<_> = text.split_whitespace().collect();
        assert_eq!(numbers, ["0", "1000", "100", "100", "5000", "900"], "{map}");
    }
    oci.run(["delete", "--force", "one"]).ok();
    // The files keep their owner.
    assert_eq!(fs::metadata(&root).map(|found| std::os::unix::fs::MetadataExt::uid(&found)).unwrap(), owner);
}

#[test]
fn mounts_are_made_in_their_order_and_may_be_changed_afterwards() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let source = env.files().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), "seen\n").unwrap();
    let bind = |target: &str, options: &[&str]| json!({ "destination": target, "type": "none", "source": source, "options": options });
    let shown = "grep -E ' /(x|y|z)[ /]' /proc/self/mountinfo | cut -d' ' -f5,6; cat /y/in/file; ls /z; df /x | tail -1 | awk '{print $2}'";
    let output = oci.look("one", shown, |config| {
        own_root(&env, config);
        mounts(config).extend([
            tmpfs("/x", &["size=64k"]),
            tmpfs("/y", &[]),
            bind("/y/in", &["bind", "rw"]),
            bind("/z/in", &["bind"]),
            // Over what lies below it.
            tmpfs("/z", &[]),
            tmpfs("/x", &["remount", "ro", "nosuid", "size=128k"]),
            bind("/y/in", &["remount", "bind", "ro", "noexec"]),
        ]);
    });
    let said = output.ok().stdout();
    for line in ["/x ro,nosuid,relatime", "/y rw,relatime", "/y/in ro,noexec,relatime", "seen", "128"] {
        assert!(said.lines().any(|found| found == line), "{line}: {said}");
    }
    assert!(!said.lines().any(|line| line == "in"), "{said}");
    // Passed on to a file system that is made already, they are nobody's; that is told.
    let output = oci.look("words", "ls /x", |config| {
        own_root(&env, config);
        mounts(config).push(bind("/x", &["bind", "ro", "mode=755", "size=1k"]));
    });
    let told = output.stderr();
    assert!(output.stdout() == "file\n" && told.contains("/x: a bind has no options mode,size"), "{output}");
    for (name, mount, part) in [
        ("nothing", tmpfs("/etc", &["remount", "ro"]), "mount /etc"),
        ("options", bind("/x", &["remount", "bind", "size=1k"]), "a bind has no options of a file system"),
        ("ids", tmpfs("/x", &["remount", "idmap"]), "are for new mounts"),
    ] {
        let bundle = oci.bundle(name, &["true"], |config| mounts(config).push(mount));
        let output = oci.create(&bundle).fails(1);
        assert!(output.stderr().contains(part), "{output}");
    }
}

#[test]
fn mountinfo_lists_the_mounts_as_the_configuration_does() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let source = env.files().join("source");
    fs::create_dir(&source).unwrap();
    let bind = |target: &str| json!({ "destination": target, "type": "bind", "source": source, "options": ["rbind"] });
    // What the container's namespaces make and what the host has, by turns.
    let mut expected = vec!["/".to_owned()];
    let bundle = oci.bundle("one", &["cut", "-d ", "-f5", "/proc/self/mountinfo"], |config| {
        own_root(&env, config);
        config["linux"]["maskedPaths"] = json!([]);
        config["linux"]["readonlyPaths"] = json!([]);
        let all = mounts(config);
        all.retain(|mount| mount["destination"] != "/sys/fs/cgroup");
        let cgroup = json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"] });
        all.extend([bind("/a"), tmpfs("/b", &[]), tmpfs("/c", &[]), cgroup, bind("/d"), tmpfs("/e", &[])]);
        expected.extend(all.iter().map(|mount| mount["destination"].as_str().unwrap().to_owned()));
    });
    for _ in 0..5 {
        let output = oci.run_bundle(&bundle);
        // Below the folder of the control groups lies one mount for each hierarchy of version 1.
        let said = output.ok().stdout();
        let found: Vec<_> = said.lines().filter(|line| !line.starts_with("/sys/fs/cgroup/")).collect();
        assert_eq!(found, expected, "{said}");
    }
    let failed = oci.bundle("two", &["true"], |config| {
        mounts(config).extend([bind("/a"), tmpfs("/b", &["size=no-size"]), bind("/c")]);
    });
    let output = oci.run_bundle(&failed).fails(1);
    assert!(output.stderr().contains("/b"), "{output}");
}

/// A folder on a mount that spreads, with another such mount below it; they are there for the command that this stands before.
fn tree_of_mounts(folder: &Path) -> [String; 7] {
    let script = format!(
        "cd {}; mount --bind . .; cd .; mount --make-shared $PWD; mkdir -p sub; mount -t tmpfs below sub; touch sub/file; cd /; exec \"$@\"",
        folder.display()
    );
    ["unshare", "-m", "--propagation", "private", "sh", "-c", &script].map(str::to_owned)
}

#[test]
fn what_is_said_of_a_bind_holds_below_it_where_that_is_said_too() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env).mapped(true);
    let source = env.files().join("source");
    fs::create_dir(&source).unwrap();
    let see = |name: &str, script: &str, options: &[&str], ids: Option<u32>| {
        let bundle = oci.bundle(name, &["sh", "-c", script], |config| {
            let mut one =
                json!({ "destination": "/mnt", "type": "bind", "source": source, "options": options });
            if let Some(id) = ids {
                let map = json!([{ "containerID": 0, "hostID": 100_000 + id, "size": 1 }]);
                (one["uidMappings"], one["gidMappings"]) = (map.clone(), map);
            }
            mounts(config).push(one);
        });
        let words = [OsString::from("run"), "-b".into(), bundle.into(), name.into()];
        let tree = tree_of_mounts(&source);
        oci.cmd(words).under(["sh".to_owned()]).under(tree).output().ok().stdout()
    };
    let spreads = "awk '$5 ~ \"^/mnt\" { print $5, $7 }' /proc/self/mountinfo | sed 's/:.*//'";
    for (word, top, below) in [
        ("slave", "master", "master"),
        ("rslave", "master", "master"),
        ("private", "-", "master"),
        ("rprivate", "-", "-"),
        ("unbindable", "unbindable", "master"),
        ("runbindable", "unbindable", "unbindable"),
    ] {
        let said = see(word, spreads, &["rbind", word], None);
        assert_eq!(said, format!("/mnt {top}\n/mnt/sub {below}\n"), "{word}");
    }
    // Root's files on the host are the container's user 7's; those that are nobody's here have the overflow id.
    let owners = "stat -c %u /mnt /mnt/sub/file";
    for (name, options, below) in [
        ("plain", &["rbind"][..], "65534"),
        ("idmap", &["rbind", "idmap"], "65534"),
        ("ridmap", &["rbind", "ridmap"], "7"),
    ] {
        assert_eq!(see(name, owners, options, Some(7)), format!("7\n{below}\n"), "{name}");
    }
}

#[test]
fn a_filter_need_allow_no_more_than_its_command_does() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    // What a static program asks for that writes a word.
    let own = [
        "execve",
        "arch_prctl",
        "write",
        "exit_group",
        "brk",
        "mprotect",
        "mmap",
        "uname",
        "readlink",
        "set_tid_address",
        "set_robust_list",
        "rseq",
        "prlimit64",
        "getrandom",
        "fstat",
        "getuid",
        "prctl",
        "nanosleep",
        "clock_nanosleep",
        "fstatat",
        "newfstatat",
    ];
    let narrow = |config: &mut Value| {
        config["process"]["noNewPrivileges"] = json!(true);
        config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        profile(config, "SCMP_ACT_ERRNO", &json!([{ "names": own, "action": "SCMP_ACT_ALLOW" }]));
    };
    for said in oci.in_each_way("narrow", &["echo", "word"], &[], narrow) {
        assert_eq!(said.text(), "word\n");
    }
    for said in oci.in_each_way("missing", &["/missing"], &[], narrow) {
        said.refused(&["/missing"]);
    }
}

fn profile(config: &mut Value, default: &str, rules: &Value) {
    config["linux"]["seccomp"] = json!({ "defaultAction": default, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], "syscalls": rules });
}

#[test]
fn a_filter_answers_as_its_profile_says() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let script = "mkdir /tmp/x; echo $?; sync; echo $?; kill -0 $$; echo $?; kill -10 $$ && echo other; sethostname_is_not_here 2> /dev/null; hostname x";
    let output = oci.look("one", script, |config| {
        profile(config, "SCMP_ACT_ALLOW", &json!([
            { "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28 },
            { "names": ["sync"], "action": "SCMP_ACT_ALLOW" },
            { "names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{ "index": 1, "value": 10, "op": "SCMP_CMP_EQ" }] },
            { "names": ["sethostname"], "action": "SCMP_ACT_KILL_PROCESS" },
        ]));
    });
    assert!(output.stdout().starts_with("1\n0\n0\n") && !output.stdout().contains("other"), "{output}");
    assert!(
        output.stderr().contains("No space left") && output.stderr().contains("not permitted"),
        "{output}"
    );
    // SIGSYS.
    assert_eq!(output.code(), Some(128 + 31), "{output}");
    type Rules = (&'static str, &'static str, Value, &'static str);
    let cases: [Rules; 6] = [
        (
            "errno",
            "SCMP_ACT_ALLOW",
            json!([{ "names": ["sync"], "action": "SCMP_ACT_LOG", "errnoRet": 1 }]),
            "an errno is given for Log",
        ),
        (
            "names",
            "SCMP_ACT_ALLOW",
            json!([{ "names": [], "action": "SCMP_ACT_ERRNO" }]),
            "one names no call",
        ),
        ("action", "SCMP_ACT_ALLOW", json!([{ "names": ["sync"], "action": "SCMP_ACT_X" }]), "SCMP_ACT_X"),
        ("default", "SCMP_ACT_NOTIFY", json!([]), "SCMP_ACT_NOTIFY"),
        (
            "index",
            "SCMP_ACT_ALLOW",
            json!([{ "names": ["sync"], "action": "SCMP_ACT_ERRNO", "args": [{ "index": 6, "value": 0, "op": "SCMP_CMP_EQ" }] }]),
            "argument 6",
        ),
        (
            "operator",
            "SCMP_ACT_ALLOW",
            json!([{ "names": ["sync"], "action": "SCMP_ACT_ERRNO", "args": [{ "index": 0, "value": 0, "op": "SCMP_CMP_X" }] }]),
            "SCMP_CMP_X",
        ),
    ];
    for (name, default, rules, part) in cases {
        let bundle = oci.bundle(name, &["true"], |config| profile(config, default, &rules));
        let output = oci.create(&bundle).fails(1);
        assert!(output.stderr().contains(part), "{output}");
    }
    let bundle = oci.bundle("flag", &["true"], |config| {
        profile(config, "SCMP_ACT_ALLOW", &json!([]));
        config["linux"]["seccomp"]["flags"] = json!(["SECCOMP_FILTER_FLAG_X"]);
    });
    assert!(oci.create(&bundle).fails(1).stderr().contains("SECCOMP_FILTER_FLAG_X"));
}

/// What an agent is told and with how many descriptors, and whether its connection ends with that.
fn hear(agent: &UnixListener) -> (Value, usize, bool) {
    let (mut connection, _) = agent.accept().unwrap();
    let mut text = vec![0; 65536];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let slices = &mut [IoSliceMut::new(&mut text)];
    let length = recvmsg(&connection, slices, &mut control, RecvFlags::CMSG_CLOEXEC).unwrap().bytes;
    let count = control.drain().map(|message| match message {
        rustix::net::RecvAncillaryMessage::ScmRights(rights) => rights.count(),
        _ => 0,
    });
    let count = count.sum();
    let mut rest = Vec::new();
    let ended = connection.read_to_end(&mut rest).is_ok() && rest.is_empty();
    (serde_json::from_slice(&text[..length]).unwrap(), count, ended)
}

#[test]
fn an_agent_is_told_of_a_container_when_it_is_created() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    for (name, restricted) in [("restricted", true), ("open", false)] {
        let socket = env.files().join(name).with_extension("agent");
        let agent = UnixListener::bind(&socket).unwrap();
        let bundle = oci.bundle(name, &["sh", "-c", "mkdir /tmp/x; exit 9"], |config| {
            config["process"]["noNewPrivileges"] = restricted.into();
            profile(
                config,
                "SCMP_ACT_ALLOW",
                &json!([{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY" }]),
            );
            config["linux"]["seccomp"]["listenerPath"] = json!(socket);
            config["linux"]["seccomp"]["listenerMetadata"] = "opaque".into();
            config["annotations"] = json!({ "k": "v" });
        });
        oci.create(&bundle).ok();
        let (told, count, ended) = hear(&agent);
        let state = oci.state(name);
        assert_eq!((count, ended), (1, true));
        assert_eq!((&told["ociVersion"], &told["fds"]), (&json!("1.3.0"), &json!(["seccompFd"])));
        assert_eq!((&told["metadata"], &told["pid"]), (&json!("opaque"), &state["pid"]));
        for part in ["ociVersion", "id", "pid", "bundle", "annotations"] {
            assert_eq!(told["state"][part], state[part], "{part}");
        }
        assert_eq!((&told["state"]["status"], &state["status"]), (&json!("creating"), &json!("created")));
        let pid = oci.pid(name);
        assert_eq!(proc::status(pid, "Seccomp").as_deref(), Some("2"));
        // Nobody has the descriptor any more: calls that are asked about are refused, and the command ends by itself.
        oci.run(["start", name]).ok();
        tinyd_tests::wait_until("it has stopped", || oci.status(name) == "stopped");
        oci.run(["delete", name]).ok();
    }
    let bundle = oci.bundle("nobody", &["true"], |config| {
        profile(config, "SCMP_ACT_ALLOW", &json!([{ "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" }]));
        config["linux"]["seccomp"]["listenerPath"] = "/no/such/agent".into();
    });
    assert!(oci.create(&bundle).fails(1).stderr().contains("/no/such/agent"));
    assert!(!oci.root().join("nobody").exists());
}

/// As other runtimes have it: a tmpfs of which nothing else is said has the rights of the folder that it covers.
#[test]
fn a_file_system_in_memory_has_the_rights_of_its_place() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let output = oci.look(
        "one",
        "stat -c %a /etc /none /tmp /dev/shm; touch /etc/x 2> /dev/null || echo refused",
        |config| {
            own_root(&env, config);
            mounts(config).extend([
                tmpfs("/etc", &["ro"]),
                tmpfs("/none", &[]),
                tmpfs("/tmp", &["mode=700"]),
            ]);
            // A new /dev has no such folders.
            mounts(config).retain(|mount| mount["destination"] != "/dev/shm");
            mounts(config).push(tmpfs("/dev/shm", &[]));
        },
    );
    assert_eq!(output.ok().stdout(), "755\n1777\n700\n1777\nrefused\n");
}

/// As Podman gives it to a container whose root is read-only and that has no file systems in memory.
#[test]
fn a_dev_may_be_read_only() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let script = "touch /dev/x || echo refused; echo x > /dev/null && ls -d /dev/shm";
    let output = oci.look("one", script, |config| {
        let dev = mounts(config).iter_mut().find(|mount| mount["destination"] == "/dev").unwrap();
        dev["options"].as_array_mut().unwrap().push(json!("ro"));
    });
    assert_eq!(output.ok().stdout(), "refused\n/dev/shm\n");
}
