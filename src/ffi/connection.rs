//! Connection.

use std::panic::AssertUnwindSafe;
use std::ptr::null;
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{c_char, c_void, ptrdiff_t, size_t};

use super::boundary::{Pieces, bytes, bytes_mut, guarded, lengths, place, returned};
use super::records::{SendFlag, wsframe_config, wsframe_deflate};
use crate::connection::{Compress, Connection, Due, Event, Role};
use crate::error::Error;
use crate::frame::Opcode;

const PLAIN: u32 = SendFlag::Plain as u32;
const COMPRESSED: u32 = SendFlag::Compressed as u32;

/// One WebSocket connection, of a server or a client, without I/O. The page above shows its loop.
///
/// A connection may be used from one thread at a time and from any thread; different connections never meet. A call
/// while another is running on the same connection returns WSFRAME_ERROR_STATE and does nothing.
#[allow(non_camel_case_types)]
pub struct wsframe_connection {
    /// None after a panic, so that nothing half done is ever used.
    connection: Option<Connection>,
    /// Whether a call is running.
    is_busy: AtomicBool,
}

// What an idle connection costs, with the eight bytes that allocators add: see wsframe_connection_new().
const _: () = assert!(size_of::<wsframe_connection>() + 8 <= 256);

/// Runs a call on a connection, alone and guarded: after a panic the connection is dead, and only it.
///
/// # Safety
///
/// `connection` is NULL or came from wsframe_connection_new() and was not freed.
pub(super) unsafe fn on(
    connection: *mut wsframe_connection,
    call: impl FnOnce(&mut Connection) -> Result<usize, Error>,
) -> ptrdiff_t {
    let Ok(handle) = place(connection) else { return returned(Err(Error::NullPointer)) };
    // SAFETY: a live handle. Only a shared borrow of the flag: another thread may be running a call.
    let is_busy = unsafe { &(*handle.as_ptr()).is_busy };
    if is_busy.swap(true, Ordering::Acquire) {
        return returned(Err(Error::ConcurrentCall));
    }
    // SAFETY: a live handle, and the flag keeps every other call away from this field.
    let slot = unsafe { &mut (*handle.as_ptr()).connection };
    let result = match slot {
        Some(connection) => guarded(AssertUnwindSafe(|| call(connection))),
        None => Err(Error::WrongState),
    };
    if result == Err(Error::Panicked) {
        bury(slot);
    }
    is_busy.store(false, Ordering::Release);
    returned(result)
}

/// Drops what panicked, under a guard of its own: that may panic as well.
#[cold]
fn bury(slot: &mut Option<Connection>) {
    let _ = guarded(AssertUnwindSafe(|| {
        drop(slot.take());
        Ok(0)
    }));
}

/// As [`on`], for what a connection lends: the pointer is only written on success.
///
/// # Safety
///
/// As for [`on`]; `out` is NULL or can be written.
unsafe fn lend(
    connection: *const wsframe_connection,
    out: *mut *const c_void,
    call: impl FnOnce(&mut Connection) -> Option<&[u8]>,
) -> ptrdiff_t {
    let Ok(out) = place(out) else { return returned(Err(Error::NullPointer)) };
    let lent = |connection: &mut Connection| {
        let lent = call(connection);
        // SAFETY: not NULL, and the caller guarantees that it can be written.
        unsafe { out.write(lent.map_or(null(), |lent| lent.as_ptr().cast())) };
        Ok(lent.map_or(0, <[u8]>::len))
    };
    // SAFETY: the caller promises a live handle.
    unsafe { on(connection.cast_mut(), lent) }
}

