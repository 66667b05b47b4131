//! The only place that names a concrete engine.

use crate::globals::Globals;
use tinyd_engine::Engine;
use tinyd_manager::{EngineConfig, LocalEngine};

/// Opens the engine that runs containers in this process.
pub(crate) fn open(globals: &Globals) -> tinyd_engine::Result<Box<dyn Engine>> {
    let config = EngineConfig {
        root: globals.root.clone(),
        run_root: globals.run_root.clone(),
        runtime: globals.runtime.clone(),
    };
    Ok(Box::new(LocalEngine::open(config)?))
}
