//! A configuration that is wrong is refused by `create` in one line that names the property, and leaves nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tinyd_tests::oci::{Oci, bind};
use tinyd_tests::proc::{cgroups, mounts};
use tinyd_tests::{Env, Output, require};

/// What is wrong, and a part of what is said about it.
type Case = (&'static str, &'static str, fn(&mut Value));

fn set(config: &mut Value, pointer: &str, value: Value) {
    let (above, name) = pointer.rsplit_once('/').unwrap();
    let mut place = config;
    for part in above.split('/').skip(1) {
        place = &mut place[part];
    }
    place[name] = value;
}

fn remove(config: &mut Value, above: &str, name: &str) {
    config.pointer_mut(above).unwrap().as_object_mut().unwrap().remove(name).unwrap();
}

fn mount(config: &mut Value, mount: Value) {
    config["mounts"].as_array_mut().unwrap().push(mount);
}

fn namespace(config: &mut Value, namespace: Value) {
    config["linux"]["namespaces"].as_array_mut().unwrap().push(namespace);
}

fn without_namespace(config: &mut Value, kind: &str) {
    config["linux"]["namespaces"].as_array_mut().unwrap().retain(|one| one["type"] != kind);
}

const OF_THE_WHOLE: [Case; 16] = [
    ("ociVersion", "ociVersion", |c| remove(c, "", "ociVersion")),
    ("version-none", "ociVersion", |c| set(c, "/ociVersion", json!(""))),
    ("version-two", "ociVersion", |c| set(c, "/ociVersion", json!("2.0.0"))),
    ("version-number", "ociVersion", |c| set(c, "/ociVersion", json!(1))),
    ("root", "root", |c| remove(c, "", "root")),
    ("root-path", "root.path", |c| remove(c, "/root", "path")),
    ("root-empty", "root.path", |c| set(c, "/root/path", json!(""))),
    ("root-gone", "root.path", |c| set(c, "/root/path", json!("/no/such/folder"))),
    ("root-file", "root.path", |c| set(c, "/root/path", json!("/etc/hostname"))),
    ("root-number", "root.path", |c| set(c, "/root/path", json!(7))),
    ("root-zero", "root.path", |c| set(c, "/root/path", json!("/a\0b"))),
    ("hostname-long", "hostname", |c| set(c, "/hostname", json!("x".repeat(65)))),
    ("hostname-zero", "hostname", |c| set(c, "/hostname", json!("a\0b"))),
    ("hostname-of-the-host", "hostname", |c| without_namespace(c, "uts")),
    ("domainname-long", "domainname", |c| set(c, "/domainname", json!("x".repeat(65)))),
    ("annotations", "annotations.a", |c| set(c, "/annotations", json!({ "a": 1 }))),
];

