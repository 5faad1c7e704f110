//! Masking.

use libc::{c_void, ptrdiff_t, size_t};

use super::boundary::{bytes_and_out, bytes_mut, place, returned};
use crate::mask;

/// Unmasks, or masks, which is the same act, the len bytes at data in place (RFC 6455 section 5.3).
///
/// key points to the four bytes of the masking key. offset is the position of data in the payload, for a payload that is
/// worked on piece by piece: 0 for its start. Use wsframe_unmask_copy() if data must stay as it is.
///
/// Returns len.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if key is NULL, data is NULL and len is not 0, or len is above PTRDIFF_MAX.
///
/// # Safety
///
/// data points to len bytes that can be read and written, key to four readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_unmask(
    data: *mut c_void,
    len: size_t,
    key: *const c_void,
    offset: size_t,
) -> ptrdiff_t {
    let call = || {
        let key = place(key.cast())?;
        // SAFETY: not NULL, and the caller guarantees four readable bytes. They are copied, so they may lie in data.
        let key = unsafe { key.read() };
        // SAFETY: the caller guarantees len bytes.
        let data = unsafe { bytes_mut(data, len) }?;
        mask::unmask(data, key, offset);
        Ok(len)
    };
    returned(call())
}

/// Unmasks, or masks, the len bytes at in and writes them to the len bytes at out (RFC 6455 section 5.3). The copy costs
/// little more than wsframe_unmask(): use it to move a payload out of a receive buffer.
///
/// key points to the four bytes of the masking key. offset is the position of in in the payload: 0 for its start.
///
/// Returns len.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if key is NULL, in or out is NULL and len is not 0, in and out overlap, or len is above
/// PTRDIFF_MAX.
///
/// # Safety
///
/// in points to len readable bytes, key to four, out to len bytes that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_unmask_copy(
    r#in: *const c_void,
    len: size_t,
    key: *const c_void,
    offset: size_t,
    out: *mut c_void,
) -> ptrdiff_t {
    let call = || {
        let key = place(key.cast())?;
        // SAFETY: not NULL, and the caller guarantees four readable bytes.
        let key = unsafe { key.read() };
        // SAFETY: the caller guarantees len readable bytes at in and len writable bytes at out.
        let (input, out) = unsafe { bytes_and_out(r#in, len, out, len) }?;
        mask::unmask_copy(input, key, offset, out)?;
        Ok(len)
    };
    returned(call())
}
