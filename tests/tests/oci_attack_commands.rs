//! Commands that reach for the runtime, or for more than they were given, in containers of other engines (A1, A2, A11, A16, A17, A18,
//! A20, A22).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing"
)]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, mknodat};
use serde_json::{Value, json};
use tinyd_tests::attack::{Decoy, SECRET};
use tinyd_tests::oci::{Oci, Said, bind, share_pids};
use tinyd_tests::{Cmd, Env, in_both_modes, proc, require, roots};

const ATTACK: &str = env!("CARGO_BIN_EXE_attack");

/// The built `attack`, and a root that it runs in.
fn with_attack(config: &mut Value) {
    config["root"]["path"] = json!(roots::debian());
    bind(config, ATTACK, "/mnt/attack");
}

/// How many processes are attacked by one attacker.
const VICTIMS: usize = 30;

/// Victims by each verb, in the PID namespace of the attacker.
fn victims(oci: &Oci<'_>, attacker: &str, command: &[&str], mut look: impl FnMut(&Said)) {
    let pid = oci.state(attacker)["pid"].as_i64().unwrap();
    let sharing = |config: &mut Value| {
        config["root"]["path"] = json!(roots::debian());
        share_pids(config, pid);
    };
    let [ran, started] =
        ["ran", "started"].map(|name| oci.bundle(&format!("{name}-{}", command.len()), command, sharing));
    for round in 0..VICTIMS {
        match round % 3 {
            0 => look(&oci.by_run(&ran)),
            1 => look(&oci.by_start(&started)),
            _ => {
                let output = oci.run(["exec", attacker].iter().chain(command).copied());
                let ran = output.code() == Some(0);
                look(&Said { way: "exec", ran, stdout: output.stdout(), stderr: output.stderr() });
            }
        }
    }
}

/// CVE-2019-5736, with the first processes and the hooks of other containers as well as with further commands.
#[test]
fn a1_the_program_cannot_be_changed_by_who_is_started_from_it() {
    require!(root);
    require!(program);
    in_both_modes(|mode| {
        let env = &mode.env;
        let folder = env.files().join("bin");
        fs::create_dir(&folder).unwrap();
        let program = folder.join("tinyd-runtime");
        fs::copy(Oci::of(env).program(), &program).unwrap();
        let decoy = Decoy::of(&folder);
        let oci = Oci::with(env, program).mapped(mode.mapped);
        let attack = oci.attack(ATTACK, "overwrite", &[], |_| {});
        victims(&oci, &attack.id, &["/proc/self/exe", "--version"], |said| {
            assert!(said.text().starts_with("tinyd-runtime "), "{said:?}");
        });
        victims(&oci, &attack.id, &["true"], |said| assert_eq!(said.text(), ""));
        // One that stays for a while.
        for _ in 0..10 {
            let words = ["exec", &attack.id, "/proc/self/exe", "load"];
            oci.cmd(words).stdin("processor 200\n").output().ok();
        }
        let pid = oci.state(&attack.id)["pid"].as_i64().unwrap();
        let hooked = oci.bundle("hooked", &["true"], |config| {
            config["root"]["path"] = json!(roots::debian());
            share_pids(config, pid);
            config["hooks"]["startContainer"] =
                json!([{ "path": "/proc/self/exe", "args": ["tinyd-runtime", "--version"] }]);
        });
        for _ in 0..10 {
            oci.by_start(&hooked).text();
        }
        let found = attack.stop();
        assert!(found["seen"] > 0, "no process was reached, and so nothing attacked: {found:?}");
        assert_eq!((found["chmod"], found["write"]), (0, 0), "{found:?}");
        decoy.assert_unchanged();
    });
}

