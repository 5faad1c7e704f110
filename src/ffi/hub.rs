//! Hub: the loop.

mod peers;
mod send;
mod sockets;
mod waiting;

use std::panic::AssertUnwindSafe;

use libc::{ptrdiff_t, size_t};

use super::boundary::{freed, leaked, place, returned};
use super::handles::{on_hub, take_back, wsframe_hub};
use super::records::{wsframe_batch, wsframe_hub_config, wsframe_stats};
use crate::error::Error;
use crate::guard::guarded;
use crate::hub::Hub;

pub use peers::{
    wsframe_hub_address, wsframe_hub_connection, wsframe_hub_pause, wsframe_hub_set_user, wsframe_hub_terminate,
    wsframe_hub_user,
};
pub use send::{
    wsframe_hub_publish, wsframe_hub_send, wsframe_hub_send_many, wsframe_hub_subscribe, wsframe_hub_subscribers,
    wsframe_hub_unsubscribe,
};
pub use sockets::{
    wsframe_hub_adopt, wsframe_hub_connect, wsframe_hub_listen, wsframe_hub_set_certificate, wsframe_hub_trust,
};
pub use waiting::{wsframe_hub_fd, wsframe_hub_timer, wsframe_hub_wake, wsframe_hub_watch};

/// Makes a hub and writes its handle to *hub. config may be NULL for the defaults. It has half a megabyte of memory for what is
/// received on all its connections, and a connection that nothing is happening on takes some 256 bytes beside.
///
/// The handle lives until wsframe_hub_free().
///
/// Returns 0.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL or the config's struct_size is wrong; WSFRAME_ERROR_IO if the system has no
/// descriptor for it; WSFRAME_ERROR_MEMORY.
///
/// # Safety
///
/// config is NULL or points to a config, hub to a pointer that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_new(config: *const wsframe_hub_config, hub: *mut *mut wsframe_hub) -> ptrdiff_t {
    let call = || {
        let out = place(hub)?;
        // SAFETY: the caller guarantees the config.
        let hub = Hub::new(unsafe { wsframe_hub_config::limits(config) }?)?;
        let handle = leaked(wsframe_hub::new(hub))?;
        // SAFETY: not NULL, and the caller guarantees that a pointer can be written there.
        unsafe { out.write(handle) };
        Ok(0)
    };
    returned(guarded(AssertUnwindSafe(call)))
}

/// Frees a hub, all that it lent, and its connections, without a word to their peers: see wsframe_hub_stop(). NULL does nothing.
/// No call may be running on it. In a process that was forked from the hub's it closes the descriptors that this process has,
/// and disturbs nobody.
///
/// # Safety
///
/// hub is NULL or came from wsframe_hub_new() and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_free(hub: *mut wsframe_hub) {
    // SAFETY: as the caller guarantees.
    unsafe { freed(hub) };
}

/// Waits until something has happened on a connection, and writes it to *batch; for timeout_ms milliseconds at most, 0 for not
/// at all, WSFRAME_NEVER for as long as it takes. Before that it writes what was sent since the last call.
///
/// Each event has the id of its connection. Their offsets count from batch->data, also with what was received in place: there is
/// no WSFRAME_DATA_IN_PLACE. The events of one connection have the order in which things happened. After the last one,
/// WSFRAME_EVENT_GONE, its id stands for nobody; each connection that there was an event of has exactly one. Of a client that
/// leaves before its request is complete there is none.
///
/// Pings are answered, clients are let in or refused, and who had his time is given up, as with a connection of your own; see
/// wsframe_config. A client that does not take what it is sent is not read from while more than half of high_water_len waits: so
/// there is always room for an answer to each message. When a message found none, WSFRAME_EVENT_DRAIN tells when there is room again.
/// One call reads no more than 128 KiB from each connection, or 1 MiB of a message that is longer, so that a peer that sends much
/// does not keep the others waiting, and returns about half a megabyte or 4,096 events; call again for the rest. A long message that came in parts is a batch alone, with its data where they were put together.
///
/// WSFRAME_EVENT_TIMER and _READY are of no connection: see wsframe_hub_timer() and wsframe_hub_watch().
///
/// The call also returns when a signal has come and when wsframe_hub_wake() was called. *batch is always written. Events and data
/// live until the next poll or free.
///
/// Returns the number of events, which may be 0. batch->flags has WSFRAME_BATCH_STOPPED when the hub was stopped and the last
/// connection is gone.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if a pointer is NULL; WSFRAME_ERROR_STATE if the hub is dead, another call is running on it, or it
/// is not of this thread or process; WSFRAME_ERROR_IO if the system does not let it wait.
///
/// # Safety
///
/// hub is a live handle, batch points to a record that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_poll(
    hub: *mut wsframe_hub,
    timeout_ms: u32,
    batch: *mut wsframe_batch,
) -> ptrdiff_t {
    let Ok(out) = place(batch) else { return returned(Err(Error::NullPointer)) };
    // SAFETY: not NULL, and the caller guarantees that a record can be written there.
    unsafe { out.write(wsframe_batch::default()) };
    let call = |polled: &mut Hub| {
        polled.poll(timeout_ms)?;
        // SAFETY: a live handle, as the call runs.
        unsafe { take_back(hub) };
        let filled = wsframe_batch::of_hub(polled);
        // SAFETY: not NULL, and the caller guarantees that a record can be written there.
        unsafe { out.write(filled) };
        Ok(filled.count)
    };
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, call) })
}

/// Ends a hub in good order: lets nobody in any more, closes all connections with 1001, and answers requests that wait with 503.
/// Go on to poll until the batch has WSFRAME_BATCH_STOPPED: each connection that is known has its WSFRAME_EVENT_GONE before.
/// Connections that have not ended in grace_ms milliseconds are given up. A second call only sets a new time.
///
/// Returns 0.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL; WSFRAME_ERROR_STATE as wsframe_hub_subscribe().
///
/// # Safety
///
/// hub is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_stop(hub: *mut wsframe_hub, grace_ms: u32) -> ptrdiff_t {
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, |hub| hub.stop(grace_ms).map(|()| 0)) })
}

/// Writes to *stats what the hub has done so far: its first stats_size bytes, sizeof(wsframe_stats), so that a library with more to
/// tell fits a program with an older header. It looks at each connection, for which it takes some microseconds for a thousand
/// of them: ask once a second, if you like.
///
/// Returns how many bytes were written.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if a pointer is NULL; WSFRAME_ERROR_STATE as wsframe_hub_subscribe().
///
/// # Safety
///
/// hub is a live handle, stats points to stats_size bytes that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_stats(
    hub: *const wsframe_hub,
    stats: *mut wsframe_stats,
    stats_size: size_t,
) -> ptrdiff_t {
    let call = |hub: &mut Hub| {
        let out = place(stats)?;
        let told = wsframe_stats::from(hub.stats());
        let size = stats_size.min(size_of::<wsframe_stats>());
        // SAFETY: not NULL, and the caller guarantees so many bytes; all of a record of numbers can be copied.
        unsafe { std::ptr::copy_nonoverlapping((&raw const told).cast::<u8>(), out.as_ptr().cast(), size) };
        Ok(size)
    };
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub.cast_mut(), call) })
}
