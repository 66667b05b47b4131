//! The beginning: after a start of the machine, or an end of all containers, those run again whose policies say so.

use crate::log;
use tinyd_engine::Retire;

/// Starts them; what cannot be started keeps nobody from being served.
pub(crate) fn start_all(engine: &dyn Retire) {
    if let Err(error) = engine.revive() {
        log::line(&format!("not all containers that should run were started: {error}"));
    }
}
