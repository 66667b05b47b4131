//! The programs on the disk may change while containers run: what runs needs them no more, and what comes goes on with
//! the new ones.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tinyd_tests::{Env, in_both_modes, paths, proc, require, roots, wait_until};

const PROGRAMS: [&str; 2] = ["tinyd", "tinyd-runtime"];

/// An environment whose programs are its own copies, and their folder.
fn copied() -> (Env, PathBuf) {
    let env = Env::with_program_in(|files| {
        let folder = files.join("bin");
        fs::create_dir(&folder).unwrap();
        install(&folder);
        folder.join("tinyd")
    });
    let folder = env.files().join("bin");
    (env, folder)
}

/// Puts fresh copies in place, as a package manager does: another file under the same name.
fn install(folder: &Path) {
    let built = paths::tinyd();
    for name in PROGRAMS {
        let unfinished = folder.join(format!("{name}.new"));
        fs::copy(built.with_file_name(name), &unfinished).unwrap();
        fs::rename(&unfinished, folder.join(name)).unwrap();
    }
}

fn number(env: &Env, name: &str, field: &str) -> i32 {
    let said = env.tinyd(["inspect", name]).ok().json();
    i32::try_from(said[0]["State"][field].as_i64().unwrap()).unwrap()
}

#[test]
fn a_container_goes_on_when_the_programs_are_replaced() {
    require!(root);
    in_both_modes(|mode| {
        let (env, folder) = copied();
        let script = "trap 'echo bye; exit 5' TERM; while [ ! -e /go ]; do sleep 0.02; done; echo went; while :; do sleep 0.02; done";
        let words = ["run", "-d", "--name", "c", "--userns", mode.userns(), "host", "sh", "-c", script];
        env.tinyd(words).ok();
        let (pid, monitor) = (number(&env, "c", "Pid"), number(&env, "c", "MonitorPid"));
        let program = fs::read_link(format!("/proc/{monitor}/exe")).unwrap();
        // Without a user namespace it runs from a mount of that file which is attached nowhere, so its path is the root.
        let expected = if mode.mapped { folder.join("tinyd-runtime") } else { PathBuf::from("/") };
        assert_eq!(program, expected, "the monitor runs the copy");

        install(&folder);
        let program = fs::read_link(format!("/proc/{monitor}/exe")).unwrap();
        assert!(program.to_string_lossy().ends_with("(deleted)"), "{program:?}");
        env.tinyd(["exec", "c", "touch", "/go"]).ok();
        wait_until("its output goes on", || env.tinyd(["logs", "c"]).ok().text() == "went");
        assert_eq!(env.tinyd(["exec", "c", "sh", "-c", "exit 3"]).code(), Some(3));
        assert_eq!((number(&env, "c", "Pid"), number(&env, "c", "MonitorPid")), (pid, monitor));
        assert!(proc::is_alive(pid));
        env.tinyd(["stop", "c"]).ok();
        assert_eq!(env.tinyd(["wait", "c"]).ok().text(), "5");
        assert_eq!(env.tinyd(["logs", "c"]).ok().text(), "went\nbye");
        env.tinyd(["rm", "c"]).ok();
        env.assert_clean();
    });
}

#[test]
fn a_container_that_removes_itself_does_so_without_programs_on_the_disk() {
    require!(root);
    in_both_modes(|mode| {
        let (env, folder) = copied();
        let words = [
            "run",
            "--rm",
            "-i",
            "--userns",
            mode.userns(),
            "host",
            "sh",
            "-c",
            "echo on; read line; exit 6",
        ];
        let mut running = env.cmd(words).piped().spawn();
        running.expect("on");
        for name in PROGRAMS {
            fs::remove_file(folder.join(name)).unwrap();
        }
        running.send("\n");
        running.wait().fails(6);
        env.assert_clean();
        install(&folder);
        assert_eq!(env.tinyd(["ps", "-a", "-q"]).ok().text(), "");
    });
}

