//! `start`: lets the command of a created container go.

use super::hooks::{self, Moment};
use super::notify::Relay;
use super::store::{Container, START, Status, TOLD};
use super::{Context, Problem, create, only_id};
use crate::launch::{self, internal};
use crate::plan::{self, Bundle, invalid};
use crate::report::Report;
use crate::{Failure, FailureKind};
use rustix::fs::{Mode, OFlags};

pub(super) fn verb(context: &Context, words: Vec<String>) -> Result<u8, Problem> {
    let id = only_id("start", words)?;
    let container = Container::open(context, &id)?;
    let bundle = container.bundle()?;
    if Moment::StartContainer.is_wanted(&bundle) {
        // From a program of the container's its own file may be reached.
        crate::entry::protect().map_err(|error| internal("protect this program", error))?;
    }
    let lock = container.lock()?;
    let relay = Relay::of(&container)?;
    start(&container, &bundle)?;
    // It may be killed and deleted while it is awaited.
    drop(lock);
    if let Some(relay) = relay {
        relay.wait()?;
    }
    Ok(0)
}

/// Starts a created container. What fails ends it, and a hook that fails takes it away: the specification's lifecycle goes on at its
/// end then.
pub(super) fn start(container: &Container, bundle: &Bundle) -> Result<(), Failure> {
    let id = &container.record.id;
    let refuse =
        |problem: &str| Err(Failure::new(FailureKind::NotRunning, format!("container {id:?} {problem}")));
    match container.status() {
        Status::Created => {}
        Status::Running | Status::Paused => return refuse("cannot be started: it is running already"),
        Status::Stopped => return refuse("cannot be started: it has stopped"),
        Status::Creating => return refuse("cannot be started: it is being created"),
    }
    if bundle.spec.process.is_none() {
        return Err(invalid("process", "is missing: there is nothing to start"));
    }
    let Some(pidfd) = container.process() else { return refuse("has stopped") };
    hooks::run_in(bundle, container).map_err(|failure| take_away(container, failure))?;
    if let Err(failure) = go(container, bundle) {
        let _ = tinyd_ns::pidfd::send_signal(&pidfd, libc::SIGKILL);
        super::store::wait_for_end(&pidfd, super::kill::PATIENCE);
        return Err(failure);
    }
    for name in [START, TOLD] {
        let _ = std::fs::remove_file(container.folder.join(name));
    }
    if bundle.is_before(3) {
        // Those versions say: as if it had succeeded.
        hooks::run_each(Moment::Poststart, bundle, container, Status::Running);
        return Ok(());
    }
    hooks::run(Moment::Poststart, bundle, container, Status::Running, None)
        .map_err(|failure| take_away(container, failure))
}

fn take_away(container: &Container, failure: Failure) -> Failure {
    // What cannot be taken away is there to be deleted.
    let _ = super::delete::destroy(container);
    failure
}

/// Says the word, and hears what came of it.
fn go(container: &Container, bundle: &Bundle) -> Result<(), Failure> {
    let failed = |errno| internal("talk to the container's first process", errno);
    let open =
        |name, flags| rustix::fs::open(container.folder.join(name), flags | OFlags::CLOEXEC, Mode::empty());
    let told = open(TOLD, OFlags::RDONLY | OFlags::NONBLOCK).map_err(failed)?;
    let word = open(START, OFlags::WRONLY | OFlags::NONBLOCK).map_err(failed)?;
    rustix::fs::fcntl_setfl(&told, OFlags::empty()).map_err(failed)?;
    rustix::io::write(&word, &[1]).map_err(failed)?;
    let mut ready = false;
    loop {
        let mut packet = [0; Report::LENGTH];
        let length = rustix::io::retry_on_intr(|| rustix::io::read(&told, &mut packet)).map_err(failed)?;
        match Report::from_bytes(&packet[..length]) {
            None if length == 0 && ready => return Ok(()),
            Some(Report::Ready) => ready = true,
            Some(Report::Failed(failure)) => {
                let plan = plan::build(bundle, &create::request(container, bundle))?;
                return Err(launch::explain_exec(&failure, &plan.process));
            }
            _ => {
                let problem = format!("container {:?} ended before its command ran", container.record.id);
                return Err(Failure::new(FailureKind::NotRunning, problem));
            }
        }
    }
}
