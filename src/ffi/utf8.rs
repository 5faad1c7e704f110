//! UTF-8.

use libc::{c_void, ptrdiff_t, size_t};

use super::boundary::{bytes, returned};
use crate::guard::guarded;
use crate::utf8;

/// Checks that the len bytes at in are UTF-8, as the text of a message must be (RFC 6455 section 8.1).
///
/// Returns how many bytes at the start of in are whole characters. That is len if all of in is UTF-8. If it is less, the
/// last one to three bytes are the start of a character: between the pieces of a message keep them in front of the next
/// piece, at the end of the message treat them as WSFRAME_ERROR_UTF8.
///
/// Errors: WSFRAME_ERROR_UTF8 if no continuation can make in valid: a byte that does not belong, an over-long form, a
/// surrogate, or more than U+10FFFF. WSFRAME_ERROR_ARGUMENT if in is NULL and len is not 0, or len is above PTRDIFF_MAX.
/// WSFRAME_ERROR_INTERNAL as the seventh rule above says.
///
/// # Safety
///
/// in points to len readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_utf8_check(r#in: *const c_void, len: size_t) -> ptrdiff_t {
    let call = || {
        // SAFETY: the caller guarantees len readable bytes.
        let input = unsafe { bytes(r#in, len) }?;
        utf8::check(input)
    };
    returned(guarded(call))
}
