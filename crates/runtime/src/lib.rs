//! tinyd runtime.
