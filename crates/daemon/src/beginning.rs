//! The beginning: after a start of the machine, or an end of all containers, those run again whose policies say so.

use crate::log;
use crate::starts::Starts;
use tinyd_engine::Retire;

/// Starts them, until the daemon ends; what cannot be started keeps no one from being served.
pub(crate) fn start_all(engine: &dyn Retire, starts: &Starts) {
    let Ok(_start) = starts.begin() else { return };
    if let Err(error) = engine.revive(&|| !starts.are_closed()) {
        log::line(&format!("not all containers that should run were started: {error}"));
    }
}
