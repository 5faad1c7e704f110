//! Connection: what is not about bytes.

mod opening;
mod output;
mod receive;
mod send;

use std::panic::AssertUnwindSafe;
use std::ptr::null;

use libc::{c_char, c_void, ptrdiff_t};

use super::boundary::{freed, leaked, place, returned};
use super::handles::{is_lent, lend, on, wsframe_connection};
use super::records::{role_of, wsframe_config, wsframe_deflate};
use crate::connection::Connection;
use crate::guard::guarded;

pub use opening::{
    wsframe_connection_accept, wsframe_connection_add_field, wsframe_connection_field, wsframe_connection_field_at,
    wsframe_connection_request, wsframe_connection_respond, wsframe_connection_target,
};
pub use output::{wsframe_connection_output, wsframe_connection_parts, wsframe_connection_waiting};
pub use receive::{wsframe_connection_gone, wsframe_connection_receive, wsframe_connection_receive_in_place};
pub use send::{
    wsframe_connection_close, wsframe_connection_send, wsframe_connection_send_many, wsframe_connection_send_message,
};

/// Makes a connection and writes its handle to *connection. role is WSFRAME_ROLE_SERVER or WSFRAME_ROLE_CLIENT; config may
/// be NULL for the defaults. A server then waits for a request, a client for wsframe_connection_request().
///
/// The handle lives until wsframe_connection_free(). An open connection that nothing is happening on takes at most
/// 256 bytes of memory, and once compressed messages were exchanged as many more as the next may refer to: see
/// server_max_window_bits and client_max_window_bits of the config. What compresses them is shared by the connections of a
/// thread; only while a compressed message has come in part, its connection has an inflater of 68 KB to itself.
///
/// Returns 0.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if connection is NULL, role is another number, or the config is wrong, of which
/// wsframe_why() says how; WSFRAME_ERROR_MEMORY.
///
/// # Safety
///
/// config is NULL or points to a config, connection to a pointer that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_new(
    role: u32,
    config: *const wsframe_config,
    connection: *mut *mut wsframe_connection,
) -> ptrdiff_t {
    let call = || {
        let out = place(connection)?;
        let role = role_of(role)?;
        // SAFETY: the caller guarantees the config.
        let config = unsafe { wsframe_config::read(config) }?;
        let handle = leaked(wsframe_connection::own(Connection::new(role, &config)?))?;
        // SAFETY: not NULL, and the caller guarantees that a pointer can be written there.
        unsafe { out.write(handle) };
        Ok(0)
    };
    returned(guarded(AssertUnwindSafe(call)))
}

/// Frees a connection and all that it lent. NULL does nothing, and neither does a connection that a hub has lent. No call may
/// be running on it.
///
/// # Safety
///
/// connection is NULL, or came from wsframe_connection_new() and was not freed, or is lent by a hub.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_free(connection: *mut wsframe_connection) {
    // SAFETY: as the caller guarantees, no call is running.
    if !unsafe { is_lent(connection) } {
        // SAFETY: as the caller guarantees, and it is no hub's.
        unsafe { freed(connection) };
    }
}

/// Returns how far the connection has come: one of WSFRAME_STATE_*.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if it is NULL, WSFRAME_ERROR_STATE if it is dead or another call is running on it.
///
/// # Safety
///
/// connection is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_state(connection: *const wsframe_connection) -> ptrdiff_t {
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection.cast_mut(), |connection| Ok(connection.state() as usize)) }
}

/// Returns a sentence for the log that says why the connection failed, to the exact cause: what the peer did wrong or did
/// not do in time, or that memory ran out; NULL if it has not failed. The string is static.
///
/// # Safety
///
/// connection is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_error(connection: *const wsframe_connection) -> *const c_char {
    let mut sentence = null();
    let call = |connection: &mut Connection| {
        sentence = connection.error().map_or(null(), |error| error.c_sentence().as_ptr());
        Ok(0)
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection.cast_mut(), call) };
    sentence
}

/// Writes to *subprotocol where the name of the subprotocol is that both ends speak, and returns its length; NULL and 0 if
/// they agreed on none. It lives as long as the connection.
///
/// Errors: as wsframe_connection_state().
///
/// # Safety
///
/// connection is a live handle, subprotocol a pointer that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_subprotocol(
    connection: *const wsframe_connection,
    subprotocol: *mut *const c_void,
) -> ptrdiff_t {
    // SAFETY: as the caller guarantees.
    unsafe { lend(connection, subprotocol, |connection| connection.subprotocol().map(str::as_bytes)) }
}

/// Writes to *deflate what both ends agreed on for compressed messages and returns 1; returns 0 and writes nothing if
/// messages are not compressed.
///
/// Errors: as wsframe_connection_state().
///
/// # Safety
///
/// connection is a live handle, deflate a record that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_deflate(
    connection: *const wsframe_connection,
    deflate: *mut wsframe_deflate,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        let out = place(deflate)?;
        let Some(agreed) = connection.deflate() else { return Ok(0) };
        // SAFETY: not NULL, and the caller guarantees that a record can be written there.
        unsafe { out.write(agreed.into()) };
        Ok(1)
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection.cast_mut(), call) }
}
