//! Mounts that are made below a bind: which of them show on the other side, and which are read-only.
//!
//! Each test mounts in a mount namespace of its own, in which it gives the commands too: this machine's mounts stay as they
//! are.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;

use tinyd_tests::{Env, Mode, Output, in_both_modes, paths, require, roots};

/// `t` is the program; `$SRC` a file system of the test's own, mounted below a place that is shared by nobody; `c` goes at the
/// end, whatever happens.
const BEGIN: &str = r#"
set -e
t() { "$TINYD" --root "$ROOT" --run-root "$RUN" "$@"; }
trap 't rm -f c > /dev/null 2>&1 || :' EXIT
mkdir "$SRC"
mount -t tmpfs outer "$SRC"
mkdir "$SRC/below" "$SRC/later"
"#;

/// Runs a script in a mount namespace of its own, where mounts are private at first.
#[track_caller]
fn apart(env: &Env, script: &str) -> Output {
    let script = format!("{BEGIN}{script}");
    let assign = |name: &str, path: &std::path::Path| format!("{name}={}", path.display());
    let image = roots::busybox();
    let words = [
        "env".to_owned(),
        assign("TINYD", &paths::tinyd()),
        assign("ROOT", &env.root()),
        assign("RUN", &env.run_root()),
        assign("SRC", &env.files().join("src")),
        assign("IMAGE", &image),
    ];
    let unshare = ["unshare", "--mount", "--propagation", "private", "sh", "-c", &script].map(str::to_owned);
    let output = env.other(words.into_iter().chain(unshare)).output();
    let _ = fs::remove_dir(env.files().join("src"));
    output
}

fn start(mode: &Mode, options: &str) -> String {
    format!("t run -d --name c --userns {} {options} \"$IMAGE\" sleep 300 > /dev/null\n", mode.userns())
}

#[test]
fn what_the_machine_mounts_later_shows_where_that_is_asked_for_and_nowhere_else() {
    require!(root);
    in_both_modes(|mode| {
        let slave = "--mount type=bind,src=\"$SRC\",dst=/long,bind-propagation=rslave";
        let options =
            format!("-v \"$SRC\":/slave:rslave -v \"$SRC\":/plain -v \"$SRC\":/private:rprivate {slave}");
        let script = start(mode, &options)
            + r#"
mount -t tmpfs later "$SRC/later"; echo seen > "$SRC/later/file"
t exec c sh -c 'for d in slave plain private long; do echo $d $(cat /$d/later/file 2> /dev/null); done'
t exec c grep -c 'master:.* - tmpfs outer' /proc/self/mountinfo
umount "$SRC/later"
t exec c sh -c 'ls -A /slave/later /long/later | grep -c file || :'
echo $(t inspect c | grep -o '"Propagation": *"[a-z]*"' | cut -d '"' -f 4)"#;
        let output = apart(&mode.env, &format!("mount --make-rshared \"$SRC\"\n{script}")).ok();
        let expected = "slave seen\nplain\nprivate\nlong seen\n2\n0\n\
                        rslave rprivate rprivate rslave\n";
        assert_eq!(output.stdout(), expected, "{output}");
    });
}

/// What a container may mount at all needs rights that it does not have by itself.
const MAY_MOUNT: &str = "--cap-add SYS_ADMIN --security-opt seccomp=unconfined";

#[test]
fn what_a_container_mounts_shows_on_the_machine_where_that_is_shared() {
    require!(root);
    let env = Env::new();
    let script = |propagation: &str| {
        format!(
            r#"
mount --make-rshared "$SRC"
t run -d --name c --userns host {MAY_MOUNT} -v "$SRC":/x:{propagation} "$IMAGE" sleep 300 > /dev/null
mount -t tmpfs later "$SRC/later"; touch "$SRC/later/from-host"
t exec c sh -c 'mount -t tmpfs inner /x/below && touch /x/below/from-container; ls -A /x/later'
ls -A "$SRC/below"
t rm -f c > /dev/null
grep -c ' - tmpfs inner' /proc/self/mountinfo || :
grep -c ' - overlay' /proc/self/mountinfo || :
"#
        )
    };
    let of_machine = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let overlays = of_machine.lines().filter(|line| line.contains(" - overlay")).count();
    let seen = |propagation: &str| apart(&env, &script(propagation)).ok().stdout();
    for propagation in ["rshared", "shared"] {
        // It outlives the container, as it would with others.
        assert_eq!(seen(propagation), format!("from-host\nfrom-container\n1\n{overlays}\n"), "{propagation}");
    }
    assert_eq!(seen("rslave"), format!("from-host\n0\n{overlays}\n"));
    assert_eq!(seen("rprivate"), format!("0\n{overlays}\n"));
    env.assert_clean();
}

