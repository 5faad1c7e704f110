//! Hub: one of its connections.

use std::ptr::{null, null_mut};

use libc::{c_void, ptrdiff_t};

use super::super::boundary::{place, returned};
use super::super::handles::{lend_by_hub, on_hub, wsframe_connection, wsframe_hub};
use crate::hub::Hub;

/// Lends the connection with this id until the next poll: writes its handle to *connection. What can be done with a connection
/// can be done with it: wsframe_connection_accept(), _respond(), _add_field(), _target(), _field(), _field_at(), _subprotocol(),
/// _deflate(), _error(), _state(), _waiting(), _send() with pieces and all, _send_many(), _send_message() and _close(). What the
/// hub does itself it does not let others do: wsframe_connection_receive(), _receive_in_place(), _output(), _parts() and _gone()
/// return WSFRAME_ERROR_STATE, and wsframe_connection_free() does nothing.
///
/// The events of wsframe_connection_accept() are not among those of a poll. If it says that there is more
/// (WSFRAME_BATCH_MORE), that comes with the next one.
///
/// Returns 1, or 0 if the connection is gone: *connection is not written then.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if a pointer is NULL; WSFRAME_ERROR_STATE if the hub is dead, another call is running on it, or it
/// is not of this thread or process; WSFRAME_ERROR_MEMORY.
///
/// # Safety
///
/// hub is a live handle, connection points to a pointer that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_connection(
    hub: *mut wsframe_hub,
    id: u64,
    connection: *mut *mut wsframe_connection,
) -> ptrdiff_t {
    let call = |lender: &mut Hub| {
        let out = place(connection)?;
        if lender.connection(id)?.is_none() {
            return Ok(0);
        }
        // SAFETY: a live handle, as the call runs.
        let lent = unsafe { lend_by_hub(hub, id) }?;
        // SAFETY: not NULL, and the caller guarantees that a pointer can be written there.
        unsafe { out.write(lent) };
        Ok(1)
    };
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, call) })
}

/// Reads no more from the connection with this id if is_paused is not 0, and reads on if it is 0. What was read already is still
/// delivered. The peer is not given up meanwhile for a ping that it does not answer, and that it is gone shows later.
///
/// Returns 1, or 0 if the connection is gone.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL; WSFRAME_ERROR_STATE as wsframe_hub_subscribe().
///
/// # Safety
///
/// hub is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_pause(hub: *mut wsframe_hub, id: u64, is_paused: u32) -> ptrdiff_t {
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, |hub| hub.pause(id, is_paused != 0).map(usize::from)) })
}

/// Ends TCP of the connection with this id at once, without a word to the peer. To close in good order there is
/// wsframe_connection_close(). WSFRAME_EVENT_GONE follows, if there was an event of the connection before.
///
/// Returns 1, or 0 if TCP had ended already.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL; WSFRAME_ERROR_STATE as wsframe_hub_connection().
///
/// # Safety
///
/// hub is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_terminate(hub: *mut wsframe_hub, id: u64) -> ptrdiff_t {
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, |hub| hub.terminate(id).map(usize::from)) })
}

/// Writes to *address where the text is that says where the peer is, and returns its length: "192.0.2.1:50000",
/// "[2001:db8::1]:50000", or "unix:" with the path of its socket if that has one. It is NULL and 0 if the connection is not
/// connected yet or any more. The text has no NUL at its end, and lives until the next call on the hub.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if a pointer is NULL; WSFRAME_ERROR_STATE as wsframe_hub_connection(); WSFRAME_ERROR_MEMORY.
///
/// # Safety
///
/// hub is a live handle, address points to a pointer that can be written.
#[allow(rustdoc::broken_intra_doc_links, reason = "[2001:db8::1] is no link")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_address(hub: *mut wsframe_hub, id: u64, address: *mut *const c_void) -> ptrdiff_t {
    let call = |hub: &mut Hub| {
        let out = place(address)?;
        let text = hub.address(id)?;
        // SAFETY: not NULL, and the caller guarantees that a pointer can be written there.
        unsafe { out.write(text.map_or(null(), |text| text.as_ptr().cast())) };
        Ok(text.map_or(0, str::len))
    };
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, call) })
}

/// Keeps a pointer with the connection with this id, for wsframe_hub_user(): to what the application knows of it. The hub does not
/// look at it.
///
/// Returns 1, or 0 if the connection is gone.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL; WSFRAME_ERROR_STATE as wsframe_hub_connection(); WSFRAME_ERROR_MEMORY.
///
/// # Safety
///
/// hub is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_set_user(hub: *mut wsframe_hub, id: u64, user: *mut c_void) -> ptrdiff_t {
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, |hub| hub.set_user(id, user.expose_provenance()).map(usize::from)) })
}

/// Returns the pointer that wsframe_hub_set_user() has kept; NULL if there is none, or the connection is gone. Still there while
/// the batch lives that has its WSFRAME_EVENT_GONE.
///
/// # Safety
///
/// hub is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_user(hub: *const wsframe_hub, id: u64) -> *mut c_void {
    let mut user = null_mut();
    let call = |hub: &mut Hub| {
        user = std::ptr::with_exposed_provenance_mut(hub.user(id)?);
        Ok(0)
    };
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub.cast_mut(), call) });
    user
}
