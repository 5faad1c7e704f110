//! Opening handshake.

use std::panic::AssertUnwindSafe;

use libc::{c_void, ptrdiff_t, size_t};

use super::boundary::{bytes, bytes_mut, returned};
use super::records::wsframe_config;
use crate::connection::{ConfigFlag, Connection, Role, State};
use crate::error::Error;
use crate::guard::guarded;
use crate::handshake::{self, HeadReader};

/// Computes the Sec-WebSocket-Accept value that answers a client's Sec-WebSocket-Key (RFC 6455 section 4.2.2).
///
/// key is the value of that field, without the white space around it. The answer is written to out without a NUL behind
/// it.
///
/// Returns 28, the length of the answer.
///
/// Errors: WSFRAME_ERROR_HANDSHAKE unless key is the base64 of 16 bytes: answer with HTTP status 400.
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

/// Computes the response to the opening handshake whose head is the in_len bytes at in, for hosts that have read it
/// themselves: "GET /chat HTTP/1.1", the fields, and the blank line, each line ending with CR LF. config may be NULL for
/// the defaults. The connection then starts with WSFRAME_CONFIG_START_OPEN, and with the extensions of the response.
///
/// Returns the length of the response. It lets the client in if its status, at out + 9, is 101; other responses refuse,
/// and TCP is to be closed after them.
///
/// Errors: WSFRAME_ERROR_HANDSHAKE if in is not a head up to its blank line and nothing else. WSFRAME_ERROR_STATE if the
/// config has WSFRAME_CONFIG_ASK. WSFRAME_ERROR_SPACE if out_cap is too
/// small; 1,024 is enough without subprotocols of unusual length. WSFRAME_ERROR_ARGUMENT for a wrong config, or if a pointer
/// is NULL and its length is not 0.
///
/// # Safety
///
/// in points to in_len readable bytes, config is NULL or points to a config, out to out_cap bytes that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_handshake_answer(
    r#in: *const c_void,
    in_len: size_t,
    config: *const wsframe_config,
    out: *mut c_void,
    out_cap: size_t,
) -> ptrdiff_t {
    let call = || {
        // SAFETY: the caller guarantees in_len readable bytes.
        let head = unsafe { bytes(r#in, in_len) }?;
        // SAFETY: the caller guarantees the config.
        let mut config = unsafe { wsframe_config::read(config) }?;
        // That is for the connection that follows, and one config may serve both.
        config.settings.flags &= !(ConfigFlag::StartOpen as u32);
        if HeadReader::default().push(head)? != Some(head.len()) {
            return Err(Error::MalformedHead);
        }
        let mut connection = Connection::new(Role::Server, &config)?;
        connection.receive(head)?;
        if connection.state() == State::Asked {
            return Err(Error::AsksConfig);
        }
        let answer = connection.output(0, 0)?.bytes;
        // SAFETY: the caller guarantees out_cap writable bytes; in is not needed any more.
        let out = unsafe { bytes_mut(out, out_cap) }?;
        out.get_mut(..answer.len()).ok_or(Error::OutputTooSmall)?.copy_from_slice(answer);
        Ok(answer.len())
    };
    returned(guarded(AssertUnwindSafe(call)))
}

/// Computes the Sec-WebSocket-Extensions of a response, for hosts that write it themselves (RFC 7692 section 5). in are the
/// in_len bytes of that field of the request, several of them joined with commas. What is written goes into the response,
/// and into the extensions of the config with which the connection then starts. The config has WSFRAME_CONFIG_DEFLATE.
///
/// Returns how many bytes were written; 0 says that the response must not have the field: nothing was offered that can be
/// accepted, or the config does not want it.
///
/// Errors: WSFRAME_ERROR_HANDSHAKE if in is no list of extensions. WSFRAME_ERROR_SPACE if out_cap is too small; 128 always
/// is enough. WSFRAME_ERROR_ARGUMENT for a wrong config, or if a pointer is NULL and its length is not 0.
///
/// # Safety
///
/// in points to in_len readable bytes, config is NULL or points to a config, out to out_cap bytes that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_extensions_answer(
    r#in: *const c_void,
    in_len: size_t,
    config: *const wsframe_config,
    out: *mut c_void,
    out_cap: size_t,
) -> ptrdiff_t {
    let call = || {
        // SAFETY: the caller guarantees in_len readable bytes.
        let offers = unsafe { bytes(r#in, in_len) }?;
        // SAFETY: the caller guarantees the config.
        let config = unsafe { wsframe_config::read(config) }?;
        let Some(answer) = config.answer_extensions(offers)? else { return Ok(0) };
        // SAFETY: the caller guarantees out_cap writable bytes; in is not needed any more.
        let out = unsafe { bytes_mut(out, out_cap) }?;
        out.get_mut(..answer.len()).ok_or(Error::OutputTooSmall)?.copy_from_slice(answer.as_bytes());
        Ok(answer.len())
    };
    returned(guarded(AssertUnwindSafe(call)))
}
