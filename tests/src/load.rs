//! Much at once for a daemon: connections that say nothing, viewers, a container that talks as fast as it can, events; and how
//! long its answers take meanwhile.

mod answers;
mod client;
mod followers;
mod half_open;
mod told;
mod viewers;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::env::Env;
use crate::web::Daemon;
use crate::{proc, roots};

pub use answers::Answers;
use followers::Followers;
use half_open::HalfOpen;
use told::Told;
use viewers::Viewers;

/// How much.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Connections to the page of which only half a request comes.
    pub half_open: usize,
    /// Viewers of the page, who are told of the machine every two seconds.
    pub viewers: usize,
    /// Clients that follow the log of a container that says some hundred lines a second.
    pub followers: usize,
    /// Clients that follow the log of one that says as much as it can.
    pub drowned: usize,
    /// Events, spread over the time that the questions take.
    pub events: usize,
    /// Questions, whose answers are timed, without the load and under it.
    pub questions: usize,
}

/// What was seen.
#[derive(Debug)]
pub struct Report {
    /// How long answers took before.
    pub unloaded: Answers,
    /// How long they took meanwhile.
    pub loaded: Answers,
    /// The most memory that the daemon had, in KiB (`VmHWM`).
    pub peak_kib: u64,
    /// What was promised and did not come, in words.
    pub broken: Vec<String>,
}

/// Events that come at once at the end: more than are kept for one who does not read.
const FLOOD: usize = 40_000;

/// Puts a daemon under it. Its containers end with this.
///
/// # Panics
/// When something of the load itself cannot be had.
#[track_caller]
pub fn press(env: &Env, daemon: &Daemon, load: &Load) -> Report {
    // Of this process; the daemon was started with what is usual.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .expect("a limit can be raised to the hard one");
    let image = roots::busybox();
    let image = image.to_str().expect("the path of an image is text");
    let run = |name: &str, script: &str| {
        env.tinyd(["run", "-d", "--net", "none", "--name", name, image, "sh", "-c", script]).ok().text()
    };
    let quiet = run("quiet", "exec sleep 1000");
    let unloaded = Answers::ask(daemon, &quiet, load.questions);

    run("loud", "exec yes 0123456789012345678901234567890123456789012345678901234567890123456789");
    let metered =
        "i=0; while :; do for j in 0 1 2 3 4 5 6 7 8 9; do echo $i; i=$((i+1)); done; sleep 0.02; done";
    run("metered", metered);
    let told = Told::start(env);
    let viewers = Viewers::open(daemon, load.viewers);
    let followers = Followers::start(env, "metered", load.followers);
    let drowned = Followers::start(env, "loud", load.drowned);
    drowned.stop_first();
    let half_open = HalfOpen::open(daemon, load.half_open);
    let events = told.pace(env, load.events, unloaded.expected());
    let loaded = Answers::ask(daemon, &quiet, load.questions);
    events.join().expect("events can be written");

    let mut broken = viewers.close();
    half_open.close();
    broken.extend(drowned.end_behind(env, "loud"));
    broken.extend(followers.end_with(env, "metered"));
    broken.extend(told.finish(env, load.events, FLOOD));
    let peak = proc::status(daemon.pid(), "VmHWM").expect("the daemon is there");
    let peak_kib = peak.trim_end_matches(" kB").trim().parse().expect("it is a number of KiB");
    env.tinyd(["rm", "-f", "loud", "metered", "quiet"]).ok();
    Report { unloaded, loaded, peak_kib, broken }
}