#[test]
fn a1_a_script_for_the_program_itself_is_nobodys_way_to_it() {
    require!(root);
    require!(program);
    in_both_modes(|mode| {
        let env = &mode.env;
        let folder = env.files().join("bin");
        fs::create_dir(&folder).unwrap();
        let program = folder.join("tinyd-runtime");
        fs::copy(Oci::of(env).program(), &program).unwrap();
        let decoy = Decoy::of(&folder);
        let oci = Oci::with(env, program).mapped(mode.mapped);
        let script = env.file("script", "#!/proc/self/exe\n");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let with_script = |config: &mut Value| {
            config["root"]["path"] = json!(roots::debian());
            bind(config, script.to_str().unwrap(), "/mnt/script");
        };
        let [ran, started, joined] = oci.in_each_way("s", &["/mnt/script"], &[], with_script);
        // The program takes the script's path for a verb that it does not have.
        for said in [ran, joined] {
            assert!(said.stderr.contains("there is no verb \"/mnt/script\""), "{said:?}");
        }
        assert!(started.ran && started.stdout.is_empty(), "{started:?}");
        decoy.assert_unchanged();
    });
}

/// The numbers that SECURITY.md §2 names.
const NUMBERS: std::ops::RangeInclusive<i32> = 3..=64;

/// CVE-2024-21626.
#[test]
fn a2_no_descriptor_of_the_runtimes_is_a_working_folder() {
    require!(root);
    require!(program);
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        let links = mode.env.files().join("links");
        fs::create_dir(&links).unwrap();
        for number in NUMBERS {
            symlink(format!("/proc/self/fd/{number}"), links.join(number.to_string())).unwrap();
        }
        let ways: [fn(i32) -> String; 3] = [
            |number| format!("/proc/self/fd/{number}"),
            |number| format!("/mnt/links/{number}"),
            |number| format!("/proc/thread-self/fd/{number}/.."),
        ];
        let change = |config: &mut Value| {
            with_attack(config);
            bind(config, links.to_str().unwrap(), "/mnt/links");
        };
        let container = oci.bundle("c", &["sleep", "1000"], change);
        oci.launch(&container);
        for number in NUMBERS {
            let folder = ways[usize::try_from(number).unwrap() % ways.len()](number);
            let with_folder = |config: &mut Value| {
                change(config);
                config["process"]["cwd"] = json!(folder);
            };
            let [ran, started] = ["r", "s"]
                .map(|name| oci.bundle(&format!("{name}{number}"), &["/mnt/attack", "folder"], with_folder));
            let output = oci.run(["exec", "--cwd", &folder, "c", "/mnt/attack", "folder"]);
            let ran_there = output.code() == Some(0);
            let joined =
                Said { way: "exec", ran: ran_there, stdout: output.stdout(), stderr: output.stderr() };
            for said in [oci.by_run(&ran), oci.by_start(&started), joined] {
                said.refused(&["working directory"]);
            }
        }
        // One of its own is a folder like others, and so the attack above can be told from a mistake.
        let output = oci.run(["exec", "--cwd", "/usr/bin", "c", "/mnt/attack", "folder"]).ok();
        assert!(output.stdout().contains("inside=true\ncwd=/usr/bin"), "{output}");
    });
}

