//! What a start cannot do without: when it is missing, one clear line says so, and nothing is left.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::libc;
use tinyd_tests::tracer::{self, Fault, Point, Role};
use tinyd_tests::{Env, Output, require, roots};

/// Requires this exit code, and one line for the user that has each of these words in it.
#[track_caller]
fn refused(output: Output, code: i32, words: &[&str]) {
    let output = output.fails(code);
    let said = output.stderr();
    assert_eq!(output.stdout(), "", "{output}");
    assert_eq!(said.lines().count(), 1, "not one line: {output}");
    assert!(said.starts_with("tinyd: "), "{output}");
    for word in words {
        assert!(said.contains(word), "nothing is said of {word:?}: {output}");
    }
}

/// The command, run as another user, who may reach the program and write to the engine's folders.
fn as_nobody(env: &Env, words: &[&str]) -> Output {
    for folder in [env.root(), env.root().join("containers"), env.run_root().parent().unwrap().to_owned()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    }
    // The build folder may not be open to everybody.
    let program = env.files().join("bin");
    fs::create_dir_all(&program).unwrap();
    let built = tinyd_tests::paths::tinyd();
    for name in ["tinyd", "tinyd-runtime"] {
        fs::copy(built.with_file_name(name), program.join(name)).unwrap();
    }
    let folders = [env.root(), env.run_root()].map(|folder| folder.to_str().unwrap().to_owned());
    let tinyd = program.join("tinyd");
    let to = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", tinyd.to_str().unwrap()];
    let globals = ["--root", &folders[0], "--run-root", &folders[1]];
    env.other(to.iter().chain(&globals).chain(words).copied()).output()
}

#[test]
fn without_roots_rights_a_run_is_refused() {
    require!(root);
    require!(program);
    let env = Env::new();
    refused(as_nobody(&env, &["run", "--rm", "host", "true"]), 125, &["root"]);
    refused(as_nobody(&env, &["create", "host", "true"]), 125, &["root"]);
    env.assert_clean();
}

/// As root in name only: the rights are gone.
#[test]
fn root_without_its_capabilities_is_refused() {
    require!(root);
    require!(program);
    let env = Env::new();
    let drop_all = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"];
    let output = env.cmd(["run", "--rm", "host", "true"]).under(drop_all).output();
    refused(output, 125, &[]);
    env.assert_clean();
}

#[test]
fn an_image_that_is_none_is_refused() {
    require!(root);
    require!(program);
    let env = Env::new();
    let file = env.file("file", "not a root");
    let file = file.to_str().unwrap();
    let empty = env.files().join("empty");
    fs::create_dir(&empty).unwrap();
    refused(env.tinyd(["run", "--rm", "no-such-image", "true"]), 125, &["no-such-image"]);
    refused(env.tinyd(["run", "--rm", "/no/such/folder", "true"]), 125, &["/no/such/folder"]);
    refused(env.tinyd(["run", "--rm", "--image", file, "true"]), 125, &[file]);
    refused(env.tinyd(["run", "-i", file, "--rm", "true"]), 125, &[file]);
    refused(env.tinyd(["create", "--name", "c", "./nothing", "true"]), 125, &["nothing"]);
    refused(env.tinyd(["run", "-d", "-i", "/no/such/folder", "true"]), 125, &["/no/such/folder"]);
    // An empty folder is a root without commands.
    refused(env.tinyd(["run", "--rm", empty.to_str().unwrap(), "true"]), 127, &["true"]);
    let left = fs::read_dir(&empty).unwrap().count();
    assert_eq!(left, 0, "the image was written to");
    assert!(env.containers().is_empty());
    env.assert_clean();
}

#[test]
fn a_folder_that_only_root_may_enter_is_an_image_for_all_users_inside() {
    require!(root);
    require!(program);
    let env = Env::new();
    let image = env.files().join("image");
    let copied =
        env.other(["cp", "-a", roots::busybox().to_str().unwrap(), image.to_str().unwrap()]).output();
    copied.ok();
    fs::set_permissions(&image, fs::Permissions::from_mode(0o000)).unwrap();
    let image = image.to_str().unwrap();
    // The folder itself is the image's place on this machine, not the root that the container sees.
    for userns in ["auto", "host"] {
        for user in ["0", "1000"] {
            let output = env.tinyd(["run", "--rm", "--userns", userns, "-u", user, image, "echo", "in"]);
            assert_eq!(output.ok().stdout(), "in\n");
        }
    }
}

