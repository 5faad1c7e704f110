//! Connection: bytes in, events out.

use libc::{c_void, ptrdiff_t, size_t};

use super::super::boundary::{bytes, bytes_mut, place, returned};
use super::super::handles::{run, wsframe_connection};
use super::super::records::wsframe_batch;
use crate::connection::Connection;
use crate::error::Error;

/// Takes in_len bytes that were read from the peer, in pieces of any size, and writes to *batch what happened: events, and
/// their data. What is to be answered is in wsframe_connection_output().
///
/// One call delivers no more than about 1 MiB beyond a single message, nor more than 4,094 events. If there is more, the
/// batch has WSFRAME_BATCH_MORE: call again, with in_len 0 or with what was read since.
///
/// *batch is always written, and has no events if the call fails or nothing has happened yet. Its events and data live
/// until the next receive, accept, gone, output or free on this connection. Events have the order in which things happened;
/// after WSFRAME_EVENT_REQUEST, _HTTP, _CLOSE and _ERROR there is none in the same batch.
///
/// Returns the number of events.
///
/// What the peer does wrong is not an error of this call: it is the last event, WSFRAME_EVENT_ERROR, after all that was
/// valid before it. What comes after it or after WSFRAME_EVENT_CLOSE is ignored.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if a pointer is NULL, WSFRAME_ERROR_STATE if the connection is dead or another call is
/// running on it or it is a hub's, WSFRAME_ERROR_MEMORY: nothing was received then.
///
/// # Safety
///
/// connection is a live handle, in points to in_len readable bytes, batch to a record that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_receive(
    connection: *mut wsframe_connection,
    r#in: *const c_void,
    in_len: size_t,
    batch: *mut wsframe_batch,
) -> ptrdiff_t {
    // SAFETY: the caller guarantees in_len readable bytes.
    let call = |connection: &mut Connection| connection.receive(unsafe { bytes(r#in, in_len) }?);
    // SAFETY: the caller guarantees a live handle and the record.
    unsafe { fill(connection, false, batch, call) }
}

/// As wsframe_connection_receive(), but in may be changed: payloads that lie whole in it are unmasked there, without a
/// copy. Their events have WSFRAME_DATA_IN_PLACE, and their offsets count from in; the data of the others are those of the
/// batch. For languages in which a buffer can be written to.
///
/// Returns and errors as wsframe_connection_receive().
///
/// # Safety
///
/// connection is a live handle, in points to in_len bytes that can be read and written, batch to a record that can be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_receive_in_place(
    connection: *mut wsframe_connection,
    r#in: *mut c_void,
    in_len: size_t,
    batch: *mut wsframe_batch,
) -> ptrdiff_t {
    // SAFETY: the caller guarantees in_len bytes.
    let call = |connection: &mut Connection| connection.receive_in_place(unsafe { bytes_mut(r#in, in_len) }?);
    // SAFETY: the caller guarantees a live handle and the record.
    unsafe { fill(connection, false, batch, call) }
}

/// Says that TCP has ended: the peer closed it, it broke, or the program gives it up. The batch has one last event,
/// WSFRAME_EVENT_GONE, with the close code of the closing handshake if it was done, and else 1006; a second call has none.
/// Nothing is received or sent after it, and all memory but the handle's own is given back, at the latest with the next call
/// of wsframe_connection_output() or _free().
///
/// Returns the number of events.
///
/// Errors: as wsframe_connection_receive().
///
/// # Safety
///
/// connection is a live handle, batch points to a record that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_connection_gone(
    connection: *mut wsframe_connection,
    batch: *mut wsframe_batch,
) -> ptrdiff_t {
    // SAFETY: the caller guarantees a live handle and the record.
    unsafe { fill(connection, false, batch, Connection::gone) }
}

/// Makes a call that receives something, on a connection that a hub has lent only if it may be, and writes what happened.
///
/// # Safety
///
/// `connection` is NULL or a live handle, `batch` is NULL or can be written.
pub(super) unsafe fn fill(
    connection: *mut wsframe_connection,
    may_be_lent: bool,
    batch: *mut wsframe_batch,
    call: impl FnOnce(&mut Connection) -> Result<(), Error>,
) -> ptrdiff_t {
    let Ok(out) = place(batch) else { return returned(Err(Error::NullPointer)) };
    // SAFETY: not NULL, and the caller guarantees that a record can be written there.
    unsafe { out.write(wsframe_batch::default()) };
    let filled = |connection: &mut Connection, id| {
        call(connection)?;
        if id != 0 {
            connection.mark_events(id);
        }
        let filled = wsframe_batch::of(connection);
        // SAFETY: not NULL, and the caller guarantees that a record can be written there.
        unsafe { out.write(filled) };
        Ok(filled.count)
    };
    // SAFETY: the caller promises a live handle.
    unsafe { run(connection, may_be_lent, filled) }
}