/// Descriptors that the caller has, and those that it gives away: a folder among them is nobody's first folder.
#[test]
fn a2_a_descriptor_that_is_handed_over_is_no_working_folder_and_others_are_not_there() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let inside = oci.bundle("inside", &["sh", "-c", "ls /proc/self/fd | sort -n | tr '\\n' ' '"], |_| {});
    let folder = oci.bundle("folder", &["/mnt/attack", "folder"], |config| {
        with_attack(config);
        config["process"]["cwd"] = json!("/proc/self/fd/3");
    });
    let leaky = ["bash", "-c", "exec 3</ 4</ 9</etc/hostname; exec \"$@\"", "bash"];
    let run = |bundle: &Path, preserved: &str| {
        let words = ["run".into(), "--preserve-fds".into(), preserved.into(), "-b".into(), bundle.into()];
        oci.cmd(words.into_iter().chain([OsString::from("x")])).under(leaky).output()
    };
    // `ls` has one of its own, for the folder.
    assert_eq!(run(&inside, "0").ok().stdout(), "0 1 2 3 ");
    for preserved in ["0", "1", "2"] {
        let refused = run(&folder, preserved).fails(1);
        assert!(refused.stderr().contains("working directory"), "{refused}");
    }
    // Of a process that waits to be started, and of one that runs.
    let waits = oci.bundle("waits", &["sleep", "1000"], |_| {});
    let words = [OsString::from("create"), "-b".into(), waits.into(), "waits".into()];
    oci.leave_with(leaky, words).ok();
    let pid = i32::try_from(oci.state("waits")["pid"].as_i64().unwrap()).unwrap();
    let open = |pid| proc::descriptors_once(pid, &[0, 1, 2]);
    for (number, target) in proc::descriptors(pid) {
        let target = target.to_string_lossy().into_owned();
        assert!(target != "/" && target != "/etc/hostname", "{number}: {target}");
    }
    // Nor is it anybody's in the container.
    let look = "for number in $(seq 0 64); do readlink /proc/1/fd/$number; ls /proc/1/fd/$number/; done; \
        ls /proc/1/cwd/ /proc/1/root/; cat /proc/1/environ /proc/1/maps; : > /proc/1/mem";
    let look = oci.run(["exec", "waits", "sh", "-c", look]);
    assert_eq!(look.stdout(), "", "{look}");
    assert!(look.stderr().matches("ermission denied").count() >= 10, "{look}");
    oci.run(["start", "waits"]).ok();
    assert_eq!(open(pid).len(), 3, "{:?}", open(pid));
    oci.leave(["exec", "-d", "waits", "sleep", "500"]).ok();
    assert_eq!(open(pid).len(), 3, "{:?}", open(pid));
}

/// What is behind a descriptor of the runtime's is not even looked for.
#[test]
fn a2_no_program_is_looked_for_behind_a_descriptor() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    for number in NUMBERS.step_by(3) {
        let path = format!("/proc/self/fd/{number}/../../../../../../../bin/sh");
        let other = format!("/proc/self/fd/{number}/../../../../../../../no/such/file");
        let said = [(path, "a"), (other, "b")].map(|(path, name)| {
            let bundle = oci.bundle(&format!("{name}{number}"), &[&path, "-c", "echo ran"], |_| {});
            oci.by_start(&bundle)
        });
        for said in &said {
            said.refused(&["command not found in the container"]);
        }
        assert_eq!(said[0].way, said[1].way);
    }
}

/// CVE-2022-29162, 2022-24769, 2022-27649, 2022-27650.
#[test]
fn a11_no_capability_is_inheritable_or_ambient() {
    require!(root);
    require!(program);
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        let look = ["grep", "-E", "^Cap(Inh|Amb)", "/proc/self/status"];
        let none = "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n";
        for (name, options) in [
            ("plain", &[][..]),
            ("cap", &["--cap", "CAP_CHOWN"][..]),
            ("user", &["--user", "1000:1000"][..]),
            ("both", &["--user", "1000", "--cap", "CAP_CHOWN", "--cap", "CAP_KILL"][..]),
            ("terminal", &["--no-new-privs"][..]),
        ] {
            for said in oci.in_each_way(name, &look, options, |_| {}) {
                assert_eq!(said.text(), none, "{name}: {said:?}");
            }
        }
        // One that is described in a file has what it is given there.
        let bundle = oci.bundle("file", &["sleep", "1000"], |_| {});
        oci.launch(&bundle);
        let mut process: Value =
            json!({ "cwd": "/", "user": { "uid": 0, "gid": 0 }, "args": look, "env": ["PATH=/bin"] });
        process["capabilities"] =
            json!({ "bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"] });
        let file = mode.env.file("process.json", process.to_string());
        let words = ["exec".into(), "--process".into(), file.into_os_string(), "file".into()];
        assert_eq!(oci.run(words).ok().stdout(), none);
    });
}

