//! The runtime is killed at any of its system calls, as another engine's watchdog or the kernel for want of memory does it: `delete --force`
//! takes away whatever there is, the id can be used again, and nobody is left behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing, and shows what was met"
)]

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tinyd_tests::oci::Oci;
use tinyd_tests::proc::cgroups;
use tinyd_tests::tracer::{self, Fault, Point, Role};
use tinyd_tests::{Cmd, Dice, Env, eventually, in_both_modes, leak, require};

/// What every run of the tests has time for, of each verb in each of the two ways to have ids.
const FEW: usize = 14;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Create,
    Start,
    Exec,
    Delete,
    /// Of one that was only created.
    DeleteCreated,
}

const VERBS: [Verb; 5] = [Verb::Create, Verb::Start, Verb::Exec, Verb::Delete, Verb::DeleteCreated];

struct Lab<'a> {
    env: &'a Env,
    oci: Oci<'a>,
    bundle: PathBuf,
    met: usize,
}

impl<'a> Lab<'a> {
    fn new(env: &'a Env, mapped: bool) -> Lab<'a> {
        let oci = Oci::of(env).mapped(mapped);
        let bundle = oci.bundle("c", &["sleep", "1000"], |config| {
            for moment in ["createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
                config["hooks"][moment] = json!([{ "path": "/bin/true" }]);
            }
        });
        Lab { env, oci, bundle, met: 0 }
    }

    fn command(&self, verb: Verb) -> Cmd {
        let create = || ["create".into(), "-b".into(), self.bundle.clone().into_os_string(), "c".into()];
        match verb {
            Verb::Create => self.oci.cmd(create()),
            Verb::Start => self.oci.cmd(["start", "c"]),
            Verb::Exec => self.oci.cmd(["exec", "-d", "c", "sleep", "500"]),
            Verb::Delete | Verb::DeleteCreated => self.oci.cmd(["delete", "--force", "c"]),
        }
    }

    /// Brings the container to where the verb begins.
    fn prepare(&self, verb: Verb) {
        match verb {
            Verb::Create => {}
            Verb::Start | Verb::DeleteCreated => drop(self.oci.create(&self.bundle).ok()),
            Verb::Exec | Verb::Delete => self.oci.launch(&self.bundle),
        }
    }

    fn trace(&self, verb: Verb, fatal: Option<Point>) -> tracer::Traced {
        self.prepare(verb);
        let traced = tracer::trace(&self.command(verb), fatal.map(|point| (point, Fault::Kill)), false);
        assert!(!traced.hung, "{verb:?}: it hung");
        traced
    }

    /// The calls of a verb that nobody disturbs.
    fn points(&self, verb: Verb) -> Vec<Point> {
        let traced = self.trace(verb, None);
        assert_eq!(traced.output.code(), Some(0), "{verb:?}: {}", traced.output);
        self.oci.run(["delete", "--force", "c"]).ok();
        self.assert_nothing_left(&format!("{verb:?}, undisturbed"));
        let of_its_own = traced.points.into_iter().filter(|point| point.role == Role::Client);
        of_its_own.collect()
    }

    /// The container's control groups.
    fn groups(&self) -> Vec<PathBuf> {
        let name = format!("{}-c", self.env.tag());
        let all = cgroups::hierarchies();
        all.iter().map(|one| one.mount.join(&name)).filter(|path| path.exists()).collect()
    }

    #[track_caller]
    fn assert_nothing_left(&self, when: &str) {
        let folders = fs::read_dir(self.oci.root()).map_or(0, Iterator::count);
        assert_eq!(folders, 0, "{when}: the folder of a container");
        let groups = || self.groups();
        let gone = eventually(Duration::from_secs(3), || groups().is_empty().then_some(()));
        assert!(gone.is_some(), "{when}: {:?}", groups());
        let left = self.env.leaks_within(Duration::from_secs(3));
        assert!(left.is_empty(), "{when}:\n{}", leak::describe(&left));
    }

    fn cut_short(&mut self, verb: Verb, point: Point) {
        let traced = self.trace(verb, Some(point));
        self.met += usize::from(traced.met.is_some());
        let when = format!("{verb:?} killed at {point}");
        // Whoever asks is told something, and not that it is still being made.
        let is_told = || {
            let listed = self.oci.run(["list", "--format", "json"]).ok().json();
            let mut all = listed.as_array().into_iter().flatten();
            // A child of the dead one's has its lock, for a moment.
            all.all(|one| one["status"] != "creating").then_some(())
        };
        assert!(eventually(Duration::from_secs(5), is_told).is_some(), "{when}: it seems to be made still");
        self.oci.run(["delete", "--force", "c"]).ok();
        self.assert_nothing_left(&when);
        self.oci.run(["state", "c"]).fails(1);
        // Its id and its group are free.
        self.oci.create(&self.bundle).ok();
        self.oci.run(["delete", "--force", "c"]).ok();
    }
}

fn killed(most: usize) {
    in_both_modes(|mode| {
        let mut lab = Lab::new(&mode.env, mode.mapped);
        let mut wanted = 0;
        for verb in VERBS {
            let points = lab.points(verb);
            let all = points.len();
            let chosen = Dice::new().pick(points, most);
            println!("{verb:?}: {} of {all} calls", chosen.len());
            wanted += chosen.len();
            for point in chosen {
                lab.cut_short(verb, point);
            }
        }
        // Which calls are made depends on who is faster, for a few.
        assert!(lab.met >= wanted * 9 / 10, "only {} of {wanted} were met", lab.met);
    });
}

#[test]
fn whenever_it_is_killed_delete_takes_all_of_it_away() {
    require!(root);
    require!(program);
    killed(FEW);
}

#[test]
#[ignore = "takes minutes: every call of five verbs, twice"]
fn soak_at_every_call_it_is_killed_and_delete_takes_all_of_it_away() {
    require!(root);
    require!(program);
    killed(usize::MAX);
}

/// What is left of a folder before there was a record, and after it was removed.
#[test]
fn a_folder_without_a_record_is_taken_away() {
    require!(root);
    require!(program);
    let env = Env::new();
    let oci = Oci::of(&env);
    let bundle = oci.bundle("c", &["true"], |_| {});
    for force in [true, false] {
        for content in [&[][..], &["container.json.new", "start", "seccomp.bpf"]] {
            let folder = oci.root().join("c");
            fs::create_dir_all(&folder).unwrap();
            for name in content {
                fs::write(folder.join(name), "").unwrap();
            }
            assert!(oci.run(["state", "c"]).fails(1).stderr().contains("does not exist"));
            assert!(oci.create(&bundle).fails(1).stderr().contains("already exists"));
            let words = if force { vec!["delete", "--force", "c"] } else { vec!["delete", "c"] };
            oci.run(words).ok();
            assert!(!folder.exists());
            assert!(oci.by_start(&bundle).ran);
        }
    }
    oci.run([OsString::from("delete"), "c".into()]).fails(1);
}