#[test]
fn a_command_that_is_none_has_its_own_exit_code() {
    require!(root);
    require!(program);
    for userns in ["auto", "host"] {
        let env = Env::new();
        let image = roots::busybox();
        let image = image.to_str().unwrap();
        let run = |command: &str| env.tinyd(["run", "--rm", "--userns", userns, image, command]);
        refused(run("no-such-command"), 127, &["no-such-command", "not found"]);
        refused(run("/no/such/path"), 127, &["/no/such/path", "not found"]);
        refused(run("/etc"), 126, &["/etc"]);
        refused(run("/etc/passwd"), 126, &["/etc/passwd"]);
        refused(run(""), 125, &["Missing container command"]);
        refused(env.tinyd(["run", "--rm", image]), 125, &["Missing container command"]);
        env.assert_clean();
    }
}

/// Makes the first call of a kind fail as on a kernel that lacks it.
fn without(env: &Env, role: Role, number: i64, index: usize, error: i32, options: &[&str]) -> Output {
    let words = ["run", "--rm"].iter().chain(options).chain(&["host", "true"]);
    let point = Point { role, number: number as u64, index };
    let traced = tracer::trace(&env.cmd(words.copied()), Some((point, Fault::Fail(error))), true);
    assert!(traced.met.is_some(), "{point} was never called: the test must be changed");
    assert!(!traced.hung, "it hung: {}", traced.output);
    env.assert_clean();
    traced.output
}

#[test]
fn a_kernel_without_user_namespaces_is_named() {
    require!(root);
    require!(program);
    let env = Env::new();
    let output = without(&env, Role::Monitor, libc::SYS_clone3, 0, libc::EPERM, &[]);
    refused(output, 125, &["namespace"]);
    let output = without(&env, Role::Monitor, libc::SYS_clone3, 0, libc::ENOSPC, &[]);
    refused(output, 125, &["namespace"]);
}

#[test]
fn a_kernel_without_overlay_is_named() {
    require!(root);
    require!(program);
    for options in [["--userns", "auto"], ["--userns", "host"]] {
        let env = Env::new();
        // The monitor's first new file system is the root's overlay.
        refused(without(&env, Role::Monitor, libc::SYS_fsopen, 0, libc::ENODEV, &options), 125, &["overlay"]);
    }
}

#[test]
fn a_kernel_without_a_part_of_the_sandbox_is_named() {
    require!(root);
    require!(program);
    let env = Env::new();
    refused(without(&env, Role::Init, libc::SYS_seccomp, 0, libc::EINVAL, &[]), 125, &["seccomp"]);
    refused(without(&env, Role::Init, libc::SYS_pivot_root, 0, libc::EINVAL, &[]), 125, &["root"]);
    refused(without(&env, Role::Init, libc::SYS_sethostname, 0, libc::EPERM, &[]), 125, &["host name"]);
    refused(without(&env, Role::Init, libc::SYS_unshare, 0, libc::EINVAL, &[]), 125, &["cgroup namespace"]);
    // The old way to say "no such call".
    refused(without(&env, Role::Init, libc::SYS_move_mount, 0, libc::ENOSYS, &[]), 125, &["not implemented"]);
}

#[test]
fn a_kernel_without_a_newer_way_to_make_the_root_is_served_by_an_older_one() {
    require!(root);
    require!(program);
    let env = Env::new();
    without(&env, Role::Monitor, libc::SYS_open_tree, 0, libc::ENOSYS, &[]).ok();
}

/// The run-time program is missing: the place where it was looked for is said.
#[test]
fn a_missing_runtime_is_named() {
    require!(root);
    require!(program);
    let env = Env::with_program_in(|files| {
        let alone = files.join("tinyd");
        fs::copy(tinyd_tests::paths::tinyd(), &alone).unwrap();
        alone
    });
    refused(env.tinyd(["run", "--rm", "host", "true"]), 125, &["tinyd-runtime"]);
    let output = env.cmd(["run", "--rm", "host", "true"]).env("TINYD_RUNTIME", "/no/such/runtime").output();
    refused(output, 125, &["/no/such/runtime"]);
    env.assert_clean();
}

#[test]
fn engine_folders_that_cannot_be_made_are_named() {
    require!(root);
    require!(program);
    let env = Env::new();
    let file = env.file("file", "");
    let below = file.join("root");
    let program = tinyd_tests::paths::tinyd();
    let run = |root: &Path, run_root: &Path| {
        let words = [
            program.to_str().unwrap(),
            "--root",
            root.to_str().unwrap(),
            "--run-root",
            run_root.to_str().unwrap(),
        ];
        env.other(words.into_iter().chain(["run", "--rm", "host", "true"])).output()
    };
    refused(run(&below, &env.run_root()), 125, &[file.to_str().unwrap()]);
    refused(run(&env.root(), &below), 125, &[file.to_str().unwrap()]);
}
