//! What the handles of connections and hubs point to, and how calls get at it. They stand in one file because they know of
//! each other: a hub lends handles of its connections, and what is done with these is done in the hub.

use std::panic::AssertUnwindSafe;
#[cfg(unix)]
use std::ptr::NonNull;
use std::ptr::null;
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{c_void, ptrdiff_t};

#[cfg(unix)]
use super::boundary::{freed, leaked};
use super::boundary::{place, returned};
use crate::connection::Connection;
use crate::error::Error;
use crate::guard::{bury, guarded};
#[cfg(unix)]
use crate::hub::{Hub, Owner, Waker};

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

/// Runs a call on a connection, alone and guarded: after a panic the connection is dead, and only it.
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
#[cfg_attr(not(unix), allow(unused_variables, reason = "nobody lends"))]
pub(super) unsafe fn run(
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
                bury(whose, Whose::Nobody);
            }
            result
        }
        #[cfg(unix)]
        Whose::Hub { hub, id } if may_be_lent => {
            let id = *id;
            let on_lent = |hub: &mut Hub| hub.on_connection(id, |connection| call(connection, id));
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

/// Whether the handle is a hub's.
///
/// # Safety
///
/// `connection` is NULL or a live handle, and no call is running on it.
pub(super) unsafe fn is_lent(connection: *const wsframe_connection) -> bool {
    // SAFETY: as the caller guarantees.
    let handle = unsafe { connection.as_ref() };
    match handle.map(|handle| &handle.whose) {
        #[cfg(unix)]
        Some(Whose::Hub { .. }) => true,
        _ => false,
    }
}

impl wsframe_connection {
    /// What the handle of the caller's own connection points to.
    pub(super) const fn own(connection: Connection) -> Self {
        Self { whose: Whose::Own(connection), is_busy: AtomicBool::new(false) }
    }
}

#[cfg(unix)]
impl wsframe_connection {
    /// A handle that stands for nobody's connection yet.
    fn lendable() -> Result<NonNull<Self>, Error> {
        let handle = leaked(Self { whose: Whose::Nobody, is_busy: AtomicBool::new(false) })?;
        NonNull::new(handle).ok_or(Error::OutOfMemory)
    }

    /// Lets a handle stand for a hub's connection.
    fn lend(&mut self, hub: NonNull<wsframe_hub>, id: u64) {
        self.whose = Whose::Hub { hub, id };
    }
}

/// Many WebSocket connections, accepted and made, and the loop that serves them: sockets, timers, topics. The page above shows
/// how it is used.
///
/// A hub belongs to the thread of its first wsframe_hub_poll(), and to the process that made it: in another thread, and after a
/// fork, its functions return WSFRAME_ERROR_STATE, but for wsframe_hub_wake(), which may be called from any thread, and
/// wsframe_hub_free(). Hubs do not know of each other: make one for each thread that is to serve.
///
/// A connection has an id: a number, never 0, that no other connection of the hub has had or will have. What is done with an
/// id whose connection is gone does nothing and returns 0.
#[cfg(unix)]
#[allow(non_camel_case_types)]
pub struct wsframe_hub {
    /// None after a panic, so that nothing half done is ever used.
    hub: Option<Hub>,
    lent: Lent,
    waker: Waker,
    owner: Owner,
    /// Whether a call is running.
    is_busy: AtomicBool,
}

/// Handles of connections.
#[cfg(unix)]
#[derive(Default)]
struct Lent {
    handles: Vec<NonNull<wsframe_connection>>,
    /// How many of them were lent since the last poll.
    count: usize,
}

#[cfg(unix)]
impl Lent {
    /// A handle that is not lent.
    fn next(&mut self) -> Result<NonNull<wsframe_connection>, Error> {
        let known = self.handles.get(self.count).copied();
        let handle = match known {
            Some(handle) => handle,
            None => {
                self.handles.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
                let handle = wsframe_connection::lendable()?;
                self.handles.push(handle);
                handle
            }
        };
        self.count = self.count.saturating_add(1);
        Ok(handle)
    }
}

/// Runs a call on a hub, alone and guarded: after a panic the hub is dead.
///
/// # Safety
///
/// `hub` is NULL, or came from wsframe_hub_new() and was not freed.
#[cfg(unix)]
pub(super) unsafe fn on_hub(
    hub: *mut wsframe_hub,
    call: impl FnOnce(&mut Hub) -> Result<usize, Error>,
) -> Result<usize, Error> {
    let handle = place(hub)?;
    // SAFETY: a live handle; a shared borrow of a field that does not change while it lives.
    let owner = unsafe { &(*handle.as_ptr()).owner };
    // Before the flag: others could set it just when the owner makes a call.
    owner.check()?;
    // SAFETY: a live handle. Only a shared borrow of the flag: another thread may be running a call.
    let is_busy = unsafe { &(*handle.as_ptr()).is_busy };
    if is_busy.swap(true, Ordering::Acquire) {
        return Err(Error::ConcurrentCall);
    }
    // SAFETY: a live handle, and the flag keeps every other call away from this field.
    let slot = unsafe { &mut (*handle.as_ptr()).hub };
    let result = match slot {
        // What a connection panicked in has ended there.
        Some(hub) => guarded(AssertUnwindSafe(|| Ok(call(hub)))),
        None => Ok(Err(Error::DeadHandle)),
    };
    if result == Err(Error::Panicked) {
        bury(slot, None);
    }
    is_busy.store(false, Ordering::Release);
    result.flatten()
}

#[cfg(unix)]
impl wsframe_hub {
    pub(super) fn new(hub: Hub) -> Self {
        let (waker, owner) = (hub.waker(), hub.owner());
        Self { hub: Some(hub), lent: Lent::default(), waker, owner, is_busy: AtomicBool::new(false) }
    }
}

/// What can be used while a call is running on the hub.
///
/// # Safety
///
/// `hub` is NULL, or a live handle for as long as `'a`.
#[cfg(unix)]
pub(super) unsafe fn waker_of<'a>(hub: *const wsframe_hub) -> Result<&'a Waker, Error> {
    let handle = place(hub.cast_mut())?;
    // SAFETY: a live handle; a shared borrow of a field that does not change while it lives.
    Ok(unsafe { &(*handle.as_ptr()).waker })
}

/// Lets a handle stand for a connection of a hub, until [`take_back`].
///
/// # Safety
///
/// `hub` is a live handle, and a call of this thread is running on it.
#[cfg(unix)]
pub(super) unsafe fn lend_by_hub(hub: *mut wsframe_hub, id: u64) -> Result<*mut wsframe_connection, Error> {
    let handle = place(hub)?;
    // SAFETY: a live handle, and this field is only used by a call that is alone.
    let mut lending = unsafe { &mut (*hub).lent }.next()?;
    // SAFETY: made by lendable(), freed with the hub, and no call is running on it while one is running here.
    unsafe { lending.as_mut() }.lend(handle, id);
    Ok(lending.as_ptr())
}

/// The handles that were lent may stand for other connections from now on.
///
/// # Safety
///
/// As for [`lend_by_hub`].
#[cfg(unix)]
pub(super) unsafe fn take_back(hub: *mut wsframe_hub) {
    // SAFETY: a live handle, and this field is only used by a call that is alone.
    unsafe { (*hub).lent.count = 0 };
}

#[cfg(unix)]
impl Drop for Lent {
    fn drop(&mut self) {
        for handle in self.handles.drain(..) {
            // SAFETY: it came from lendable(), and is nowhere else. Nothing is dropped but the handle.
            unsafe { freed(handle.as_ptr()) };
        }
    }
}
