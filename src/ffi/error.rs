//! Version and errors.

use std::ptr::null;

use libc::{c_char, ptrdiff_t};

use super::boundary::last_error;
use crate::error::ErrorCode;

/// Returns the version of the library that was loaded: major * 65536 + minor * 256 + patch.
///
/// WSFRAME_VERSION is the version of the header. A program fits the library if the major numbers are equal and the
/// library's version is not the lower one.
#[unsafe(no_mangle)]
pub extern "C" fn wsframe_version() -> u32 {
    VERSION
}

/// Returns an English sentence for the log that says what a return value below 0 means. The string is static and ends
/// with NUL. It is never NULL: for 0 and more the sentence says that there is no error, for a number that is no
/// WSFRAME_ERROR_* that it is unknown.
#[unsafe(no_mangle)]
pub extern "C" fn wsframe_strerror(error: ptrdiff_t) -> *const c_char {
    let sentence = match ErrorCode::from_number(error) {
        Some(code) => code.sentence(),
        None if error >= 0 => c"no error",
        None => c"an error that this version of libwsframe does not know",
    };
    sentence.as_ptr()
}

/// Returns an English sentence for the log that says why this thread's last call failed that returned less than 0, to the
/// exact cause, where wsframe_strerror() only knows the kind. The string is static and ends with NUL; NULL if no call has
/// failed in this thread.
#[unsafe(no_mangle)]
pub extern "C" fn wsframe_why() -> *const c_char {
    last_error().map_or(null(), |error| error.c_sentence().as_ptr())
}

/// Returns the close code that tells the peer of an error (RFC 6455 section 7.4.1): 1002, 1007, 1008 or 1009 for its own
/// faults, 1011 for WSFRAME_ERROR_MEMORY and _INTERNAL. Returns 0 where no close frame is due: for what is no error, for
/// WSFRAME_ERROR_HANDSHAKE, which is answered with an HTTP status, and for the other errors of the call.
#[unsafe(no_mangle)]
pub extern "C" fn wsframe_close_code(error: ptrdiff_t) -> u16 {
    ErrorCode::from_number(error).map_or(0, ErrorCode::close_code)
}

const VERSION: u32 = number(env!("CARGO_PKG_VERSION_MAJOR")) << 16
    | number(env!("CARGO_PKG_VERSION_MINOR")) << 8
    | number(env!("CARGO_PKG_VERSION_PATCH"));

const fn number(digits: &str) -> u32 {
    match u32::from_str_radix(digits, 10) {
        Ok(number) => number,
        Err(_) => 0,
    }
}
