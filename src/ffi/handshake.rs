//! Opening handshake.

use libc::{c_void, ptrdiff_t, size_t};

use super::boundary::{bytes, bytes_mut, guarded, returned};
use crate::error::Error;
use crate::handshake;

/// Computes the Sec-WebSocket-Accept value that answers a client's Sec-WebSocket-Key (RFC 6455 section 4.2.2).
///
/// key is the value of that field, without the white space around it. The answer is written to out without a NUL behind
/// it.
///
/// Returns 28, the length of the answer.
///
/// Errors: WSFRAME_ERROR_HANDSHAKE unless key is the canonical base64 of 16 bytes: answer with HTTP status 400.
/// WSFRAME_ERROR_SPACE if out_cap is below 28. WSFRAME_ERROR_ARGUMENT if key or out is NULL and its length is not 0.
/// WSFRAME_ERROR_INTERNAL as the seventh rule above says.
///
/// # Safety
///
/// key points to key_len readable bytes, out to out_cap bytes that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_accept_key(
    key: *const c_void,
    key_len: size_t,
    out: *mut c_void,
    out_cap: size_t,
) -> ptrdiff_t {
    let call = || {
        // SAFETY: the caller guarantees key_len readable bytes.
        let key = unsafe { bytes(key, key_len) }?;
        // Computed before out is borrowed: the two may overlap.
        let answer = handshake::accept_key(key)?;
        // SAFETY: the caller guarantees out_cap writable bytes.
        let out = unsafe { bytes_mut(out, out_cap) }?;
        *out.first_chunk_mut().ok_or(Error::OutputTooSmall)? = answer;
        Ok(answer.len())
    };
    returned(guarded(call))
}
