//! Message.

use std::panic::AssertUnwindSafe;

use libc::{c_void, ptrdiff_t, size_t};

use super::boundary::{bytes, freed, leaked, place, returned};
use super::records::{Sending, wsframe_config};
use crate::connection::Message;
use crate::error::Error;
use crate::frame::Opcode;
use crate::guard::guarded;

/// A message that is checked and compressed once, and sent on many connections.
///
/// It does not change: any number of threads may send it at the same time. It may be freed as soon as it was sent: what
/// connections still need of it lives until they have written it.
#[allow(non_camel_case_types)]
pub struct wsframe_message(pub(super) Message);

/// Prepares a message for many connections and writes its handle to *message: checks it, and compresses it if the config has
/// WSFRAME_CONFIG_DEFLATE, without a context, which every receiver understands. opcode, without
/// WSFRAME_OPCODE_MORE, and in are those of a message for wsframe_connection_send(); config is that of the connections it is meant for, and may be NULL for the defaults.
///
/// The handle lives until wsframe_message_free(); in is copied.
///
/// Returns 0.
///
/// Errors: WSFRAME_ERROR_ARGUMENT for another opcode, text that is not UTF-8, a wrong config or a NULL pointer;
/// WSFRAME_ERROR_MEMORY.
///
/// # Safety
///
/// in points to in_len readable bytes, config is NULL or points to a config, message to a pointer that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_message_new(
    opcode: u32,
    r#in: *const c_void,
    in_len: size_t,
    config: *const wsframe_config,
    message: *mut *mut wsframe_message,
) -> ptrdiff_t {
    let call = || {
        let out = place(message)?;
        // SAFETY: the caller guarantees in_len readable bytes.
        let payload = unsafe { bytes(r#in, in_len) }?;
        // SAFETY: the caller guarantees the config.
        let config = unsafe { wsframe_config::read(config) }?;
        let Sending { opcode, compress, more } = Sending::read(opcode)?;
        if more || !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(Error::SendNotData);
        }
        let handle = leaked(wsframe_message(Message::new(opcode, payload, compress, &config)?))?;
        // SAFETY: not NULL, and the caller guarantees that a pointer can be written there.
        unsafe { out.write(handle) };
        Ok(0)
    };
    returned(guarded(AssertUnwindSafe(call)))
}

/// Frees a message. NULL does nothing. No call may be using it.
///
/// # Safety
///
/// message is NULL or came from wsframe_message_new() and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_message_free(message: *mut wsframe_message) {
    // SAFETY: as the caller guarantees.
    unsafe { freed(message) };
}
