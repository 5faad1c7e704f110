//! Connection: the handle.

mod opening;
mod output;
mod receive;
mod send;

use std::panic::AssertUnwindSafe;
use std::ptr::{NonNull, null};
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{c_char, c_void, ptrdiff_t};

use super::boundary::{freed, guarded, leaked, place, returned};
#[cfg(unix)]
use super::hub::{on_hub, wsframe_hub};
use super::records::{wsframe_config, wsframe_deflate};
use crate::connection::{Connection, Role};
use crate::error::Error;
#[cfg(unix)]
use crate::hub::Hub;

pub use opening::{
    wsframe_connection_accept, wsframe_connection_add_field, wsframe_connection_field, wsframe_connection_field_at,
    wsframe_connection_request, wsframe_connection_respond, wsframe_connection_target,
};
pub use output::{wsframe_connection_output, wsframe_connection_parts, wsframe_connection_waiting};
pub use receive::{wsframe_connection_gone, wsframe_connection_receive, wsframe_connection_receive_in_place};
pub use send::{
    wsframe_connection_close, wsframe_connection_send, wsframe_connection_send_many, wsframe_connection_send_message,
};

/// One WebSocket connection, of a server or a client, without I/O. The page above shows its loop. A hub has its own, and lends
/// them by wsframe_hub_connection().
///
/// A connection may be used from one thread at a time and from any thread; different connections never meet. A call
/// while another is running on the same connection returns WSFRAME_ERROR_STATE and does nothing.
#[allow(non_camel_case_types)]
pub struct wsframe_connection {
    whose: Whose,
    /// Whether a call is running.
    is_busy: AtomicBool,
}

/// Whose connection a handle stands for.
enum Whose {
    /// The caller's.
    Own(Connection),
    /// That of a hub, which has it by this id.
    #[cfg(unix)]
    Hub { hub: NonNull<wsframe_hub>, id: u64 },
    /// It has panicked, and nothing half done is ever used.
    Nobody,
}

// What an idle connection costs, with the eight bytes that allocators add: see wsframe_connection_new().
const _: () = assert!(size_of::<wsframe_connection>() + 8 <= 256);

/// Runs a call on a connection, alone and guarded: after a panic the connection is dead, and only it; if it is a hub's, the
/// hub is.
///
/// # Safety
///
/// `connection` is NULL, or came from wsframe_connection_new() and was not freed, or is lent by a hub that was not freed.
pub(super) unsafe fn on(
    connection: *mut wsframe_connection,
    call: impl FnOnce(&mut Connection) -> Result<usize, Error>,
) -> ptrdiff_t {
    // SAFETY: as the caller guarantees.
    unsafe { run(connection, true, |connection, _| call(connection)) }
}

/// As [`on`], for what a hub does itself with a connection that it lends.
///
/// # Safety
///
/// As for [`on`].
pub(super) unsafe fn on_own(
    connection: *mut wsframe_connection,
    call: impl FnOnce(&mut Connection) -> Result<usize, Error>,
) -> ptrdiff_t {
    // SAFETY: as the caller guarantees.
    unsafe { run(connection, false, |connection, _| call(connection)) }
}

/// As [`on`]; the call is told by which id a hub has the connection, 0 if it is the caller's.
///
/// # Safety
///
/// As for [`on`].
#[inline]
unsafe fn run(
    connection: *mut wsframe_connection,
    may_be_lent: bool,
    call: impl FnOnce(&mut Connection, u64) -> Result<usize, Error>,
) -> ptrdiff_t {
    let Ok(handle) = place(connection) else { return returned(Err(Error::NullPointer)) };
    // SAFETY: a live handle. Only a shared borrow of the flag: another thread may be running a call.
    let is_busy = unsafe { &(*handle.as_ptr()).is_busy };
    if is_busy.swap(true, Ordering::Acquire) {
        return returned(Err(Error::ConcurrentCall));
    }
    // SAFETY: a live handle, and the flag keeps every other call away from this field.
    let whose = unsafe { &mut (*handle.as_ptr()).whose };
    let result = match whose {
        Whose::Own(connection) => {
            let result = guarded(AssertUnwindSafe(|| call(connection, 0)));
            if result == Err(Error::Panicked) {
                bury(whose);
            }
            result
        }
        #[cfg(unix)]
        Whose::Hub { hub, id } if may_be_lent => {
            let id = *id;
            let on_lent = |hub: &mut Hub| hub.connection(id)?.map_or(Ok(0), |connection| call(connection, id));
            // SAFETY: a hub frees what it lends, so it is there.
            unsafe { on_hub(hub.as_ptr(), on_lent) }
        }
        #[cfg(unix)]
        Whose::Hub { .. } => Err(Error::BelongsToHub),
        Whose::Nobody => Err(Error::DeadHandle),
    };
    is_busy.store(false, Ordering::Release);
    returned(result)
}

/// Drops what panicked, under a guard of its own: that may panic as well.
#[cold]
fn bury(whose: &mut Whose) {
    let _ = guarded(AssertUnwindSafe(|| {
        drop(std::mem::replace(whose, Whose::Nobody));
        Ok(0)
    }));
}

/// As [`on`], for what a connection lends: the pointer is only written on success.
///
/// # Safety
///
/// As for [`on`]; `out` is NULL or can be written.
pub(super) unsafe fn lend(
    connection: *const wsframe_connection,
    out: *mut *const c_void,
    call: impl FnOnce(&mut Connection) -> Option<&[u8]>,
) -> ptrdiff_t {
    let Ok(out) = place(out) else { return returned(Err(Error::NullPointer)) };
    let lent = |connection: &mut Connection| {
        let lent = call(connection);
        // SAFETY: not NULL, and the caller guarantees that it can be written.
        unsafe { out.write(lent.filter(|lent| !lent.is_empty()).map_or(null(), |lent| lent.as_ptr().cast())) };
        Ok(lent.map_or(0, <[u8]>::len))
    };
    // SAFETY: the caller promises a live handle.
    unsafe { on(connection.cast_mut(), lent) }
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
        let role = match role {
            0 => Role::Server,
            1 => Role::Client,
            _ => return Err(Error::UnknownRole),
        };
        // SAFETY: the caller guarantees the config.
        let config = unsafe { wsframe_config::read(config) }?;
        let whose = Whose::Own(Connection::new(role, &config)?);
        let handle = leaked(wsframe_connection { whose, is_busy: AtomicBool::new(false) })?;
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

/// Whether the handle is a hub's.
///
/// # Safety
///
/// `connection` is NULL or a live handle, and no call is running on it.
unsafe fn is_lent(connection: *const wsframe_connection) -> bool {
    // SAFETY: as the caller guarantees.
    let handle = unsafe { connection.as_ref() };
    match handle.map(|handle| &handle.whose) {
        #[cfg(unix)]
        Some(Whose::Hub { .. }) => true,
        _ => false,
    }
}

#[cfg(unix)]
impl wsframe_connection {
    /// A handle that stands for nobody's connection yet.
    pub(super) fn lendable() -> Result<NonNull<Self>, Error> {
        let handle = leaked(Self { whose: Whose::Nobody, is_busy: AtomicBool::new(false) })?;
        NonNull::new(handle).ok_or(Error::OutOfMemory)
    }

    /// Lets a handle stand for a hub's connection.
    pub(super) fn lend(&mut self, hub: NonNull<wsframe_hub>, id: u64) {
        self.whose = Whose::Hub { hub, id };
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
