//! C strings, and arrays of them as execve(2) wants them.

use super::spec::invalid;
use crate::Failure;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Strings, and an array of pointers to them that a null pointer ends.
pub(crate) struct CStrings {
    // The pointers point into the heap blocks of these, which do not move when the vector does.
    strings: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl CStrings {
    /// With `spare` null pointers more than the one at the end.
    pub(crate) fn new(strings: Vec<CString>, spare: usize) -> Self {
        let pointers = strings
            .iter()
            .map(|s| s.as_ptr())
            .chain(std::iter::repeat_n(std::ptr::null(), spare + 1))
            .collect();
        Self { strings, pointers }
    }

    pub(crate) fn as_ptr(&self) -> *const *const libc::c_char {
        self.pointers.as_ptr()
    }

    /// Puts a pointer into the first spare place. It must stay valid for as long as the array is used.
    pub(crate) fn fill_spare(&mut self, pointer: *const libc::c_char) {
        if let Some(place) = self.pointers.get_mut(self.strings.len()) {
            *place = pointer;
        }
    }

    pub(crate) fn first(&self) -> Option<&CString> {
        self.strings.first()
    }
}

/// A path or text without a zero byte.
pub(crate) fn c_path(property: &str, path: &Path) -> Result<CString, Failure> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| invalid(property, "holds a zero byte"))
}