/// CVE-2026-30892, CVE-2024-40635, CVE-2026-46680: what was taken for a name, or wrapped around, became root.
#[test]
fn a16_nothing_that_is_no_user_comes_to_mean_root() {
    require!(root);
    require!(program);
    const NO_USERS: [&str; 14] = [
        "4294967296",
        "4294967295",
        "-1",
        "0x0",
        "00",
        "1000:",
        ":",
        "",
        ":0",
        "65536:99999999999",
        "+0",
        "0:-1",
        "root",
        "0 ",
    ];
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        let image = roots::copy_of_busybox(&mode.env);
        let names = NO_USERS.iter().flat_map(|user| user.split(':')).filter(|name| !name.is_empty());
        let lines: String = names.map(|name| format!("{name}:x:0:0::/:/bin/sh\n")).collect();
        fs::write(image.join("etc/passwd"), &lines).unwrap();
        let bundle = oci.bundle("c", &["sleep", "1000"], |config| {
            config["root"]["path"] = json!(image);
            config["process"]["user"] = json!({ "uid": 7, "gid": 7 });
        });
        oci.launch(&bundle);
        for user in NO_USERS {
            let output = oci.run(["exec", &format!("--user={user}"), "c", "id", "-u"]);
            assert!(matches!(output.code(), Some(2 | 255)), "{user:?}: {output}");
            assert_eq!(
                (output.stdout().as_str(), output.stderr().lines().count()),
                ("", 1),
                "{user:?}: {output}"
            );
        }
        assert_eq!(oci.run(["exec", "c", "id", "-u"]).ok().text(), "7");
        let numbers = [
            json!(4_294_967_296_u64),
            json!(4_294_967_295_u32),
            json!(-1),
            json!("0"),
            json!(0.5),
            json!(null),
        ];
        for (number, user) in numbers.iter().enumerate() {
            for (which, ids) in
                [("uid", json!({ "uid": user, "gid": 0 })), ("gid", json!({ "uid": 1, "gid": user }))]
            {
                let name = format!("{which}{number}");
                let change = |config: &mut Value| config["process"]["user"] = ids.clone();
                for said in oci.in_each_way(&name, &["id", "-u"], &[], change) {
                    said.refused(&["process.user"]);
                }
            }
        }
    });
}

/// The same by a note that is ours where the bundle is ours: in another engine's it is text of an image's, or of a user's.
#[test]
fn a16_a_note_of_ours_in_anothers_bundle_chooses_no_user() {
    require!(root);
    require!(program);
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        for (number, user) in ["0", "root", "nobody", "\n"].into_iter().enumerate() {
            let look = ["sh", "-c", "id -u; cat /proc/1/comm"];
            let said = oci.in_each_way(&format!("n{number}"), &look, &[], |config| {
                config["annotations"] =
                    json!({ "dev.tinyd.user": user, "dev.tinyd.init": "true", "\u{1b}[2J": "\n" });
                config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
            });
            for said in said {
                let mut lines = said.text().lines();
                // No init of ours is in front of the command.
                assert_eq!(lines.next(), Some("1000"), "{said:?}");
                assert!(lines.next().is_some_and(|first| first != "tinyd-runtime"), "{said:?}");
            }
        }
    });
}

/// A start that waits for longer waits for something that a container controls.
const LIMIT: Duration = Duration::from_secs(20);

