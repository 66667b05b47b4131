//! `inspect`: what was asked for comes back as it was, in Docker's shape, beside what the kernel says.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use serde_json::{Value, json};
use tinyd_tests::proc::{self, cgroups};
use tinyd_tests::{Env, require, roots};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

fn inspect(env: &Env, container: &str) -> Value {
    env.tinyd(["inspect", container]).ok().json()[0].take()
}

/// The fields of the seed's `Container`: ContainerId, Name, CgroupRes, NameSpaceRes, RealPid, Volmnt, CreateTime, Status,
/// Image, Command, Net.
#[test]
fn every_option_comes_back_as_it_was_given() {
    require!(root);
    let env = Env::new();
    let image = image();
    let source = env.files().display().to_string();
    let (rw, ro) = (format!("{source}:/data"), format!("{source}:/read:ro"));
    let words = [
        "create",
        "--name",
        "c1",
        "--hostname",
        "web",
        "-e",
        "A=a  b",
        "-e",
        "B=",
        "-w",
        "/srv/x",
        "-u",
        "app:tty",
        "--rm",
        "--read-only",
        "--cpu",
        "25000",
        "--mem",
        "128m",
        "--pids-limit",
        "99",
        "--userns",
        "host",
        "-v",
        &rw,
        "-v",
        &ro,
        "--net",
        "none",
        "--interactive",
        "--tty",
        "--entrypoint",
        "/bin/sh",
        &image,
        "-c",
        "a  b",
        "",
        "new\nline",
        "'\"\\",
    ];
    let id = env.tinyd(words).ok().text();
    let seen = inspect(&env, "c1");
    assert_eq!(seen["Id"], id.as_str());
    assert_eq!(seen["Name"], "/c1");
    assert_eq!(seen["Image"], image.as_str());
    assert_eq!(seen["Path"], "/bin/sh");
    assert_eq!(seen["Args"], json!(["-c", "a  b", "", "new\nline", "'\"\\"]));
    let config = &seen["Config"];
    assert_eq!(config["Hostname"], "web");
    assert_eq!(config["User"], "app:tty");
    assert_eq!(config["WorkingDir"], "/srv/x");
    assert_eq!(config["Entrypoint"], json!(["/bin/sh"]));
    assert_eq!(config["Cmd"], json!(["-c", "a  b", "", "new\nline", "'\"\\"]));
    assert_eq!((&config["Tty"], &config["OpenStdin"]), (&json!(true), &json!(true)));
    let environment = config["Env"].as_array().unwrap();
    assert!(environment.contains(&json!("A=a  b")) && environment.contains(&json!("B=")), "{config}");
    let host = &seen["HostConfig"];
    assert_eq!(host["Memory"], 134_217_728);
    assert_eq!((&host["CpuQuota"], &host["CpuPeriod"]), (&json!(25_000), &json!(100_000)));
    assert_eq!(host["PidsLimit"], 99);
    assert_eq!((&host["AutoRemove"], &host["ReadonlyRootfs"]), (&json!(true), &json!(true)));
    assert_eq!((&host["NetworkMode"], &host["UsernsMode"]), (&json!("none"), &json!("host")));
    assert_eq!(host["Binds"], json!([rw, ro]));
    assert_eq!(host["CgroupPath"], format!("/tinyd/{id}"));
    let mounts: Vec<_> = seen["Mounts"].as_array().unwrap().iter().collect();
    let mount = |at: usize| {
        [&mounts[at]["Type"], &mounts[at]["Source"], &mounts[at]["Destination"], &mounts[at]["RW"]]
    };
    assert_eq!(mount(0), [&json!("bind"), &json!(source), &json!("/data"), &json!(true)]);
    assert_eq!(mount(1), [&json!("bind"), &json!(source), &json!("/read"), &json!(false)]);
    assert_eq!(seen["State"]["Status"], "created");
}

#[test]
fn without_options_the_defaults_are_shown() {
    require!(root);
    let env = Env::new();
    let id = env.tinyd(["create", &image(), "true"]).ok().text();
    let seen = inspect(&env, &id);
    let host = &seen["HostConfig"];
    assert_eq!((&host["Memory"], &host["CpuQuota"]), (&json!(0), &json!(0)), "no limit of memory or time");
    assert_eq!(host["PidsLimit"], 2048);
    assert_eq!(host["UsernsMode"], "auto");
    assert_eq!((&host["AutoRemove"], &host["ReadonlyRootfs"]), (&json!(false), &json!(false)));
    assert_eq!(seen["Config"]["Hostname"], id[..12]);
    assert_eq!(seen["Config"]["User"], "");
    assert_eq!(seen["Mounts"], json!([]));
}