#[test]
fn no_program_of_ours_is_executed_twice_on_the_way_to_the_users_command() {
    require!(root);
    require!(command "strace");
    in_both_modes(|mode| {
        let trace = mode.env.files().join("trace");
        let strace = [
            "strace",
            "-f",
            "-qq",
            "-s",
            "300",
            "-e",
            "trace=execve,execveat",
            "-o",
            trace.to_str().unwrap(),
        ];
        let words = ["run", "--rm", "--userns", mode.userns(), "host", "/usr/bin/true", "for-the-trace"];
        mode.env.cmd(words).under(strace).output().ok();
        let text = fs::read_to_string(&trace).unwrap();
        let executed: Vec<&str> = text.lines().filter(|line| line.ends_with("= 0")).collect();
        let count = |part: &str| executed.iter().filter(|line| line.contains(part)).count();
        assert_eq!(count("/tinyd\", "), 1, "{text}");
        assert_eq!(count("execve(\"/"), 3, "{text}");
        assert_eq!(count("\"/usr/bin/true\", [\"/usr/bin/true\", \"for-the-trace\"]"), 1, "{text}");
        assert_eq!(count("/proc/self/exe"), 0, "{text}");
        assert_eq!(count("execveat("), 0, "{text}");
        assert_eq!(executed.len(), 3, "{text}");
        // Without a user namespace the runtime is executed from a mount of it that cannot be written.
        assert_eq!(count("execve(\"/proc/self/fd/"), usize::from(!mode.mapped), "{text}");
    });
}

/// CVE-2019-5736: whoever is root on the host's terms must not change the program through a process that runs it.
#[test]
fn the_program_cannot_be_changed_through_a_process_of_a_container() {
    require!(root);
    let (env, folder) = copied();
    env.tinyd(["run", "-d", "--name", "c", "--userns", "host", "host", "sleep", "300"]).ok();
    let monitor = number(&env, "c", "MonitorPid");
    let program = format!("/proc/{monitor}/exe");
    let before = fs::metadata(folder.join("tinyd-runtime")).unwrap();
    let mode = fs::set_permissions(&program, PermissionsExt::from_mode(0o4777)).unwrap_err();
    assert_eq!(mode.kind(), std::io::ErrorKind::ReadOnlyFilesystem, "{mode}");
    let write = fs::OpenOptions::new().write(true).open(&program).unwrap_err();
    assert!(
        matches!(
            write.kind(),
            std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::ExecutableFileBusy
        ),
        "{write}"
    );
    let after = fs::metadata(folder.join("tinyd-runtime")).unwrap();
    assert_eq!((after.mode(), after.mtime_nsec()), (before.mode(), before.mtime_nsec()));
    env.tinyd(["rm", "-f", "c"]).ok();
}

/// F19: whoever wrote it otherwise is named, and nothing is touched.
#[test]
fn f19_a_store_of_a_newer_schema_is_refused_before_any_effect() {
    require!(root);
    let env = Env::new();
    let image = roots::busybox();
    let image = image.to_str().unwrap();
    env.tinyd(["run", "-d", "--name", "c", image, "sleep", "1000"]).ok();
    let link = env.root().join("schema");
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("1"));
    let mark = |schema: &str| {
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(schema, &link).unwrap();
    };
    let everything = || {
        let mut words: Vec<std::ffi::OsString> =
            vec!["find".into(), env.root().into(), env.run_root().into()];
        words.extend(["-printf".into(), "%p %T@ %s\\n".into()]);
        env.other(words).output().ok().stdout()
    };
    let pid = number(&env, "c", "Pid");
    // Its monitor keeps ready what it may need, when the start has been answered.
    wait_until("its monitor is at rest", || {
        ["seccomp.bpf", "exit.json.new"].iter().all(|name| everything().contains(name))
    });
    mark("2");
    let before = everything();
    let words: [(&[&str], i32); 7] = [
        (&["ps"], 1),
        (&["run", "--rm", image, "true"], 125),
        (&["rm", "-f", "c"], 1),
        (&["exec", "c", "true"], 125),
        (&["volume", "create", "v"], 1),
        (&["system", "check", "--repair"], 1),
        (&["daemon", "--no-web"], 1),
    ];
    for (words, code) in words {
        let said = env.tinyd(words.iter().copied()).fails(code).stderr();
        assert!(said.contains("has schema \"2\"") && said.contains("knows schema 1"), "{words:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{words:?}: {said}");
    }
    assert_eq!(everything(), before);
    mark("1");
    assert_eq!(number(&env, "c", "Pid"), pid);
    // A store of before there were numbers is one of the first, and is marked.
    fs::remove_file(&link).unwrap();
    assert_eq!(env.tinyd(["ps", "-q"]).ok().stdout().lines().count(), 1);
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("1"));
    env.tinyd(["rm", "-f", "c"]).ok();
    env.assert_clean();
}
