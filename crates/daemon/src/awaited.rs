//! Connections that have not yet shown what they are. Of very many that do not, the oldest goes.

use std::collections::VecDeque;
use std::future::Future;
use tokio::task::JoinHandle;

/// The tasks that wait for them; they go with the list.
pub(crate) struct Awaited {
    tasks: VecDeque<JoinHandle<()>>,
    most: usize,
}

impl Awaited {
    /// A list of at most so many.
    pub(crate) fn at_most(most: usize) -> Self {
        Self { tasks: VecDeque::new(), most }
    }

    /// Waits for one more.
    pub(crate) fn push(&mut self, one: impl Future<Output = ()> + Send + 'static) {
        self.tasks.retain(|task| !task.is_finished());
        if self.tasks.len() >= self.most
            && let Some(oldest) = self.tasks.pop_front()
        {
            oldest.abort();
        }
        self.tasks.push_back(tokio::spawn(one));
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