/// CVE-2024-9676: where a user's home is looked up.
#[test]
fn a17_account_files_that_are_traps_do_no_harm() {
    require!(root);
    require!(program);
    type Make = fn(&Path, &str);
    let traps: [(&str, Make); 6] = [
        ("absolute", |etc, name| symlink(Path::new("/etc").join(name), etc.join(name)).unwrap()),
        ("relative", |etc, name| {
            symlink(format!("../../../../../../../../etc/{name}"), etc.join(name)).unwrap()
        }),
        ("fifo", |etc, name| {
            mknodat(CWD, etc.join(name), FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644), 0).unwrap();
        }),
        ("folder", |etc, name| fs::create_dir(etc.join(name)).unwrap()),
        ("huge", |etc, name| fs::File::create(etc.join(name)).unwrap().set_len(1 << 32).unwrap()),
        ("magic", |etc, name| symlink("/proc/1/root/etc/passwd", etc.join(name)).unwrap()),
    ];
    in_both_modes(|mode| {
        for (what, make) in traps {
            let oci = Oci::of(&mode.env).mapped(mode.mapped);
            let image = mode.env.files().join(what);
            mode.env.other(["cp".into(), "-a".into(), roots::busybox(), image.clone()]).output().ok();
            for name in ["passwd", "group"] {
                fs::remove_file(image.join("etc").join(name)).unwrap();
                make(&image.join("etc"), name);
            }
            let begun = Instant::now();
            let said =
                oci.in_each_way(what, &["sh", "-c", "echo home=$HOME"], &["--user", "1:1"], |config| {
                    config["root"]["path"] = json!(image);
                    config["process"]["user"] = json!({ "uid": 1, "gid": 1 });
                });
            for said in said {
                // The host's own entry says /usr/sbin.
                let refused = !said.ran && said.stderr.contains("/etc/passwd");
                assert!(refused || said.text() == "home=/\n", "{what}: {said:?}");
            }
            assert!(begun.elapsed() < LIMIT, "{what}");
        }
    });
}

/// Runs the command on a terminal, and then reads what was typed there meanwhile; and whether the command said that it tried.
fn typed(cmd: Cmd) -> (String, bool) {
    let shell = r#""$@"; read -r -t 1 line; echo "the host got [$line]""#;
    let mut pty = cmd.under(["bash", "-c", shell, "bash"]).pty(24, 80);
    pty.expect("the host got [");
    let line = pty.expect("]");
    let transcript = pty.transcript();
    println!("{transcript}");
    (line.trim_end_matches(']').to_owned(), transcript.contains("typed="))
}

/// CVE-2017-5226.
#[test]
fn a18_no_command_types_on_the_terminal_of_its_caller() {
    require!(root);
    require!(program);
    require!(command "bash");
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        let attack = ["/mnt/attack", "type", "pwned\n"];
        let free = typed(mode.env.other([ATTACK, "type", "pwned\n"])).0;
        assert_eq!(free, "pwned", "this machine lets nobody type");
        let tried = (String::new(), true);
        let change = |config: &mut Value| with_attack(config);
        let [plain, waits] = [("plain", &attack[..]), ("c", &["sleep", "1000"])]
            .map(|(name, command)| oci.bundle(name, command, change));
        let terminal = oci.bundle("terminal", &attack, |config| {
            change(config);
            config["process"]["terminal"] = json!(true);
        });
        oci.launch(&waits);
        for bundle in [&plain, &terminal] {
            let words = ["run".into(), "-b".into(), bundle.clone().into_os_string(), "r".into()];
            assert_eq!(typed(oci.cmd(words)), tried, "{bundle:?}");
        }
        for options in [&[][..], &["-t"], &["--user", "1000"]] {
            let words = [&["exec"], options, &["c"], &attack].concat();
            assert_eq!(typed(oci.cmd(words)), tried, "{options:?}");
        }
        // Created and started on one.
        let script = format!("\"$@\" create -b {} s && \"$@\" start s; sleep 1", plain.display());
        let cmd = oci.cmd(None::<OsString>).under(["sh", "-c", &script, "sh"]);
        assert_eq!(typed(cmd), tried);
    });
}

/// CVE-2016-9962.
#[test]
fn a20_a_process_is_out_of_reach_until_it_is_the_command() {
    require!(root);
    require!(program);
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        let attack = oci.attack(ATTACK, "look", &[], |_| {});
        victims(&oci, &attack.id, &["true"], |said| assert_eq!(said.text(), ""));
        let found = attack.stop();
        assert!(found["seen"] > 0, "no process was reached, and so nothing attacked: {found:?}");
        for what in ["fd", "root", "cwd", "mem", "trace"] {
            assert_eq!(found[what], 0, "{what}: {found:?}");
        }
    });
}