/// A text or binary opcode, and the bits that say whether to compress.
pub(super) fn opcode(number: u32) -> Result<(Opcode, Compress), Error> {
    let opcode = u8::try_from(number & 0xFF).ok().filter(|byte| *byte < 16).and_then(Opcode::from_first_byte);
    let compress = match number & !0xFF {
        0 => Compress::IfShorter,
        PLAIN => Compress::Never,
        COMPRESSED => Compress::Always,
        _ => return Err(Error::UnknownBits),
    };
    Ok((opcode.ok_or(Error::SendNotData)?, compress))
}

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
/// Errors: WSFRAME_ERROR_ARGUMENT if connection is NULL, role is another number, or the config has a wrong struct_size, an
/// unknown flag or field, a number out of range, a subprotocol that is no token, or extensions that do not fit the rest.
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
        let role = match role {
            0 => Role::Server,
            1 => Role::Client,
            _ => return Err(Error::UnknownBits),
        };
        // SAFETY: the caller guarantees the config.
        let config = unsafe { wsframe_config::read(config) }?;
        let connection = Some(Connection::new(role, &config)?);
        let handle = Box::new(wsframe_connection { connection, is_busy: AtomicBool::new(false) });
        // SAFETY: not NULL, and the caller guarantees that a pointer can be written there.
        unsafe { out.write(Box::into_raw(handle)) };
        Ok(0)
    };
    returned(guarded(AssertUnwindSafe(call)))
}

/// Frees a connection and all that it lent. NULL does nothing. No call may be running on it.
///
/// # Safety
///
/// connection is NULL or came from wsframe_connection_new() and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_free(connection: *mut wsframe_connection) {
    if connection.is_null() {
        return;
    }
    let free = AssertUnwindSafe(|| {
        // SAFETY: the caller guarantees a live handle, and gives it up.
        drop(unsafe { Box::from_raw(connection) });
        Ok(0)
    });
    let _ = guarded(free);
}

/// Takes in_len bytes that were read from the peer, in pieces of any size.
///
/// Returns the number of events at wsframe_connection_events(), whose data are in wsframe_connection_data(). What is to be
/// answered is in wsframe_connection_output(). Events and data live until the next receive, accept, tick or free.
///
/// What the peer does wrong is not an error of this call: it is the last event, WSFRAME_EVENT_ERROR, after all that was
/// valid before it. Nothing is received after it or after WSFRAME_EVENT_CLOSE.
///
/// Errors: WSFRAME_ERROR_STATE after WSFRAME_EVENT_ERROR. WSFRAME_ERROR_ARGUMENT if a pointer is NULL.
///
/// # Safety
///
/// connection is a live handle, in points to in_len readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_receive(
    connection: *mut wsframe_connection,
    r#in: *const c_void,
    in_len: size_t,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        // SAFETY: the caller guarantees in_len readable bytes.
        connection.receive(unsafe { bytes(r#in, in_len) }?)?;
        Ok(connection.events().len())
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, call) }
}

/// As wsframe_connection_receive(), but in may be changed: payloads that lie whole in it are unmasked there, without a
/// copy. Their events have WSFRAME_EVENT_IN_PLACE, and their offsets count from in; the data of the others are in
/// wsframe_connection_data(). For languages in which a buffer can be written to.
///
/// Returns and errors as wsframe_connection_receive().
///
/// # Safety
///
/// connection is a live handle, in points to in_len bytes that can be read and written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_receive_in_place(
    connection: *mut wsframe_connection,
    r#in: *mut c_void,
    in_len: size_t,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        // SAFETY: the caller guarantees in_len bytes.
        connection.receive_in_place(unsafe { bytes_mut(r#in, in_len) }?)?;
        Ok(connection.events().len())
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, call) }
}

/// Returns the events of the last receive or accept, as many as it returned; NULL if the connection is NULL, dead or busy.
///
/// # Safety
///
/// connection is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_events(connection: *const wsframe_connection) -> *const Event {
    let mut events = null();
    let call = |connection: &mut Connection| {
        events = connection.events().as_ptr();
        Ok(0)
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection.cast_mut(), call) };
    events
}

/// Writes to *data where the data of the events are, and returns how many bytes they are.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if a pointer is NULL, WSFRAME_ERROR_STATE if the connection is dead.
///
/// # Safety
///
/// connection is a live handle, data a pointer that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_data(
    connection: *const wsframe_connection,
    data: *mut *const c_void,
) -> ptrdiff_t {
    // SAFETY: as the caller guarantees.
    unsafe { lend(connection, data, |connection| Some(connection.data())) }
}

