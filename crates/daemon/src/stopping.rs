//! The word that all listeners wait for.

use std::sync::Arc;
use tokio::sync::watch;

/// Ends what waits for it, as a signal does; so does dropping the last of its clones.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<bool>>);

/// Tells when the end has come.
#[derive(Clone, Debug)]
pub(crate) struct Stopping(watch::Receiver<bool>);

/// Both ends.
pub(crate) fn pair() -> (Stop, Stopping) {
    let (sender, receiver) = watch::channel(false);
    (Stop(Arc::new(sender)), Stopping(receiver))
}

impl Stop {
    /// Says it.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stopping {
    /// Returns when it has been said.
    pub(crate) async fn wait(&mut self) {
        // An error is a sender that is gone, which says the same.
        let _ = self.0.wait_for(|said| *said).await;
    }
}
