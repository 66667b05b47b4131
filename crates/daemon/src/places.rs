//! How many connections there may be, so that nobody takes all of the daemon's descriptors.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The most of one user, or of all others together.
pub(crate) const MOST: usize = 256;

/// Whose a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    /// A user of this machine.
    User(u32),
    /// Anybody who comes over a network and has shown a certificate, or of whom the kernel does not say who he is.
    Stranger,
}

/// Who has how many connections.
#[derive(Clone)]
pub(crate) struct Places(Arc<Mutex<HashMap<Whose, usize>>>);

/// One of them. It is given back when this is dropped.
pub(crate) struct Place {
    places: Places,
    whose: Whose,
}

impl Places {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// A place for one more connection; none for who has too many.
    pub(crate) fn take(&self, whose: Whose) -> Option<Place> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(whose).or_default();
        (*count < MOST).then(|| {
            *count += 1;
            Place { places: self.clone(), whose }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.whose) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_who_has_too_many_takes_none_from_others() {
        let places = Places::new();
        let taken: Vec<_> = (0..MOST).map(|_| places.take(Whose::User(7)).unwrap()).collect();
        assert!(places.take(Whose::User(7)).is_none());
        assert!(places.take(Whose::User(8)).is_some() && places.take(Whose::Stranger).is_some());
        drop(taken);
        assert!(places.take(Whose::User(7)).is_some());
        assert!(places.0.lock().unwrap().is_empty(), "nothing is kept of those who are gone");
    }
}
