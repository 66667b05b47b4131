//! Waiting for what may never come.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// What a driver takes at most for whatever another program or host has to do with, see
/// [`VolumeDriver`](crate::VolumeDriver).
pub(crate) const WHOLE: Duration = Duration::from_secs(10);

/// How often something is looked at that does not tell.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// Does something on a thread of its own and waits for it until then; `None` when it has not come back. The thread that stays
/// behind ends with what it waits for, or with the process: a file system that does not answer is waited for killably.
pub(crate) fn within<T: Send + 'static>(
    until: Instant,
    look: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (told, answer) = mpsc::channel();
    let tell = move || drop(told.send(look()));
    thread::Builder::new().name("volume-look".to_owned()).spawn(tell).ok()?;
    answer.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
}

/// Waits until something is so; `false` when it has not become so by then.
pub(crate) fn until_so(
    until: Instant,
    mut is_so: impl FnMut() -> crate::Result<bool>,
) -> crate::Result<bool> {
    loop {
        if is_so()? {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_nobody_waits_longer_than_said() {
        let soon = Instant::now() + Duration::from_millis(50);
        assert_eq!(within(soon, || thread::sleep(Duration::from_secs(600))), None);
        assert_eq!(within(Instant::now() + Duration::from_secs(60), || 5), Some(5));
        assert!(!until_so(Instant::now(), || Ok(false)).unwrap());
        let mut looks = 0;
        let later = Instant::now() + Duration::from_secs(60);
        assert!(
            until_so(later, || {
                looks += 1;
                Ok(looks == 3)
            })
            .unwrap()
        );
    }
}