#[test]
fn a_propagation_that_cannot_be_had_is_refused_with_the_reason() {
    require!(root);
    in_both_modes(|mode| {
        let refused = |setup: &str, option: &str, parts: &[&str]| {
            let run = format!("t run --rm --userns {} {option} \"$IMAGE\" echo ran", mode.userns());
            let output = apart(&mode.env, &format!("{setup}\n{run}")).fails(125);
            assert!(output.stdout().is_empty() && output.stderr().lines().count() == 1, "{output}");
            parts.iter().for_each(|part| assert!(output.stderr().contains(part), "{part:?}: {output}"));
        };
        let shared = "mount --make-rshared \"$SRC\"";
        refused(":", "-v \"$SRC\":/x:rslave", &["/src\"", "is not a shared or slave mount"]);
        refused(":", "-v \"$SRC/below\":/x:slave", &["is mounted on ", "it is not a shared or slave mount"]);
        match mode.mapped {
            true => refused(shared, "-v \"$SRC\":/x:rshared", &["rshared", "user namespace", "rslave"]),
            false => {
                refused(":", "-v \"$SRC\":/x:rshared", &["it is not a shared mount"]);
                // Those of a slave spread nowhere.
                let slave = "mount --make-shared \"$SRC\"; mount --bind \"$SRC\" \"$SRC/below\"; mount --make-slave \"$SRC/below\"";
                refused(slave, "-v \"$SRC/below\":/x:rshared", &["it is not a shared mount"]);
                refused(shared, "-v \"$SRC\":/x:rshared -v /y:/x/y", &["/x/y", "on this machine too"]);
                refused(shared, "-v \"$SRC\":/etc:shared", &["/etc/hosts", "on this machine too"]);
                refused(shared, "-v \"$SRC\":/sys/firmware:rshared", &["/sys/firmware"]);
            }
        }
        refused(":", "-v data:/x:rslave", &["rslave", "for paths of this machine"]);
        assert!(mode.env.containers().is_empty() && !mode.env.root().join("volumes/data.json").exists());
    });
}

/// A link of the image leads onto the shared mount: what is mounted there is the container's own all the same.
#[test]
fn nothing_of_a_containers_own_comes_to_lie_on_a_shared_mount() {
    require!(root);
    let env = Env::new();
    let image = roots::copy_of_busybox(&env);
    fs::create_dir(image.join("x")).unwrap();
    std::os::unix::fs::symlink("/x", image.join("way")).unwrap();
    let other = env.files().join("other");
    fs::create_dir(&other).unwrap();
    let (image, other) = (image.display(), other.display());
    let output = apart(
        &env,
        &format!(
            r#"
mount --make-rshared "$SRC"
mkdir "$SRC/one" "$SRC/two"
t run -d --name c --userns host -v "$SRC":/x:rshared -v {other}:/way/one -v "$SRC":/way/two:rshared {image} sleep 300 > /dev/null
t exec c ls /x
grep -c "$SRC/" /proc/self/mountinfo || :
"#
        ),
    );
    assert_eq!(output.ok().stdout(), "below\nlater\none\ntwo\n0\n");
}

#[test]
fn mounts_below_a_source_are_as_read_only_as_it_is_unless_they_are_to_be_otherwise() {
    require!(root);
    in_both_modes(|mode| {
        let try_to_write = "touch /x/top 2> /dev/null && echo top; touch /x/below/file 2> /dev/null && echo below; \
                            ls -A /x/below | grep inner; :";
        let options = |words: &str| format!("--mount type=bind,src=\"$SRC\",dst=/x{words}");
        let mut script = "mount -t tmpfs inner \"$SRC/below\"; touch \"$SRC/below/inner\"\n".to_owned();
        let cases = [
            ("-v \"$SRC\":/x".to_owned(), "top below inner"),
            ("-v \"$SRC\":/x:ro".to_owned(), "inner"),
            (options(",ro"), "inner"),
            (options(",ro,bind-recursive=enabled"), "inner"),
            (options(",ro,bind-recursive=readonly"), "inner"),
            (options(",ro,bind-recursive=writable"), "below inner"),
            (options(",ro,bind-recursive=disabled"), ""),
            (options(",bind-nonrecursive"), "top below"),
        ];
        for (option, _) in &cases {
            let run = format!("t run --rm --userns {} {option} \"$IMAGE\"", mode.userns());
            script += &format!("echo $({run} sh -c '{try_to_write}')\nrm -f \"$SRC/below/file\"\n");
        }
        let output = apart(&mode.env, &script).ok();
        let seen = output.stdout();
        let seen: Vec<&str> = seen.lines().collect();
        assert_eq!(seen, cases.each_ref().map(|(_, wanted)| *wanted), "{output}");
        let bad = [("bind-recursive=readonly", "readonly"), ("bind-recursive=writable", "readonly")];
        for (words, part) in
            bad.into_iter().chain([("ro,bind-recursive=readonly,bind-propagation=rslave", "rprivate")])
        {
            let mount = format!("type=bind,src={},dst=/x,{words}", mode.env.files().display());
            assert!(
                mode.run(["--mount", &mount, "host", "true"]).fails(125).stderr().contains(part),
                "{words}"
            );
        }
    });
}
