//! `exec`: a further command in a running container.

use crate::cgroups;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::ids;
use crate::life::Life;
use crate::session::{Left, LocalSession};
use crate::validate::{self, User};
use tinyd_engine::{ExecSpec, Session};
use tinyd_runtime::client::ClientError;
use tinyd_runtime::{ExecRequest, FailureKind, Request};

/// What it is called where it fails.
const ACTION: &str = "run a command in";

impl Core {
    pub(crate) fn exec(&self, word: &str, spec: &ExecSpec) -> Result<Option<Box<dyn Session>>> {
        validate::command(&spec.command)?;
        validate::env(&spec.env)?;
        if let Some(workdir) = &spec.workdir {
            validate::workdir(workdir)?;
        }
        let id = self.resolve(word)?;
        let record = self.known(&id, word)?;
        if let Some(text) = &spec.user
            && User::parse(text)?.highest() >= ids::RANGE
            && record.slot.is_some()
        {
            let problem = format!("lies outside the {} ids of the container's user namespace", ids::RANGE);
            return Err(Error::invalid("user", text, problem));
        }
        if !matches!(self.life(&record, None)?, Life::Running(_)) {
            return Err(Error::WrongState {
                action: ACTION,
                container: record.short().to_owned(),
                state: "does not run",
                hint: Some("start it first with tinyd start"),
            });
        }
        let mut events = self.event_plan(&record);
        events.attributes.insert("execID".to_owned(), ids::new_id()?);
        events.attributes.insert("command".to_owned(), shortened(spec.command.join(" ")));
        events.tell(&id, "exec_create", &[]);
        let request = Request::Exec(Box::new(ExecRequest {
            bundle: self.store.container(&id),
            run_dir: self.store.run_dir(&id),
            cgroup: cgroups::path(&record),
            protect_program: record.slot.is_none(),
            args: spec.command.clone(),
            env: spec.env.clone(),
            cwd: spec.workdir.clone(),
            user: spec.user.clone(),
            terminal: spec.tty,
            interactive: spec.interactive,
            detach: spec.detach,
            window: spec.window.map(|size| (size.rows, size.columns)),
            events: Some(events.clone()),
            id,
        }));
        let launch =
            self.launcher.launch(&self.runtime()?, &request, None, None, &mut || {}).map_err(|source| {
                let container = record.short().to_owned();
                match source {
                    ClientError::Failed(failure) if failure.kind == FailureKind::Paused => {
                        Error::WrongState {
                            action: ACTION,
                            container,
                            state: "is paused",
                            hint: Some("let it go on first with tinyd unpause"),
                        }
                    }
                    source => Error::Launch { operation: ACTION, container, source },
                }
            })?;
        Ok((!spec.detach).then(|| LocalSession::of(Left::further(events, &record), launch.link)))
    }
}

/// The beginning of a command, for who is told that it runs: its words may be as long as the kernel takes them.
fn shortened(mut command: String) -> String {
    const MOST_BYTES: usize = 4096;
    if command.len() > MOST_BYTES {
        command
            .truncate((0..=MOST_BYTES).rev().find(|end| command.is_char_boundary(*end)).unwrap_or_default());
        command.push('…');
    }
    command
}