const OF_THE_PROCESS: [Case; 33] = [
    ("args", "command", |c| remove(c, "/process", "args")),
    ("args-empty", "command", |c| set(c, "/process/args", json!([]))),
    ("args-number", "process.args", |c| set(c, "/process/args", json!([1]))),
    ("args-zero", "process.args", |c| set(c, "/process/args", json!(["a\0b"]))),
    ("args-nothing", "is no program", |c| set(c, "/process/args", json!([""]))),
    ("args-gone", "/no/such", |c| set(c, "/process/args", json!(["/no/such"]))),
    ("args-folder", "/etc", |c| set(c, "/process/args", json!(["/etc"]))),
    ("cwd", "process.cwd: is missing", |c| remove(c, "/process", "cwd")),
    ("cwd-relative", "process.cwd", |c| set(c, "/process/cwd", json!("a"))),
    ("cwd-empty", "process.cwd", |c| set(c, "/process/cwd", json!(""))),
    ("cwd-file", "/etc/passwd", |c| set(c, "/process/cwd", json!("/etc/passwd"))),
    ("env", "process.env", |c| set(c, "/process/env", json!(["A"]))),
    ("env-zero", "process.env", |c| set(c, "/process/env", json!(["A=\0"]))),
    ("env-map", "process.env", |c| set(c, "/process/env", json!({ "A": "b" }))),
    ("uid-negative", "process.user.uid", |c| set(c, "/process/user/uid", json!(-1))),
    ("uid-text", "process.user.uid", |c| set(c, "/process/user/uid", json!("root"))),
    ("uid-large", "process.user.uid", |c| set(c, "/process/user/uid", json!(4_294_967_296_u64))),
    ("gid-unchanged", "process.user", |c| set(c, "/process/user/gid", json!(u32::MAX))),
    ("groups", "process.user.additionalGids", |c| set(c, "/process/user/additionalGids", json!([1, -1]))),
    ("umask", "process.user.umask", |c| set(c, "/process/user/umask", json!("022"))),
    ("terminal", "process.terminal", |c| set(c, "/process/terminal", json!("yes"))),
    ("terminal-nobodys", "--console-socket", |c| set(c, "/process/terminal", json!(true))),
    ("console-size", "process.consoleSize", |c| {
        set(c, "/process/consoleSize", json!({ "height": -1, "width": 1 }))
    }),
    ("rlimit-unknown", "process.rlimits", |c| {
        set(c, "/process/rlimits", json!([{ "type": "RLIMIT_NOPE", "soft": 1, "hard": 1 }]));
    }),
    ("rlimit-twice", "process.rlimits", |c| {
        let one = json!({ "type": "RLIMIT_CORE", "soft": 1, "hard": 1 });
        set(c, "/process/rlimits", json!([one, one]));
    }),
    ("rlimit-soft", "RLIMIT_CORE", |c| {
        set(c, "/process/rlimits", json!([{ "type": "RLIMIT_CORE", "soft": 2, "hard": 1 }]));
    }),
    ("capabilities", "process.capabilities", |c| set(c, "/process/capabilities/bounding", json!("CAP_KILL"))),
    ("oom-score", "process.oomScoreAdj", |c| set(c, "/process/oomScoreAdj", json!(1001))),
    ("scheduler", "process.scheduler", |c| set(c, "/process/scheduler", json!({ "policy": "SCHED_NOPE" }))),
    ("io-priority", "process.ioPriority", |c| {
        set(c, "/process/ioPriority", json!({ "class": "IOPRIO_CLASS_BE", "priority": 8 }));
    }),
    ("affinity", "process.execCPUAffinity", |c| {
        set(c, "/process/execCPUAffinity", json!({ "initial": "x" }))
    }),
    ("apparmor", "process.apparmorProfile", |c| set(c, "/process/apparmorProfile", json!(["a"]))),
    ("no-new-privileges", "process.noNewPrivileges", |c| set(c, "/process/noNewPrivileges", json!(1))),
];