#[test]
fn while_it_runs_the_kernel_agrees() {
    require!(root);
    require!(controller "pids");
    for userns in ["auto", "host"] {
        let env = Env::new();
        let id = env.tinyd(["run", "-d", "--userns", userns, &image(), "sleep", "300"]).ok().text();
        let seen = inspect(&env, &id);
        let pid = i32::try_from(seen["State"]["Pid"].as_i64().unwrap()).unwrap();
        assert_eq!(proc::arguments(pid), ["sleep", "300"]);
        let monitor = i32::try_from(seen["State"]["MonitorPid"].as_i64().unwrap()).unwrap();
        assert_eq!(proc::status(pid, "PPid").unwrap(), monitor.to_string());
        for kind in ["pid", "mnt", "uts", "ipc", "net", "cgroup"] {
            let inode = proc::namespace(pid, kind).unwrap();
            assert_eq!(seen["Namespaces"][kind], format!("{kind}:[{inode}]"));
            assert_ne!(inode, proc::own_namespace(kind).unwrap());
        }
        assert_eq!(seen["Namespaces"]["user"] != Value::Null, userns == "auto");
        let path = cgroups::path_of(pid, "pids").unwrap();
        let named = seen["HostConfig"]["CgroupPath"].as_str().unwrap();
        assert!(path.ends_with(named), "{path} is not {named}");
        assert!(std::path::Path::new(seen["GraphDriver"]["Data"]["UpperDir"].as_str().unwrap()).is_dir());
        assert_eq!(seen["GraphDriver"]["Data"]["LowerDir"], image().as_str());
        env.tinyd(["kill", &id]).ok();
        let ended = inspect(&env, &id);
        assert_eq!((&ended["State"]["Pid"], &ended["Namespaces"]), (&json!(0), &json!({})));
    }
}

#[test]
fn several_are_one_array_and_templates_a_line_each() {
    require!(root);
    let env = Env::new();
    let image = image();
    for name in ["a", "b"] {
        env.tinyd(["create", "--name", name, "--mem", "64m", &image, "true", "x"]).ok();
    }
    let both = env.tinyd(["inspect", "b", "a"]).ok().json();
    let names: Vec<_> = both.as_array().unwrap().iter().map(|one| one["Name"].as_str().unwrap()).collect();
    assert_eq!(names, ["/b", "/a"]);
    let some = env.tinyd(["inspect", "a", "nope", "b"]).fails(1);
    assert_eq!(some.json().as_array().unwrap().len(), 2, "those that are there are shown");
    assert_eq!(some.stderr().lines().count(), 1);
    let lines =
        env.tinyd(["inspect", "-f", "{{.Name}} {{.HostConfig.Memory}} {{json .Args}}", "a", "b"]).ok();
    assert_eq!(lines.stdout(), "/a 67108864 [\"x\"]\n/b 67108864 [\"x\"]\n");
    assert_eq!(env.tinyd(["info", "a"]).ok().json(), env.tinyd(["inspect", "a"]).ok().json());
    env.tinyd(["inspect", "-f", "{{.NoSuchField}}", "a"]).fails(2);
}

#[test]
fn the_engine_tells_what_it_has_and_the_kernel_agrees() {
    require!(root);
    let env = Env::new();
    let image = image();
    let info = || env.tinyd(["system", "info", "-f", "json"]).ok().json();
    let empty = info();
    assert_eq!(empty["Containers"], 0);
    env.tinyd(["create", &image, "true"]).ok();
    env.tinyd(["run", "-d", &image, "sleep", "300"]).ok();
    env.tinyd(["run", &image, "true"]).ok();
    let seen = info();
    let counts = ["Containers", "ContainersRunning", "ContainersPaused", "ContainersStopped"];
    assert_eq!(counts.map(|name| seen[name].as_u64().unwrap()), [3, 1, 0, 2]);
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
    let kib: u64 = meminfo.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
    assert_eq!(seen["MemTotal"].as_u64().unwrap(), kib * 1024);
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(seen["KernelVersion"], release.trim());
    assert_eq!(seen["DockerRootDir"], env.root().display().to_string());
    assert_eq!(
        seen["Plugins"],
        json!({"Volume": ["local", "bind", "tmpfs", "btrfs", "remote"], "Network": ["bridge", "macvlan", "ipvlan", "none", "host", "cni"]})
    );
    assert_eq!(env.tinyd(["system", "info", "-f", "{{.ContainersRunning}}"]).ok().text(), "1");
}
