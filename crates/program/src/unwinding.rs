//! What the standard library calls to walk the stack. A panic of this program ends it, and where it is linked for size it has no
//! tables to walk by: a walk finds no frame. The library that would find that out is a thirtieth of the program; as long as all of
//! its names that are called are here, it is left out (ADR 41).

use std::ffi::{c_int, c_void};

/// `_URC_END_OF_STACK`, of the C++ ABI for exceptions.
const NO_MORE_FRAMES: c_int = 5;

/// Called for a backtrace.
// SAFETY: the name is the ABI's and stands for what it does there; nothing is read or written.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_: *const c_void, _: *mut c_void) -> c_int {
    NO_MORE_FRAMES
}

macro_rules! never_called {
    ($($name:ident)*) => { $(
        /// Called for a frame, or for a panic that goes on: there is neither.
        // SAFETY: the name is the ABI's; whoever calls it does not go on.
        #[unsafe(no_mangle)]
        extern "C" fn $name() -> ! {
            std::process::abort()
        }
    )* };
}

never_called! {
    _Unwind_GetDataRelBase
    _Unwind_GetIP
    _Unwind_GetIPInfo
    _Unwind_GetLanguageSpecificData
    _Unwind_GetRegionStart
    _Unwind_GetTextRelBase
    _Unwind_Resume
    _Unwind_SetGR
    _Unwind_SetIP
}
