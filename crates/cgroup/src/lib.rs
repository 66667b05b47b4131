//! Linux control groups v1, v2 and hybrid behind one object-safe trait.