const OF_MOUNTS: [Case; 16] = [
    ("destination", "mounts[", |c| mount(c, json!({ "type": "tmpfs" }))),
    ("destination-zero", "mounts", |c| mount(c, json!({ "destination": "/a\0b", "type": "tmpfs" }))),
    ("destination-root", "mounts: /..", |c| mount(c, json!({ "destination": "/..", "type": "tmpfs" }))),
    ("type", "mounts: /mnt", |c| mount(c, json!({ "destination": "/mnt" }))),
    ("type-none", "mounts: /mnt", |c| mount(c, json!({ "destination": "/mnt", "type": "none" }))),
    ("type-unknown", "mount /mnt", |c| mount(c, json!({ "destination": "/mnt", "type": "nosuchfs" }))),
    ("source", "mounts: /mnt", |c| mount(c, json!({ "destination": "/mnt", "type": "bind" }))),
    ("source-gone", "/no/such/source", |c| bind(c, "/no/such/source", "/mnt")),
    ("source-zero", "bind", |c| bind(c, "/a\0b", "/mnt")),
    ("source-file", "mount /mnt", |c| bind(c, "/etc/hostname", "/mnt")),
    ("option-number", "mounts[", |c| {
        mount(c, json!({ "destination": "/mnt", "type": "tmpfs", "options": [1] }))
    }),
    ("option-of-tmpfs", "mount /mnt", |c| {
        mount(c, json!({ "destination": "/mnt", "type": "tmpfs", "options": ["size=many"] }));
    }),
    ("copy-up", "mounts: /mnt", |c| {
        mount(
            c,
            json!({ "destination": "/mnt", "type": "bind", "source": "/etc", "options": ["tmpcopyup"] }),
        );
    }),
    ("maps-alone", "mounts: /mnt", |c| {
        let maps = json!([{ "containerID": 0, "hostID": 1, "size": 1 }]);
        mount(c, json!({ "destination": "/mnt", "type": "bind", "source": "/etc", "uidMappings": maps }));
    }),
    ("maps-nobodys", "mounts: /mnt", |c| {
        mount(c, json!({ "destination": "/mnt", "type": "bind", "source": "/etc", "options": ["idmap"] }));
    }),
    ("many", "mounts: there are more than", |c| {
        (0..201)
            .for_each(|number| mount(c, json!({ "destination": format!("/mnt/{number}"), "type": "tmpfs" })));
    }),
];

const OF_LINUX: [Case; 27] = [
    ("linux", "linux", |c| remove(c, "", "linux")),
    ("namespace-unknown", "linux.namespaces[", |c| namespace(c, json!({ "type": "nope" }))),
    ("namespace-twice", "linux.namespaces: pid", |c| namespace(c, json!({ "type": "pid" }))),
    ("namespace-mount", "linux.namespaces: mount", |c| without_namespace(c, "mount")),
    ("namespace-relative", "linux.namespaces", |c| namespace(c, json!({ "type": "time", "path": "a" }))),
    ("namespace-gone", "/no/such/ns", |c| namespace(c, json!({ "type": "time", "path": "/no/such/ns" }))),
    ("maps-nobodys", "linux.uidMappings", |c| {
        set(c, "/linux/uidMappings", json!([{ "containerID": 0, "hostID": 1, "size": 1 }]));
    }),
    ("maps-missing", "linux.uidMappings", |c| namespace(c, json!({ "type": "user" }))),
    ("maps-empty", "linux.uidMappings", |c| {
        namespace(c, json!({ "type": "user" }));
        let none = json!([{ "containerID": 0, "hostID": 1, "size": 0 }]);
        set(c, "/linux/uidMappings", none.clone());
        set(c, "/linux/gidMappings", none);
    }),
    ("maps-negative", "linux.uidMappings[0].hostID", |c| {
        set(c, "/linux/uidMappings", json!([{ "containerID": 0, "hostID": -1, "size": 1 }]));
    }),
    ("device-path", "linux.devices", |c| {
        set(c, "/linux/devices", json!([{ "path": "x", "type": "c", "major": 1, "minor": 3 }]));
    }),
    ("device-type", "linux.devices[0].type", |c| {
        set(c, "/linux/devices", json!([{ "path": "/dev/x", "type": "q", "major": 1, "minor": 3 }]));
    }),
    ("device-number", "linux.devices", |c| {
        set(c, "/linux/devices", json!([{ "path": "/dev/x", "type": "c", "major": -1, "minor": 3 }]));
    }),
    ("group-above", "linux.cgroupsPath", |c| set(c, "/linux/cgroupsPath", json!("/../x"))),
    ("group-all", "linux.cgroupsPath", |c| set(c, "/linux/cgroupsPath", json!("/"))),
    ("group-number", "linux.cgroupsPath", |c| set(c, "/linux/cgroupsPath", json!(1))),
    ("setting", "linux.sysctl", |c| set(c, "/linux/sysctl", json!({ "kernel.core_pattern": "|/x" }))),
    ("setting-unknown", "net/nope", |c| set(c, "/linux/sysctl", json!({ "net.nope": "1" }))),
    ("setting-number", "linux.sysctl", |c| set(c, "/linux/sysctl", json!({ "kernel.shmmax": 1 }))),
    ("propagation", "linux.rootfsPropagation", |c| set(c, "/linux/rootfsPropagation", json!("loud"))),
    ("masked", "linux.maskedPaths", |c| set(c, "/linux/maskedPaths", json!([1]))),
    ("masked-zero", "linux.maskedPaths", |c| set(c, "/linux/maskedPaths", json!(["/proc/a\0b"]))),
    ("read-only", "linux.readonlyPaths", |c| set(c, "/linux/readonlyPaths", json!("/proc/sys"))),
    ("clocks", "linux.timeOffsets", |c| set(c, "/linux/timeOffsets", json!({ "monotonic": { "secs": 1 } }))),
    ("personality", "linux.personality", |c| set(c, "/linux/personality", json!({ "domain": "MINIX" }))),
    ("intel", "linux.intelRdt", |c| set(c, "/linux/intelRdt", json!({ "closID": "x" }))),
    ("net-devices", "nosuchlink", |c| set(c, "/linux/netDevices", json!({ "nosuchlink": {} }))),
];

