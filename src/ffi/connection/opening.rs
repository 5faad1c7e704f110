//! Connection: the opening handshake.

use libc::{c_void, ptrdiff_t, size_t};

use super::super::boundary::{bytes, place, returned};
use super::super::handles::{lend, on, wsframe_connection};
use super::super::records::{AcceptFlag, wsframe_batch, wsframe_field};
use super::receive::fill;
use crate::connection::{Connection, Without};
use crate::error::Error;

const WITHOUT_DEFLATE: u32 = AcceptFlag::WithoutDeflate as u32;

/// Puts a client's request into the output (RFC 6455 section 4.1). host is the value of the Host field, target the path
/// and query, which begins with a slash. WSFRAME_EVENT_OPEN tells that the server has accepted, WSFRAME_EVENT_ERROR that it
/// has not.
///
/// Returns how many bytes of output wait.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if host is no name or address with a port, or target does not begin with a slash or has
/// anything but visible ASCII characters, or a #; WSFRAME_ERROR_STATE for a server or a second request; WSFRAME_ERROR_MEMORY;
/// WSFRAME_ERROR_IO if the system gives no random key.
///
/// # Safety
///
/// connection is a live handle, host and target have their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_request(
    connection: *mut wsframe_connection,
    host: *const c_void,
    host_len: size_t,
    target: *const c_void,
    target_len: size_t,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        // SAFETY: the caller guarantees host_len readable bytes.
        let host = unsafe { bytes(host, host_len) }?;
        // SAFETY: the caller guarantees target_len readable bytes.
        connection.request(host, unsafe { bytes(target, target_len) }?)
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, call) }
}

/// Adds a field to a client's request or a server's response, before it is written: directly after
/// wsframe_connection_new(), or after WSFRAME_EVENT_REQUEST.
///
/// Returns 0.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if name is no token or value has a control character, so neither can smuggle in another
/// field, or if the field is one that the library writes itself: Host, Connection, Upgrade, Content-Length,
/// Transfer-Encoding, Sec-WebSocket-*. WSFRAME_ERROR_STATE if it is too late; not if the connection is over.
/// WSFRAME_ERROR_MEMORY.
///
/// # Safety
///
/// connection is a live handle, name and value have their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_add_field(
    connection: *mut wsframe_connection,
    name: *const c_void,
    name_len: size_t,
    value: *const c_void,
    value_len: size_t,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        // SAFETY: the caller guarantees name_len readable bytes.
        let name = unsafe { bytes(name, name_len) }?;
        // SAFETY: the caller guarantees value_len readable bytes.
        connection.add_field(name, unsafe { bytes(value, value_len) }?)?;
        Ok(0)
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, call) }
}

/// Lets in the client of a WSFRAME_EVENT_REQUEST. subprotocol is one that it offered; if subprotocol_len is 0, the
/// config's list decides. flags is 0, or WSFRAME_ACCEPT_WITHOUT_DEFLATE to do without permessage-deflate for this client
/// although the config has it.
///
/// Writes to *batch, as wsframe_connection_receive() does: WSFRAME_EVENT_OPEN, and what the client has sent since.
///
/// Returns the number of events; 0 if the connection is over meanwhile.
///
/// Errors: WSFRAME_ERROR_STATE if no request waits, WSFRAME_ERROR_ARGUMENT if the subprotocol was not offered or flags has an
/// unknown bit; WSFRAME_ERROR_MEMORY. The request still waits then.
///
/// # Safety
///
/// connection is a live handle, subprotocol has its length, batch points to a record that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_accept(
    connection: *mut wsframe_connection,
    subprotocol: *const c_void,
    subprotocol_len: size_t,
    flags: u32,
    batch: *mut wsframe_batch,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        // SAFETY: the caller guarantees subprotocol_len readable bytes. They may lie in the head of the request, which is not
        // written to.
        let subprotocol = unsafe { bytes(subprotocol, subprotocol_len) }?;
        let subprotocol = std::str::from_utf8(subprotocol).map_err(|_| Error::InvalidSubprotocol)?;
        let without = match flags {
            0 => Without::Nothing,
            WITHOUT_DEFLATE => Without::Deflate,
            _ => return Err(Error::UnknownBits),
        };
        connection.accept(Some(subprotocol).filter(|name| !name.is_empty()), without)
    };
    // SAFETY: the caller guarantees a live handle and the record.
    unsafe { fill(connection, true, batch, call) }
}

