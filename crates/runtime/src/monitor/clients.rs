//! Those who are connected to the monitor: who started the command, who attached to it later, and who waits for the exit.

use super::client::Client;
use crate::defence::{self, Defence};
use crate::frame::{Kind, MAX_PAYLOAD};
use crate::state::ExitRecord;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

/// All connections, and the socket at which new ones come in.
pub(crate) struct Clients {
    listener: Option<OwnedFd>,
    pub(crate) all: Vec<Client>,
    /// No more can be accepted until someone leaves.
    crowded: bool,
}

/// What it means that clients have left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// One of them was lost, and nobody is attached any more.
    pub(super) session: bool,
    /// One of them was lost that gave input, and nobody else does.
    pub(super) input: bool,
}

impl Clients {
    pub(crate) fn new(listener: OwnedFd) -> Self {
        Self { listener: Some(listener), all: Vec::new(), crowded: false }
    }

    /// A single one, and no more to come.
    pub(crate) fn only(client: Client) -> Self {
        Self { listener: None, all: vec![client], crowded: false }
    }

    pub(crate) fn add(&mut self, client: Client) {
        self.all.push(client);
    }

    pub(super) fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        loop {
            match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
                Ok(socket) if is_own(&socket) => self.all.push(Client::new(socket, false)),
                // Whoever else has got as far as the socket is not answered.
                Ok(_) => {}
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // No descriptor is left for another one: the next has to wait until someone leaves.
                Err(_) => {
                    self.crowded = true;
                    return;
                }
            }
        }
    }

    /// Where new ones come in, if there is room for them.
    pub(super) fn open_listener(&self) -> Option<&OwnedFd> {
        self.listener.as_ref().filter(|_| !self.crowded)
    }

    /// Forgets those who have left.
    pub(super) fn drop_gone(&mut self) -> Left {
        let lost = self.all.iter().any(Client::is_lost);
        let lost_input = self.all.iter().any(|client| client.is_lost() && client.gives_input());
        let before = self.all.len();
        self.all.retain(|client| !client.is_gone());
        if self.all.len() < before {
            self.crowded = false;
        }
        Left { session: lost && !self.has_session(), input: lost_input && !self.give_input() }
    }

    fn has_session(&self) -> bool {
        self.all.iter().any(Client::is_attached)
    }

    /// Input may still come of somebody.
    pub(super) fn give_input(&self) -> bool {
        self.all.iter().any(Client::gives_input)
    }

    /// Tells the exit, behind what was written; those who have taken everything are let go.
    pub(super) fn tell(&mut self, exit: &ExitRecord) {
        // Whoever has just connected, too; nobody after that.
        self.accept();
        self.listener = None;
        for client in &mut self.all {
            client.queue(Kind::Exited, exit);
        }
        self.all.retain(Client::is_waiting);
    }

    /// Sends everything that waits, however long that takes: those who do not take what was written for them (they are
    /// stopped, or a pager waits) hold up nothing but this process, and no other client.
    pub(crate) fn deliver(mut self) {
        loop {
            self.all.iter_mut().for_each(Client::flush);
            // Who has everything is let go.
            self.all.retain(Client::is_waiting);
            let mut fds: Vec<_> = self
                .all
                .iter()
                .map(|client| PollFd::from_borrowed_fd(client.as_fd(), PollFlags::OUT))
                .collect();
            if fds.is_empty() || rustix::io::retry_on_intr(|| poll(&mut fds, None)).is_err() {
                return;
            }
        }
    }

    /// Passes output on.
    pub(super) fn output(&mut self, kind: Kind, bytes: &[u8]) {
        for piece in bytes.chunks(MAX_PAYLOAD) {
            self.all.iter_mut().for_each(|client| client.output(kind, piece));
        }
    }

    /// Someone for whom the command waits does not take what it writes: nothing more is read until it does.
    pub(super) fn are_full(&self) -> bool {
        self.all.iter().any(Client::holds_up)
    }

    /// How long such a client may still be waited for; `None` where nobody waits with the command.
    pub(super) fn patience_left(&self) -> Option<Duration> {
        let others = self.all.iter().filter(|client| client.is_attached()).count() > 1;
        let holding = self.all.iter().filter(|client| others && client.holds_up());
        holding.map(Client::patience_left).min()
    }

    /// Waits no longer for those whose time is up.
    pub(super) fn lose_patience(&mut self) {
        if self.patience_left().is_some_and(|left| left.is_zero()) {
            let late = |client: &&mut Client| client.holds_up() && client.patience_left().is_zero();
            self.all.iter_mut().filter(late).for_each(Client::no_longer_holds);
        }
    }
}

/// Whether this user is at the other end. Root of a user namespace that was shown the socket is somebody else here.
fn is_own(socket: &OwnedFd) -> bool {
    let peer = rustix::net::sockopt::socket_peercred(socket);
    peer.is_ok_and(|peer| peer.uid == rustix::process::geteuid()) || !defence::on(Defence::PeerCheck)
}
