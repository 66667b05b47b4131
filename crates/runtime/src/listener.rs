//! The agent that answers calls for which a filter says `SCMP_ACT_NOTIFY`: it gets the descriptor on which they wait, with the
//! specification's container process state, before anything waits there.
//!
//! The parent connects to the agent, and the child hands over: only it has the descriptor, and once it has it, whatever else it does
//! may wait for the agent.

use crate::oci::SPECIFICATION;
use crate::{Failure, FailureKind};
use rustix::fs::readlinkat_raw;
use rustix::io::{Errno, IoSlice};
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Stands for the number that the process will have.
const NUMBER: i64 = -8_765_432_109;

/// How long a socket on which somebody listens may take to take a connection, or a message.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to a socket of the engine's. One that is full, and that nobody empties, keeps nobody waiting for ever.
pub(crate) fn reach(path: &Path) -> Result<OwnedFd, Errno> {
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Where the agent is.
pub(crate) struct Listener {
    path: PathBuf,
    metadata: String,
    id: String,
    bundle: PathBuf,
    annotations: Option<HashMap<String, String>>,
    connection: Option<OwnedFd>,
    /// The document, in the three parts that the number of the process stands between.
    parts: [Vec<u8>; 3],
    number: ([u8; 16], usize),
}

impl Listener {
    pub(crate) fn new(path: PathBuf, metadata: String) -> Self {
        Self {
            path,
            metadata,
            id: String::new(),
            bundle: PathBuf::new(),
            annotations: None,
            connection: None,
            parts: Default::default(),
            number: ([0; 16], 0),
        }
    }

    /// Whose calls wait.
    pub(crate) fn of(
        mut self,
        id: &str,
        bundle: &Path,
        annotations: Option<&HashMap<String, String>>,
    ) -> Self {
        id.clone_into(&mut self.id);
        self.of_bundle(bundle);
        self.annotations = annotations.cloned();
        self
    }

    /// The folder that a container was made of.
    pub(crate) fn of_bundle(&mut self, bundle: &Path) {
        bundle.clone_into(&mut self.bundle);
    }

    /// Reaches the agent, and writes down all that can be known before the process is there.
    pub(crate) fn connect(&mut self, status: &str) -> Result<(), Failure> {
        let connection = reach(&self.path).map_err(|errno| {
            let message = format!("reach the agent of the seccomp filter at {}", self.path.display());
            Failure::new(FailureKind::Invalid, message).caused_by(&std::io::Error::from(errno))
        })?;
        self.connection = Some(connection);
        // No text in a document holds this: its quotes would have backslashes.
        let key = "\"pid\":";
        let text = self.document(status).to_string();
        let place = format!("{key}{NUMBER}");
        let mut parts = text.split(&place);
        self.parts = [key, key, ""].map(|end| [parts.next().unwrap_or_default(), end].concat().into_bytes());
        Ok(())
    }

    pub(crate) fn as_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.connection.iter().map(AsFd::as_fd)
    }

    /// *Child-side.* Learns this process's number, as the host has it, while the host's `/proc` is there.
    pub(crate) fn learn_number(&mut self) -> Result<(), Errno> {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 16];
        let (link, _) = readlinkat_raw(crate::init::proc_of_host()?, c"self", &mut buffer)?;
        let (number, length) = &mut self.number;
        number.get_mut(..link.len()).ok_or(Errno::OVERFLOW)?.copy_from_slice(link);
        *length = link.len();
        Ok(())
    }

    /// *Child-side.* Hands the descriptor over, in one message.
    pub(crate) fn hand_over(&mut self, calls: BorrowedFd<'_>) -> Result<(), Errno> {
        let connection = self.connection.take().ok_or(Errno::NOTCONN)?;
        let number = self.number.0.get(..self.number.1).ok_or(Errno::OVERFLOW)?;
        let [first, second, third] = &self.parts;
        let message = [first.as_slice(), number, second, number, third].map(IoSlice::new);
        let calls = [calls];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&calls)) {
            return Err(Errno::NOBUFS);
        }
        let sent = rustix::net::sendmsg(&connection, &message, &mut control, SendFlags::NOSIGNAL)?;
        let length: usize = message.iter().map(|part| part.len()).sum();
        if sent == length { Ok(()) } else { Err(Errno::MSGSIZE) }
    }

    fn document(&self, status: &str) -> Value {
        let mut state = json!({
            "ociVersion": SPECIFICATION, "id": self.id, "status": status, "pid": NUMBER, "bundle": self.bundle,
        });
        let mut all = json!({ "ociVersion": SPECIFICATION, "fds": ["seccompFd"], "pid": NUMBER });
        if let (Some(annotations), Some(state)) = (&self.annotations, state.as_object_mut()) {
            state.insert("annotations".to_owned(), json!(annotations));
        }
        if let Some(all) = all.as_object_mut() {
            if !self.metadata.is_empty() {
                all.insert("metadata".to_owned(), json!(self.metadata));
            }
            all.insert("state".to_owned(), state);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::unix::net::UnixListener;

    #[test]
    fn an_agent_gets_the_descriptor_with_the_state_of_the_process() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("agent");
        let annotations = HashMap::from([("a\"pid\":".to_owned(), NUMBER.to_string())]);
        let listener = Listener::new(path.clone(), "of the agent".into());
        let mut listener = listener.of("one", Path::new("/b"), Some(&annotations));
        let failure = listener.connect("created").unwrap_err().to_string();
        assert!(failure.contains("agent"), "{failure}");
        let agent = UnixListener::bind(&path).unwrap();
        listener.connect("created").unwrap();
        assert_eq!(listener.as_fds().count(), 1);
        listener.learn_number().unwrap();
        let calls = std::fs::File::open("/").unwrap();
        listener.hand_over(calls.as_fd()).unwrap();
        assert_eq!(listener.hand_over(calls.as_fd()), Err(Errno::NOTCONN));
        let mut text = String::new();
        agent.accept().unwrap().0.read_to_string(&mut text).unwrap();
        let found: Value = serde_json::from_str(&text).unwrap();
        let pid = std::process::id();
        let state = json!({ "ociVersion": SPECIFICATION, "id": "one", "status": "created", "pid": pid, "bundle": "/b", "annotations": annotations });
        let expected = json!({
            "ociVersion": SPECIFICATION, "fds": ["seccompFd"], "pid": pid, "metadata": "of the agent", "state": state,
        });
        assert_eq!(found, expected);
    }
}
