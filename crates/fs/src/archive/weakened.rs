//! Packing as careless programs do it, to prove that the attack tests notice (`cargo xtask weakened`). It reads what it should not,
//! and writes nothing but its archive.

use std::sync::atomic::{AtomicBool, Ordering};

static FOLLOW: AtomicBool = AtomicBool::new(false);

/// From now on what a link leads to is packed in its place.
pub fn follow_links() {
    FOLLOW.store(true, Ordering::Relaxed);
}

pub(super) fn follows_links() -> bool {
    FOLLOW.load(Ordering::Relaxed)
}