/// CVE-2026-57231.
#[test]
fn a22_an_entry_without_a_value_does_not_take_the_callers() {
    require!(root);
    require!(program);
    const MARKER: &str = "TINYD_SECRET";
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        let with_secret = |words: Vec<OsString>| oci.cmd(words).env(MARKER, SECRET).output();
        let container = oci.bundle("c", &["sleep", "1000"], |_| {});
        let words = [OsString::from("create"), "-b".into(), container.into(), "c".into()];
        oci.leave_with(["env", &format!("{MARKER}={SECRET}")], words).ok();
        let environments = "cat /proc/1/environ /proc/self/environ; env";
        let exec = |options: &[&str]| {
            let words = [&["exec"], options, &["c", "sh", "-c", environments]].concat();
            with_secret(words.into_iter().map(OsString::from).collect())
        };
        // Before it was started its first process is still the runtime.
        let waiting = exec(&[]);
        oci.run(["start", "c"]).ok();
        for output in [waiting, exec(&[]).ok(), exec(&["-e", "A=1"]).ok()] {
            assert!(!output.stdout().contains(SECRET) && !output.stdout().contains(MARKER), "{output}");
        }
        for (number, entry) in [MARKER, "=x", "", "=", "PATH"].into_iter().enumerate() {
            let refused = exec(&["-e", entry]).fails(255);
            assert!(
                refused.stderr().contains("process.env") && !refused.stderr().contains(SECRET),
                "{refused}"
            );
            let bundle = oci.bundle(&format!("e{number}"), &["env"], |config| {
                config["process"]["env"] = json!(["A=1", entry]);
            });
            for verb in ["run", "create"] {
                let words = [OsString::from(verb), "-b".into(), bundle.clone().into(), "x".into()];
                let refused = with_secret(words.to_vec()).fails(1);
                assert!(refused.stderr().contains("process.env"), "{refused}");
                assert!(!refused.stderr().contains(SECRET) && refused.stdout().is_empty(), "{refused}");
            }
        }
    });
}

/// A hook that is a program of the container's has no more rights than its command: whoever made the image made the program.
#[test]
fn hooks_of_the_containers_own_have_the_rights_of_its_command() {
    require!(root);
    require!(program);
    in_both_modes(|mode| {
        let oci = Oci::of(&mode.env).mapped(mode.mapped);
        let look = "cat >/dev/null; { grep -E '^(Cap|NoNew|Seccomp:|Uid)' /proc/self/status; cut -d: -f3 /proc/self/cgroup | sort; \
            readlink /proc/self/cwd; ls /proc/self/fd | wc -l; mknod /tmp/disk b 8 0 && echo made; } >&2; ";
        let told = |user: u32, ending: &str| {
            let name = format!("{user}-{}", ending.replace(' ', ""));
            let bundle = oci.bundle(&format!("u{name}"), &["true"], |config| {
                config["process"]["user"] = json!({ "uid": user, "gid": user });
                config["mounts"].as_array_mut().unwrap().push(json!({ "destination": "/tmp", "type": "tmpfs" }));
                config["hooks"]["startContainer"] =
                    json!([{ "path": "/bin/sh", "args": ["sh", "-c", format!("{look}{ending}")], "env": ["PATH=/bin:/usr/bin"] }]);
            });
            let said = oci.by_start(&bundle);
            let command =
                oci.bundle(&format!("c{name}"), &["sh", "-c", &format!("({look}) 2>&1")], |config| {
                    config["process"]["user"] = json!({ "uid": user, "gid": user });
                    config["mounts"]
                        .as_array_mut()
                        .unwrap()
                        .push(json!({ "destination": "/tmp", "type": "tmpfs" }));
                });
            (said, oci.by_start(&command))
        };
        for user in [0, 1000] {
            let (hook, command) = told(user, "exit 3");
            assert!(!hook.ran, "{hook:?}");
            let command = command.text().to_owned();
            for line in command.lines().filter(|line| line.contains(':')) {
                assert!(hook.stderr.contains(&line.replace('\t', "\\t")), "{line}: {hook:?}");
            }
            assert!(!hook.stderr.contains("made"), "{hook:?}");
            told(user, "exit 0").0.text();
        }
    });
}
