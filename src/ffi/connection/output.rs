//! Connection: bytes out, and the time.

use libc::{ptrdiff_t, size_t};

use super::super::boundary::{place, places, returned};
use super::super::handles::{on, on_own, wsframe_connection};
use super::super::records::{wsframe_output, wsframe_part};
use crate::connection::Connection;
use crate::error::Error;

/// Says that what is lent is taken as written: as the argument sent.
const ALL: size_t = size_t::MAX;

/// Ends a turn of the loop, in one: says that the first sent bytes of the output have been written, and what time it is;
/// writes to *output what is to be written to the peer now, and in how many milliseconds at the latest to call again. Call
/// it until it returns 0 or the socket takes no more, and when the time is over that it has returned.
///
/// now_ms are milliseconds from any start that do not go back. When the peer has been silent for ping_interval_ms, a ping is
/// put into the output; it is given up when it does not answer in time, counted from when the ping was written. Events and
/// data that were lent are given back.
///
/// output->wait_ms of 0 says that TCP is to be closed: all is said and written, or the peer had its time. close() alone
/// could destroy what is on its way to the peer: shut down the sending side, read until the peer has closed its own, for a
/// short time at most, and then close.
///
/// After WSFRAME_EVENT_CLOSE or WSFRAME_EVENT_ERROR the output ends with the close frame that answers it: what answers the
/// messages before that event is sent before this call.
///
/// What is lent is in one place, and lives until the next call that sends on this connection, or frees it. A large prepared
/// message is a place of its own: see wsframe_connection_parts() for one write of all. Hosts whose write takes all that it
/// is given, such as asyncio's, pass SIZE_MAX (WSFRAME_ALL) for sent: then what is lent counts as written, needs no second
/// call unless output->flags has WSFRAME_OUTPUT_MORE, and lives until the next call of this function in the same thread,
/// on whatever connection.
///
/// *output is always written; it has no bytes if the call fails.
///
/// Returns how many bytes are to be written now.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if less than sent waits, or a pointer is NULL; WSFRAME_ERROR_STATE if the connection is
/// dead, another call is running on it, or it is a hub's; with WSFRAME_ALL WSFRAME_ERROR_MEMORY.
///
/// # Safety
///
/// connection is a live handle, output points to a record that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_output(
    connection: *mut wsframe_connection,
    sent: size_t,
    now_ms: u64,
    output: *mut wsframe_output,
) -> ptrdiff_t {
    let Ok(out) = place(output) else { return returned(Err(Error::NullPointer)) };
    // SAFETY: not NULL, and the caller guarantees that a record can be written there.
    unsafe { out.write(wsframe_output::default()) };
    let call = |connection: &mut Connection| {
        let lent = match sent {
            ALL => wsframe_output::taken(connection.take_output(now_ms)?),
            _ => {
                let output = connection.output(sent, now_ms)?;
                let lent = wsframe_output::lent(output);
                lent.with_more(connection.waiting())
            }
        };
        // SAFETY: not NULL, and the caller guarantees that a record can be written there.
        unsafe { out.write(lent) };
        Ok(lent.len)
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on_own(connection, call) }
}

/// Writes to the first of count records at parts where all the output is, in order, for one writev() of it: a wsframe_part is
/// laid out as a struct iovec. Call it after wsframe_connection_output(), and tell the next one how much was written.
///
/// Returns how many records were written, 0 if nothing waits. There may be more output than count parts.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if connection is NULL, or parts is and count is not 0; WSFRAME_ERROR_STATE if the connection is
/// dead, another call is running on it, or it is a hub's.
///
/// # Safety
///
/// connection is a live handle, parts points to count records that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_parts(
    connection: *const wsframe_connection,
    parts: *mut wsframe_part,
    count: size_t,
) -> ptrdiff_t {
    let call = |connection: &mut Connection| {
        // SAFETY: the caller guarantees count records that can be written.
        let places = unsafe { places(parts, count) }?;
        Ok(places.iter_mut().zip(connection.parts()).map(|(place, part)| *place = part.into()).count())
    };
    // SAFETY: the caller guarantees a live handle.
    unsafe { on_own(connection.cast_mut(), call) }
}

/// Returns how many bytes of output wait to be written. A server that does not want to keep much for who does not read stops
/// reading from that peer until it is 0, or small; and messages are taken until it is above the config's high_water_len.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if connection is NULL, WSFRAME_ERROR_STATE if it is dead or another call is running on it.
///
/// # Safety
///
/// connection is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_waiting(connection: *const wsframe_connection) -> ptrdiff_t {
    // SAFETY: the caller guarantees a live handle.
    unsafe { on(connection.cast_mut(), |connection| Ok(connection.waiting())) }
}