const OF_RESOURCES: [Case; 13] = [
    ("memory-text", "linux.resources.memory.limit", |c| {
        set(c, "/linux/resources/memory/limit", json!("64M"))
    }),
    ("memory-small", "memory", |c| set(c, "/linux/resources/memory/limit", json!(1))),
    ("swappiness", "linux.resources.memory.swappiness", |c| {
        set(c, "/linux/resources/memory/swappiness", json!(101))
    }),
    ("hierarchy", "linux.resources.memory.useHierarchy", |c| {
        set(c, "/linux/resources/memory/useHierarchy", json!(false));
    }),
    ("idle", "linux.resources.cpu.idle", |c| set(c, "/linux/resources/cpu/idle", json!(2))),
    ("shares", "linux.resources.cpu.shares", |c| set(c, "/linux/resources/cpu/shares", json!(-1))),
    ("cpus", "cpus", |c| set(c, "/linux/resources/cpu/cpus", json!("x"))),
    ("quota", "quota", |c| set(c, "/linux/resources/cpu/quota", json!(1))),
    ("pids", "linux.resources.pids.limit", |c| set(c, "/linux/resources/pids/limit", json!("many"))),
    ("rule", "linux.resources.devices", |c| {
        set(c, "/linux/resources/devices", json!([{ "allow": true, "type": "c", "access": "x" }]));
    }),
    ("rule-number", "linux.resources.devices", |c| {
        set(
            c,
            "/linux/resources/devices",
            json!([{ "allow": true, "type": "c", "major": 4_294_967_296_u64 }]),
        );
    }),
    ("io", "linux.resources.blockIO", |c| {
        set(
            c,
            "/linux/resources/blockIO/throttleReadBpsDevice",
            json!([{ "major": -1, "minor": 0, "rate": 1 }]),
        );
    }),
    ("pages", "huge", |c| {
        set(c, "/linux/resources/hugepageLimits", json!([{ "pageSize": "3KB", "limit": 1 }]))
    }),
];