/// Writes to *output where the bytes are that are to be written to the peer, and returns how many: 0 if there are none.
/// They live until the next call that adds to them. Tell wsframe_connection_sent() how many were written.
///
/// After WSFRAME_EVENT_CLOSE or WSFRAME_EVENT_ERROR the output ends with the close frame that answers it. So what answers
/// the messages before that event can still be sent, until the output is taken.
///
/// Errors: as wsframe_connection_data().
///
/// # Safety
///
/// connection is a live handle, output a pointer that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_output(
    connection: *const wsframe_connection,
    output: *mut *const c_void,
) -> ptrdiff_t {
    // SAFETY: as the caller guarantees.
    unsafe { lend(connection, output, |connection| Some(connection.output())) }
}

/// Says that the first len bytes of the output were written, and returns how many still wait.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if there are not so many, WSFRAME_ERROR_STATE if the connection is dead.
///
/// # Safety
///
/// connection is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_sent(connection: *mut wsframe_connection, len: size_t) -> ptrdiff_t {
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, |connection| connection.sent(len).map(|()| connection.waiting())) }
}

/// Puts a whole message into the output as one frame. opcode is WSFRAME_OPCODE_TEXT or WSFRAME_OPCODE_BINARY; in are its
/// in_len bytes, which for text must be UTF-8.
///
/// If both ends have agreed to compress, a message of at least the config's deflate_min_len is compressed if that makes it
/// shorter; opcode | WSFRAME_SEND_PLAIN or opcode | WSFRAME_SEND_COMPRESSED decides otherwise for this one. What goes to
/// many connections is compressed once by wsframe_message_new().
///
/// Returns how many bytes of output wait.
///
/// Errors: WSFRAME_ERROR_STATE unless the connection is open, or while a message that is sent in pieces is not finished.
/// WSFRAME_ERROR_SPACE if more output would wait than the config allows: write some and call again. WSFRAME_ERROR_ARGUMENT
/// for another opcode, text that is not UTF-8, or a NULL pointer. WSFRAME_ERROR_IO if a client gets no random masking key
/// from the system. Nothing is sent then.
///
/// # Safety
///
/// connection is a live handle, in points to in_len readable bytes, which may be the data of an event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_send(
    connection: *mut wsframe_connection,
    opcode: u32,
    r#in: *const c_void,
    in_len: size_t,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        // SAFETY: the caller guarantees in_len readable bytes; sending moves no data of events.
        let in_bytes = unsafe { bytes(r#in, in_len) }?;
        let (opcode, compress) = self::opcode(opcode)?;
        connection.send_compressed(opcode, in_bytes, compress)?;
        Ok(connection.waiting())
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, call) }
}

/// Puts count messages into the output, as wsframe_connection_send() does with each, for many small messages with one call.
/// They stand one behind the other at in; lens are their count lengths.
///
/// Returns how many messages were put there. That is less than count if there was no room for the next one, or it cannot be
/// sent; a call that begins with it returns the error.
///
/// Errors: as wsframe_connection_send(), for the first of them. WSFRAME_ERROR_ARGUMENT if a pointer is NULL.
///
/// # Safety
///
/// connection is a live handle, lens points to count lengths, in to as many readable bytes as they sum up to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_send_many(
    connection: *mut wsframe_connection,
    opcode: u32,
    r#in: *const c_void,
    lens: *const size_t,
    count: size_t,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        // SAFETY: the caller guarantees the lengths.
        let (lens, in_len) = unsafe { lengths(lens, count) }?;
        // SAFETY: the caller guarantees as many readable bytes; sending moves no data of events.
        let payloads = unsafe { bytes(r#in, in_len) }?;
        let (opcode, compress) = self::opcode(opcode)?;
        connection.send_many(opcode, Pieces::new(payloads, lens), compress)
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, call) }
}

