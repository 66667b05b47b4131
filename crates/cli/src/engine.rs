//! The only place that names a concrete engine.

use crate::globals::Globals;
use tinyd_engine::Engine;
use tinyd_manager::LocalEngine;

/// Opens the engine that runs containers in this process.
pub(crate) fn open(globals: &Globals) -> tinyd_engine::Result<Box<dyn Engine>> {
    let wanted = LocalEngine::builder().root(&globals.root).run_root(&globals.run_root);
    Ok(Box::new(wanted.runtime(globals.runtime.clone()).open()?))
}
