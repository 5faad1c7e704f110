//! Connection: messages in.

use libc::{c_void, ptrdiff_t, size_t};

use super::super::boundary::{Pieces, bytes, lengths, place};
use super::super::handles::{on, wsframe_connection};
use super::super::message::wsframe_message;
use super::super::records::Sending;
use crate::connection::Connection;
use crate::error::Error;

/// Puts a message into the output. opcode is WSFRAME_OPCODE_TEXT or _BINARY for a message, whose in_len bytes at in must
/// be UTF-8 for text, or WSFRAME_OPCODE_PING or _PONG with at most 125 bytes. The kind of an event will do. Pings are
/// answered without it, unless the config has WSFRAME_CONFIG_MANUAL_PONG.
///
/// opcode | WSFRAME_OPCODE_MORE is a piece of a message, which becomes a frame of its own (RFC 6455 section 5.4). All pieces of
/// a message have its opcode, and the last one no MORE. Text may be cut anywhere. Pings, pongs and close may come between
/// them, other messages not.
///
/// If both ends have agreed to compress, a message of at least the config's deflate_min_len is compressed if that makes it
/// shorter, one in pieces always; opcode | WSFRAME_OPCODE_PLAIN or opcode | WSFRAME_OPCODE_COMPRESSED decides otherwise for
/// this one, with its first piece. What goes to many connections is compressed once by wsframe_message_new().
///
/// Returns how many bytes of output wait, at least 2. Returns 0 if the connection is over, whoever ended it, and nothing is
/// sent any more. What answers messages that came together with the end can still be sent until
/// wsframe_connection_output() is called, and a pong while the peer's close frame is awaited.
///
/// Errors: WSFRAME_ERROR_SPACE if more output waits already than high_water_len: the peer does not take what it was sent. Send
/// again when wsframe_connection_waiting() is less, or do without. WSFRAME_ERROR_STATE if the connection is not open yet, or
/// while pieces of another message are not finished. WSFRAME_ERROR_ARGUMENT for another opcode, text that is not UTF-8, a
/// ping or pong that is longer or has MORE, PLAIN or COMPRESSED, or a NULL pointer. WSFRAME_ERROR_MEMORY;
/// WSFRAME_ERROR_IO if a client gets no random masking key from the system. Nothing is sent then.
///
/// # Safety
///
/// connection is a live handle, in points to in_len readable bytes, which may be data of an event, but not output.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_send(
    connection: *mut wsframe_connection,
    opcode: u32,
    r#in: *const c_void,
    in_len: size_t,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        // SAFETY: the caller guarantees in_len readable bytes; sending moves no data of events.
        let payload = unsafe { bytes(r#in, in_len) }?;
        let Sending { opcode, compress, more } = Sending::read(opcode)?;
        connection.send_as(opcode, payload, compress, more)
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, call) }
}

/// Puts count messages into the output, as wsframe_connection_send() does with each, for many small messages with one call.
/// They stand one behind the other at in; lens are their count lengths. opcode is without WSFRAME_OPCODE_MORE.
///
/// Returns how many messages were put there; 0 if the connection is over. That is less than count if more output waits than
/// high_water_len, or the next message cannot be sent; a call that begins with it returns the error.
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
        let Sending { opcode, compress, more } = Sending::read(opcode)?;
        if more {
            return Err(Error::SendUnknownBits);
        }
        connection.send_many(opcode, Pieces::new(payloads, lens), compress)
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, call) }
}

/// Puts a prepared message into the output; compressed if it is, and if both ends of this connection have agreed to
/// compress. A server does not copy what is long: connections share it until it is written, also after
/// wsframe_message_free().
///
/// Returns and errors as wsframe_connection_send().
///
/// # Safety
///
/// connection and message are live handles.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_send_message(
    connection: *mut wsframe_connection,
    message: *const wsframe_message,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        // SAFETY: the caller guarantees a live handle or NULL.
        let message = unsafe { place(message)?.as_ref() };
        connection.send_message(&message.0)
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, call) }
}

/// Puts a close frame into the output (RFC 6455 section 7.1.2). Nothing more can be sent then; what still comes is received
/// until the peer's close frame. code is a close code that may be sent, or 1005 for a frame without one; reason is UTF-8 of
/// at most 123 bytes.
///
/// Returns how many bytes of output wait; 0 if the connection is over already, or was closed before.
///
/// Errors: WSFRAME_ERROR_STATE if the connection is not open yet; WSFRAME_ERROR_ARGUMENT for another code, a longer reason,
/// or one that is not UTF-8; WSFRAME_ERROR_MEMORY and WSFRAME_ERROR_IO as wsframe_connection_send().
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
        connection.close(code, unsafe { bytes(reason, reason_len) }?)
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection, call) }
}