/// Answers a WSFRAME_EVENT_REQUEST or WSFRAME_EVENT_HTTP with an HTTP status from 200 to 599, the fields that were added,
/// and a body: a page, or why the client is refused. A request with HEAD is told the length of the body only. The connection
/// is closed then.
///
/// Returns how many bytes of output wait; 0 if the connection is over meanwhile.
///
/// Errors: WSFRAME_ERROR_STATE if no request waits, WSFRAME_ERROR_ARGUMENT for another status, WSFRAME_ERROR_MEMORY.
///
/// # Safety
///
/// connection is a live handle, body has its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_respond(
    connection: *mut wsframe_connection,
    status: u32,
    body: *const c_void,
    body_len: size_t,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        let status = u16::try_from(status).map_err(|_| Error::InvalidStatus)?;
        // SAFETY: the caller guarantees body_len readable bytes.
        connection.respond(status, unsafe { bytes(body, body_len) }?)
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, call) }
}

/// Writes to *target where the path and query of the request are, for instance /chat?room=1, and returns their length. A
/// client that sent a whole address, as behind some proxies, is taken to mean the path in it. A server has them from
/// WSFRAME_EVENT_REQUEST or _HTTP until the request is answered, and as long as the batch with WSFRAME_EVENT_OPEN lives; with
/// WSFRAME_CONFIG_START_OPEN always, if the config had them. Else *target is NULL and 0 is returned.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if a pointer is NULL, WSFRAME_ERROR_STATE if the connection is dead or another call is
/// running on it.
///
/// # Safety
///
/// connection is a live handle, target a pointer that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_target(
    connection: *const wsframe_connection,
    target: *mut *const c_void,
) -> ptrdiff_t {
    // SAFETY: as the caller guarantees.
    unsafe { lend(connection, target, |connection| connection.target().map(str::as_bytes)) }
}

/// Writes to *value where the value of the first field called name is, whatever the case of its letters, and returns its
/// length. It is in the head of the request, or of the response for a client, and lives as long as
/// wsframe_connection_target() says, for a client as long as the batch with WSFRAME_EVENT_OPEN or _ERROR; else, if there is
/// no such field, or if it is empty, *value is NULL and 0 is returned.
///
/// Errors: as wsframe_connection_target().
///
/// # Safety
///
/// connection is a live handle, name has its length, value is a pointer that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_field(
    connection: *const wsframe_connection,
    name: *const c_void,
    name_len: size_t,
    value: *mut *const c_void,
) -> ptrdiff_t {
    // SAFETY: the caller guarantees name_len readable bytes.
    let name = match unsafe { bytes(name, name_len) } {
        Ok(name) => std::str::from_utf8(name).unwrap_or_default(),
        Err(error) => return returned(Err(error)),
    };
    // SAFETY: as the caller guarantees.
    unsafe { lend(connection, value, |connection| connection.field(name)) }
}

/// Writes to *field the name and the value of a field of that head by its number, the first has 0: to go through all of them,
/// in their order and with those that stand there more than once.
///
/// Returns 1, or 0 if there are not so many; *field has no bytes then.
///
/// Errors: as wsframe_connection_target().
///
/// # Safety
///
/// connection is a live handle, field points to a record that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_field_at(
    connection: *const wsframe_connection,
    number: size_t,
    field: *mut wsframe_field,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        let out = place(field)?;
        let found = connection.fields().nth(number).map(wsframe_field::from);
        // SAFETY: not NULL, and the caller guarantees that a record can be written there.
        unsafe { out.write(found.unwrap_or_default()) };
        Ok(found.is_some().into())
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection.cast_mut(), call) }
}
