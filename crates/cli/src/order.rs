//! Waiting for those that a container is to be started after, as long as the user likes: signals still end the program here.

use std::time::Duration;
use tinyd_engine::{After, Engine};

/// How long until it is looked again, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// Waits for them.
pub(crate) fn wait(engine: &dyn Engine, after: &[After]) -> tinyd_engine::Result<()> {
    let (mut pause, most) = PAUSE;
    while !after.is_empty() && !engine.are_ready(after)? {
        std::thread::sleep(pause);
        pause = (pause * 2).min(most);
    }
    Ok(())
}
