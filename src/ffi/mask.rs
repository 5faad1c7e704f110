//! Masking.

use libc::{c_void, ptrdiff_t, size_t};

use super::boundary::{bytes_and_out, bytes_mut, place, returned};
use crate::mask;

/// Unmasks, or masks, which is the same act, the len bytes at in and writes them to out (RFC 6455 section 5.3). out may be
/// in itself, and is then unmasked in place; else it may not reach into it. The copy costs little more than unmasking in
/// place: use it to move a payload out of a receive buffer.
///
/// key points to the four bytes of the masking key. offset is the position of in in the payload, for a payload that is
/// worked on piece by piece: 0 for its start.
///
/// Returns len.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if key is NULL, in or out is NULL and len is not 0, in and out overlap without being the
/// same, or len is above PTRDIFF_MAX.
///
/// # Safety
///
/// in points to len readable bytes, key to four, out to len bytes that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_unmask(
    r#in: *const c_void,
    len: size_t,
    key: *const c_void,
    offset: size_t,
    out: *mut c_void,
) -> ptrdiff_t {
    let call = || {
        let key = place(key.cast())?;
        // SAFETY: not NULL, and the caller guarantees four readable bytes. They are copied, so they may lie in out.
        let key = unsafe { key.read() };
        if r#in == out.cast_const() {
            // SAFETY: the caller guarantees len bytes that can be written, and those are all.
            mask::unmask(unsafe { bytes_mut(out, len) }?, key, offset);
        } else {
            // SAFETY: the caller guarantees len readable bytes at in and len writable bytes at out.
            let (input, out) = unsafe { bytes_and_out(r#in, len, out, len) }?;
            mask::unmask_copy(input, key, offset, out)?;
        }
        Ok(len)
    };
    returned(call())
}
