//! tinyd engine.
