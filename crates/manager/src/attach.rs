//! `attach`: a session with a container that runs already.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::life::Life;
use crate::process::readable_by;
use crate::session::{Left, LocalSession};
use crate::store::Record;
use std::time::{Duration, Instant};
use tinyd_engine::{AttachRequest, Session};
use tinyd_runtime::client::{ClientError, Message};
use tinyd_runtime::frame::{self, Kind};

/// What it is called where it fails.
const ACTION: &str = "attach to";

/// How long a monitor has to answer. One of an earlier version never does.
const PATIENCE: Duration = Duration::from_secs(10);

impl Core {
    pub(crate) fn attach(&self, word: &str, request: &AttachRequest) -> Result<Box<dyn Session>> {
        let id = self.resolve(word)?;
        let record = self.known(&id, word)?;
        let refuse = |state, hint| {
            Err(Error::WrongState { action: ACTION, container: record.short().to_owned(), state, hint })
        };
        let live = match self.life(&record, None)? {
            Life::Running(live) => live,
            Life::Gone(_) => return Err(self.no_such(word)),
            Life::Created | Life::Stopped(_) => {
                return refuse("does not run", Some("start it and attach at once with tinyd start -a"));
            }
        };
        let link = match live.monitored {
            true => self.connect(&record)?,
            false => None,
        };
        let Some(mut link) = link else {
            // What carried its streams was killed, and could not be replaced; or it has just ended.
            return refuse("has no monitor at this moment", Some("see tinyd system check"));
        };
        let window = request.window.map(|size| (size.rows, size.columns));
        link.send(Kind::Attach, &frame::attach(request.stdin, window))
            .map_err(|source| failed(&record, source))?;
        let deadline = Instant::now().checked_add(PATIENCE);
        if !readable_by(link.as_fd(), deadline).map_err(|errno| broken(&record, errno.into()))? {
            return refuse("has a monitor that does not answer", Some("see tinyd system check"));
        }
        match link.receive().map_err(|source| failed(&record, source))? {
            Some(Message::Attached) => {
                self.announce(&record, "attach", &[]);
                Ok(LocalSession::of(Left::container(self, &record), link))
            }
            _ => refuse("has just ended", None),
        }
    }
}

fn failed(record: &Record, source: ClientError) -> Error {
    Error::Launch { operation: ACTION, container: record.short().to_owned(), source }
}

fn broken(record: &Record, source: std::io::Error) -> Error {
    failed(record, ClientError::Talk { operation: "wait for", source })
}
