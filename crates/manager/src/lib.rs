//! tinyd manager.