/// Puts a piece of a message into the output, as a frame of its own (RFC 6455 section 5.4). All pieces of a message have
/// its opcode; last is not 0 for the last one. Text may be cut anywhere. Pings and close may come between them. If both
/// ends have agreed to compress, the message is compressed unless its first piece has WSFRAME_SEND_PLAIN.
///
/// Returns and errors as wsframe_connection_send(); WSFRAME_ERROR_STATE if the opcode is not that of the pieces before.
///
/// # Safety
///
/// As for wsframe_connection_send().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_send_piece(
    connection: *mut wsframe_connection,
    opcode: u32,
    r#in: *const c_void,
    in_len: size_t,
    last: u32,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        // SAFETY: the caller guarantees in_len readable bytes; sending moves no data of events.
        let in_bytes = unsafe { bytes(r#in, in_len) }?;
        let (opcode, compress) = self::opcode(opcode)?;
        connection.send_piece_compressed(opcode, in_bytes, last != 0, compress)?;
        Ok(connection.waiting())
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, call) }
}

/// Puts a ping with a payload of at most 125 bytes into the output.
///
/// Returns how many bytes of output wait.
///
/// Errors: WSFRAME_ERROR_STATE unless the connection is open, WSFRAME_ERROR_ARGUMENT if the payload is longer,
/// WSFRAME_ERROR_SPACE and WSFRAME_ERROR_IO as wsframe_connection_send().
///
/// # Safety
///
/// As for wsframe_connection_send().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_ping(
    connection: *mut wsframe_connection,
    r#in: *const c_void,
    in_len: size_t,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        // SAFETY: the caller guarantees in_len readable bytes.
        connection.ping(unsafe { bytes(r#in, in_len) }?)?;
        Ok(connection.waiting())
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, call) }
}

/// Puts a pong with a payload of at most 125 bytes into the output. Pings are answered without it, unless the config has
/// WSFRAME_CONFIG_MANUAL_PONG.
///
/// Returns and errors as wsframe_connection_ping(), but a pong may be sent while the peer's close frame is awaited.
///
/// # Safety
///
/// As for wsframe_connection_send().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_pong(
    connection: *mut wsframe_connection,
    r#in: *const c_void,
    in_len: size_t,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        // SAFETY: the caller guarantees in_len readable bytes.
        connection.pong(unsafe { bytes(r#in, in_len) }?)?;
        Ok(connection.waiting())
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, call) }
}

/// Puts a close frame into the output (RFC 6455 section 7.1.2). Nothing more can be sent then; what still comes is received
/// until the peer's close frame. code is a close code that may be sent, or 1005 for a frame without one; reason is UTF-8 of
/// at most 123 bytes.
///
/// Returns how many bytes of output wait.
///
/// Errors: WSFRAME_ERROR_STATE unless the connection is open, WSFRAME_ERROR_ARGUMENT for another code, a longer reason, or
/// one that is not UTF-8.
///
/// # Safety
///
/// connection is a live handle, reason points to reason_len readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_close(
    connection: *mut wsframe_connection,
    code: u32,
    reason: *const c_void,
    reason_len: size_t,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        let code = u16::try_from(code).map_err(|_| Error::SendInvalidCloseCode)?;
        // SAFETY: the caller guarantees reason_len readable bytes.
        connection.close(code, unsafe { bytes(reason, reason_len) }?)?;
        Ok(connection.waiting())
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, call) }
}

/// Puts a client's request into the output (RFC 6455 section 4.1). host is the value of the Host field, target the path
/// and query, which begins with a slash.
///
/// Returns how many bytes of output wait.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if one of them has anything but visible ASCII characters, or a #; WSFRAME_ERROR_STATE for a server or a
/// second request, WSFRAME_ERROR_IO if the system gives no random key.
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
        connection.request(host, unsafe { bytes(target, target_len) }?)?;
        Ok(connection.waiting())
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
/// Transfer-Encoding, Sec-WebSocket-*. WSFRAME_ERROR_STATE if it is too late.
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

/// Does without permessage-deflate on this connection although its config has WSFRAME_CONFIG_DEFLATE: for some targets, or
/// some clients, after WSFRAME_EVENT_REQUEST and before wsframe_connection_accept(); for a client before
/// wsframe_connection_request().
///
/// Returns 0.
///
/// Errors: WSFRAME_ERROR_STATE if it is too late. WSFRAME_ERROR_ARGUMENT if connection is NULL.
///
/// # Safety
///
/// connection is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_decline_deflate(connection: *mut wsframe_connection) -> ptrdiff_t {
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, |connection| connection.decline_deflate().map(|()| 0)) }
}