const OF_THE_FILTER: [Case; 9] = [
    ("action", "linux.seccomp", |c| set(c, "/linux/seccomp", json!({ "defaultAction": "SCMP_ACT_NOPE" }))),
    ("action-missing", "linux.seccomp", |c| set(c, "/linux/seccomp", json!({}))),
    ("text", "linux.seccomp", |c| set(c, "/linux/seccomp", json!("SCMP_ACT_ALLOW"))),
    ("architecture", "linux.seccomp", |c| {
        set(
            c,
            "/linux/seccomp",
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_PDP11"] }),
        );
    }),
    ("operator", "linux.seccomp", |c| {
        let rule = json!({ "names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{ "index": 0, "value": 1, "op": "SCMP_CMP_NOPE" }] });
        set(c, "/linux/seccomp", json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] }));
    }),
    ("argument", "linux.seccomp", |c| {
        let rule = json!({ "names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{ "index": 6, "value": 1, "op": "SCMP_CMP_EQ" }] });
        set(c, "/linux/seccomp", json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] }));
    }),
    ("flag", "linux.seccomp", |c| {
        set(
            c,
            "/linux/seccomp",
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NOPE"] }),
        );
    }),
    ("agent-missing", "linux.seccomp", |c| {
        let rule = json!({ "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" });
        set(c, "/linux/seccomp", json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] }));
    }),
    ("agent-gone", "/no/such/agent", |c| {
        let rule = json!({ "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" });
        set(
            c,
            "/linux/seccomp",
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule], "listenerPath": "/no/such/agent" }),
        );
    }),
];

const OF_HOOKS: [Case; 8] = [
    ("path", "hooks.poststop", |c| set(c, "/hooks/poststop", json!([{ "args": ["a"] }]))),
    ("path-relative", "hooks.startContainer", |c| set(c, "/hooks/startContainer", json!([{ "path": "a" }]))),
    ("path-zero", "hooks.prestart", |c| set(c, "/hooks/prestart", json!([{ "path": "/a\0b" }]))),
    ("args", "hooks.createRuntime[0].args", |c| {
        set(c, "/hooks/createRuntime", json!([{ "path": "/bin/true", "args": "a" }]))
    }),
    ("env-zero", "hooks.poststart", |c| {
        set(c, "/hooks/poststart", json!([{ "path": "/bin/true", "env": ["A=\0"] }]))
    }),
    ("timeout", "hooks.createContainer", |c| {
        set(c, "/hooks/createContainer", json!([{ "path": "/bin/true", "timeout": 0 }]))
    }),
    ("gone", "hook createRuntime /no/such/hook", |c| {
        set(c, "/hooks/createRuntime", json!([{ "path": "/no/such/hook" }]))
    }),
    ("fails", "hook createContainer /bin/false", |c| {
        set(c, "/hooks/createContainer", json!([{ "path": "/bin/false" }]))
    }),
];

/// Texts that are no configuration at all.
const TEXTS: [(&str, &[u8], &str); 10] = [
    ("empty", b"", "EOF"),
    ("half", b"{\"ociVersion\": \"1.2", "EOF"),
    ("list", b"[]", "a list is no object"),
    ("null", b"null", "null is no object"),
    ("number", b"7", "7 is no object"),
    ("bytes", b"{\"ociVersion\": \"\xff\xfe\"}", "invalid unicode"),
    ("more", b"{\"ociVersion\": \"1.2.0\"} {}", "trailing characters"),
    (
        "twice",
        b"{\"ociVersion\": \"1.2.0\", \"ociVersion\": \"1.2.0\", \"process\": 1}",
        "\"ociVersion\" stands twice",
    ),
    ("comment", b"// a\n{}", "expected value at line 1"),
    ("escape", b"{\"ociVersion\": \"\\u001b[2J\\n\"}", "root"),
];

struct Lab<'a> {
    env: &'a Env,
    oci: Oci<'a>,
    complaints: Vec<String>,
}

impl Lab<'_> {
    fn create(&self, bundle: &Path) -> Output {
        let words = [OsString::from("create"), "-b".into(), bundle.into(), "x".into()];
        self.oci.leave(words)
    }

    fn check(&mut self, name: &str, said: &str, bundle: &Path) {
        let output = self.create(bundle);
        let told = output.stderr();
        if output.code() != Some(1) {
            self.complaints.push(format!("{name}: not refused with 1: {output}"));
            self.oci.run(["delete", "--force", "x"]).ok();
        }
        if told.lines().count() != 1 || !told.contains(said) || !told.starts_with("tinyd-runtime: ") {
            self.complaints.push(format!("{name}: not one line with {said:?}: {told}"));
        }
        if told.contains("panicked")
            || told.chars().any(|one| one.is_control() && one != '\n')
            || told.len() > 2000
        {
            self.complaints.push(format!("{name}: nobody can read it: {told}"));
        }
        let left = fs::read_dir(self.oci.root()).map_or(0, Iterator::count);
        let group = format!("{}-{name}", self.env.tag());
        let groups = cgroups::hierarchies().iter().filter(|one| one.mount.join(&group).exists()).count();
        if (left, groups, own_mounts(self.env)) != (0, 0, 0) {
            self.complaints.push(format!("{name}: {left} folders, {groups} groups, or mounts are left"));
        }
    }
}

/// The host's mounts that are this test's.
fn own_mounts(env: &Env) -> usize {
    mounts::of_self().unwrap().iter().filter(|mount| mount.line.contains(env.tag())).count()
}

fn refuses(part: &str, cases: &[Case]) {
    let env = Env::new();
    let mut lab = Lab { env: &env, oci: Oci::of(&env), complaints: Vec::new() };
    for (name, said, change) in cases {
        let name = format!("{part}-{name}");
        let bundle = lab.oci.bundle(&name, &["true"], change);
        lab.check(&name, said, &bundle);
    }
    env.assert_clean();
    assert!(lab.complaints.is_empty(), "{} complaints:\n{}", lab.complaints.len(), lab.complaints.join("\n"));
}

#[test]
fn what_is_wrong_of_the_whole() {
    require!(root);
    require!(program);
    refuses("whole", &OF_THE_WHOLE);
}

#[test]
fn what_is_wrong_of_the_process() {
    require!(root);
    require!(program);
    refuses("process", &OF_THE_PROCESS);
}

#[test]
fn what_is_wrong_of_mounts() {
    require!(root);
    require!(program);
    refuses("mounts", &OF_MOUNTS);
}

#[test]
fn what_is_wrong_of_namespaces_devices_and_settings() {
    require!(root);
    require!(program);
    refuses("linux", &OF_LINUX);
}

#[test]
fn what_is_wrong_of_resources() {
    require!(root);
    require!(program);
    refuses("resources", &OF_RESOURCES);
}

#[test]
fn what_is_wrong_of_the_filter() {
    require!(root);
    require!(program);
    refuses("filter", &OF_THE_FILTER);
}

#[test]
fn what_is_wrong_of_hooks() {
    require!(root);
    require!(program);
    refuses("hooks", &OF_HOOKS);
}

#[test]
fn what_is_no_configuration() {
    require!(root);
    require!(program);
    let env = Env::new();
    let mut lab = Lab { env: &env, oci: Oci::of(&env), complaints: Vec::new() };
    let deep = [b"{\"ociVersion\": ".to_vec(), vec![b'['; 100_000]].concat();
    let wide =
        format!("{{\"ociVersion\": \"1.2.0\", \"annotations\": {{\"a\": \"{}\"}}}}", "x".repeat(5 << 20))
            .into_bytes();
    let texts = TEXTS.iter().map(|(name, text, said)| (*name, text.to_vec(), *said));
    for (name, text, said) in
        texts.chain([("deep", deep, "recursion limit exceeded"), ("wide", wide, "longer than 4 MiB")])
    {
        let bundle = lab.oci.bundle(name, &["true"], |_| {});
        fs::write(bundle.join("config.json"), text).unwrap();
        lab.check(name, said, &bundle);
    }
    env.assert_clean();
    assert!(lab.complaints.is_empty(), "{} complaints:\n{}", lab.complaints.len(), lab.complaints.join("\n"));
}