/// Lets in the client of a WSFRAME_EVENT_REQUEST. subprotocol is one that it offered; if subprotocol_len is 0, the
/// config's list decides.
///
/// Returns the number of events, as wsframe_connection_receive() does: WSFRAME_EVENT_OPEN, and what the client has sent
/// since.
///
/// Errors: WSFRAME_ERROR_STATE if no request waits, WSFRAME_ERROR_ARGUMENT if the subprotocol was not offered.
///
/// # Safety
///
/// connection is a live handle, subprotocol has its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_accept(
    connection: *mut wsframe_connection,
    subprotocol: *const c_void,
    subprotocol_len: size_t,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        // SAFETY: the caller guarantees subprotocol_len readable bytes.
        let subprotocol = unsafe { bytes(subprotocol, subprotocol_len) }?;
        let subprotocol = std::str::from_utf8(subprotocol).map_err(|_| Error::InvalidSubprotocol)?;
        connection.accept(Some(subprotocol).filter(|name| !name.is_empty()))?;
        Ok(connection.events().len())
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, call) }
}

/// Answers a WSFRAME_EVENT_REQUEST or WSFRAME_EVENT_HTTP with an HTTP status from 200 to 599, the fields that were added,
/// and a body. The connection is closed then.
///
/// Returns how many bytes of output wait.
///
/// Errors: WSFRAME_ERROR_STATE if no request waits, WSFRAME_ERROR_ARGUMENT for another status.
///
/// # Safety
///
/// connection is a live handle, body has its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_refuse(
    connection: *mut wsframe_connection,
    status: u32,
    body: *const c_void,
    body_len: size_t,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        let status = u16::try_from(status).map_err(|_| Error::InvalidStatus)?;
        // SAFETY: the caller guarantees body_len readable bytes.
        connection.refuse(status, unsafe { bytes(body, body_len) }?)?;
        Ok(connection.waiting())
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, call) }
}

/// Writes to *target where the request target is, for instance /chat?room=1, and returns its length. There is one as long as
/// WSFRAME_EVENT_REQUEST, _HTTP or _OPEN is among the events of a server; else *target is NULL and 0 is returned.
///
/// Errors: as wsframe_connection_data().
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
/// length. It is in the head of the request, or of the response for a client, as long as the event with it is there; else,
/// and if there is no such field, *value is NULL and 0 is returned.
///
/// Errors: as wsframe_connection_data().
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

/// Writes to *subprotocol where the name of the subprotocol is that both ends speak, and returns its length; NULL and 0 if
/// they agreed on none. It lives as long as the connection.
///
/// Errors: as wsframe_connection_data().
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
/// Errors: as wsframe_connection_data().
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

/// Returns how far the connection has come: one of WSFRAME_STATE_*.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if it is NULL, WSFRAME_ERROR_STATE if it is dead.
///
/// # Safety
///
/// connection is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_state(connection: *const wsframe_connection) -> ptrdiff_t {
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection.cast_mut(), |connection| Ok(connection.state() as usize)) }
}

/// Returns a sentence for the log that says what the peer did wrong, to the exact cause; NULL if it did nothing. The string
/// is static.
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

/// Tells the connection what time it is: now_ms are milliseconds from any start that do not go back. To be called at the
/// end of each turn of a loop, after the output was written, and when the time that was returned is over.
///
/// It puts a ping into the output when the peer has been silent for long, and gives back the memory of events and data.
///
/// Returns in how many milliseconds it wants to be called again, PTRDIFF_MAX if nothing is due; 0 says that TCP is to be
/// closed: all is said, or the peer had its time. close() alone could destroy what is on its way to the peer: shut down
/// the sending side, read until the peer has closed its own, for a short time at most, and then close.
///
/// Errors: WSFRAME_ERROR_STATE if the connection is dead, WSFRAME_ERROR_IO as wsframe_connection_send().
///
/// # Safety
///
/// connection is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_tick(connection: *mut wsframe_connection, now_ms: u64) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        Ok(match connection.tick(now_ms)? {
            Due::Close => 0,
            Due::In(wait) => usize::try_from(wait).unwrap_or(usize::MAX).min(isize::MAX.unsigned_abs()),
        })
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, call) }
}
