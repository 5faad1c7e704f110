//! Hub.

use std::panic::AssertUnwindSafe;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{c_void, ptrdiff_t, size_t};

use super::boundary::{Pieces, bytes, freed, guarded, leaked, lengths, numbers, place, returned};
use super::connection::wsframe_connection;
use super::records::{ListenFlag, Sending, wsframe_batch, wsframe_config, wsframe_hub_config, wsframe_stats};
use crate::error::Error;
use crate::hub::{Hub, Waker};

const REUSE_PORT: u32 = ListenFlag::ReusePort as u32;

/// Many WebSocket connections of a server, and the loop that serves them: sockets, timers, topics. The page above shows how it
/// is used.
///
/// A hub belongs to the thread of its first wsframe_hub_poll(), and to the process that made it: in another thread, and after a
/// fork, its functions return WSFRAME_ERROR_STATE, but for wsframe_hub_wake(), which may be called from any thread, and
/// wsframe_hub_free(). Hubs do not know of each other: make one for each thread that is to serve.
///
/// A connection has an id: a number, never 0, that no other connection of the hub has had or will have. What is done with an
/// id whose connection is gone does nothing and returns 0.
#[allow(non_camel_case_types)]
pub struct wsframe_hub {
    /// None after a panic, so that nothing half done is ever used.
    hub: Option<Hub>,
    lent: Lent,
    waker: Waker,
    /// Whether a call is running.
    is_busy: AtomicBool,
}

/// Handles of connections.
#[derive(Default)]
struct Lent {
    handles: Vec<NonNull<wsframe_connection>>,
    /// How many of them were lent since the last poll.
    count: usize,
}

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
pub(super) unsafe fn on_hub(
    hub: *mut wsframe_hub,
    call: impl FnOnce(&mut Hub) -> Result<usize, Error>,
) -> Result<usize, Error> {
    let handle = place(hub)?;
    // SAFETY: a live handle. Only a shared borrow of the flag: another thread may be running a call.
    let is_busy = unsafe { &(*handle.as_ptr()).is_busy };
    if is_busy.swap(true, Ordering::Acquire) {
        return Err(Error::ConcurrentCall);
    }
    // SAFETY: a live handle, and the flag keeps every other call away from this field.
    let slot = unsafe { &mut (*handle.as_ptr()).hub };
    let result = match slot {
        Some(hub) => guarded(AssertUnwindSafe(|| call(hub))),
        None => Err(Error::DeadHandle),
    };
    if result == Err(Error::Panicked) {
        bury(slot);
    }
    is_busy.store(false, Ordering::Release);
    result
}

/// Drops what panicked, under a guard of its own: that may panic as well.
#[cold]
fn bury(slot: &mut Option<Hub>) {
    let _ = guarded(AssertUnwindSafe(|| {
        drop(slot.take());
        Ok(0)
    }));
}

impl Drop for Lent {
    fn drop(&mut self) {
        for handle in self.handles.drain(..) {
            // SAFETY: it came from lendable(), and is nowhere else. Nothing is dropped but the handle.
            unsafe { freed(handle.as_ptr()) };
        }
    }
}

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
        let hub = Hub::new(unsafe { wsframe_hub_config::max_connections(config) }?)?;
        let waker = hub.waker();
        let (lent, is_busy) = (Lent::default(), AtomicBool::new(false));
        let handle = leaked(wsframe_hub { hub: Some(hub), lent, waker, is_busy })?;
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

/// Listens at an address: "127.0.0.1:8080", "[::1]:8080", "[::]:8080", which takes IPv4 as well, or "unix:/run/chat.socket". Names
/// are not looked up. Port 0 lets the system choose. The file of a Unix socket that a server has left over is replaced, one at
/// which somebody listens is not; it stays when the hub ends.
///
/// The clients that come by it are served with this config, which may be NULL for the defaults. flags is 0 or
/// WSFRAME_LISTEN_REUSE_PORT. Nobody is let in before the next wsframe_hub_poll(). A hub may listen at several addresses.
///
/// Returns the port, 0 for a Unix socket.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if the address is none, flags has an unknown bit, or the config is wrong, of which wsframe_why()
/// says how; WSFRAME_ERROR_IO if the system refuses, of which errno says why, for instance EADDRINUSE; WSFRAME_ERROR_STATE if the
/// hub was stopped, or is not of this thread or process; WSFRAME_ERROR_MEMORY.
///
/// # Safety
///
/// hub is a live handle, address has its length, config is NULL or points to a config.
#[allow(rustdoc::broken_intra_doc_links, reason = "[::] is no link")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_listen(
    hub: *mut wsframe_hub,
    address: *const c_void,
    address_len: size_t,
    flags: u32,
    config: *const wsframe_config,
) -> ptrdiff_t {
    let call = |hub: &mut Hub| {
        // SAFETY: the caller guarantees address_len readable bytes.
        let address = unsafe { bytes(address, address_len) }?;
        let address = std::str::from_utf8(address).map_err(|_| Error::InvalidAddress)?;
        let reuse_port = match flags {
            0 => false,
            REUSE_PORT => true,
            _ => return Err(Error::UnknownBits),
        };
        // SAFETY: the caller guarantees the config.
        let config = unsafe { wsframe_config::read(config) }?;
        hub.listen(address, reuse_port, config).map(usize::from)
    };
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, call) })
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
/// wsframe_config. A peer that does not take what it is sent is not read from while more than half of high_water_len waits: so
/// there is always room for an answer to each message. One call reads no more than 128 KiB from each connection, so that a peer
/// that sends much does not keep the others waiting, and returns about half a megabyte or 4,096 events; call again for the
/// rest. A long message that came in parts is a batch alone, with its data where they were put together.
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
        // SAFETY: a live handle, as the call runs, and this field is only used by a call that is alone.
        unsafe { (*hub).lent.count = 0 };
        let filled = wsframe_batch::of_hub(polled);
        // SAFETY: not NULL, and the caller guarantees that a record can be written there.
        unsafe { out.write(filled) };
        Ok(filled.count)
    };
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, call) })
}

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
        let handle = place(hub)?;
        // SAFETY: a live handle, as the call runs, and this field is only used by a call that is alone.
        let mut lending = unsafe { &mut (*hub).lent }.next()?;
        // SAFETY: made by lendable(), freed with the hub, and no call is running on it while one is running here.
        unsafe { lending.as_mut() }.lend(handle, id);
        // SAFETY: not NULL, and the caller guarantees that a pointer can be written there.
        unsafe { out.write(lending.as_ptr()) };
        Ok(1)
    };
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, call) })
}

/// Sends a message on the connection with this id, as wsframe_connection_send() does: opcode is that of an event, or a piece, or
/// says whether to compress. It is written with the next poll, together with what else is sent until then; of 16 KiB or more
/// as much as possible at once, from where it is.
///
/// Returns how many bytes of output it takes to send it and what waits already, at least 2. Returns 0 if the connection is over
/// or gone.
///
/// Errors: as wsframe_connection_send(); WSFRAME_ERROR_STATE also if the hub is not of this thread or process.
///
/// # Safety
///
/// hub is a live handle, in points to in_len readable bytes, which may be data of an event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_send(
    hub: *mut wsframe_hub,
    id: u64,
    opcode: u32,
    r#in: *const c_void,
    in_len: size_t,
) -> ptrdiff_t {
    let call = |hub: &mut Hub| {
        // SAFETY: the caller guarantees in_len readable bytes; sending moves no data of events.
        let payload = unsafe { bytes(r#in, in_len) }?;
        let Sending { opcode, compress, more } = Sending::read(opcode)?;
        hub.send(id, opcode, payload, compress, more)
    };
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, call) })
}

/// Sends count messages, each as wsframe_hub_send() does, with one call: the answers to a whole batch. They stand one behind the
/// other at in; lens are their lengths, and ids say on which connections, which may be there more than once. opcode is without
/// WSFRAME_OPCODE_MORE.
///
/// What is for a connection that is over or gone, or has more than high_water_len waiting, is left out.
///
/// Returns how many messages are done with, those that were left out included. That is less than count if the next one cannot be
/// sent, for instance because it is not UTF-8; a call that begins with it returns the error.
///
/// Errors: as wsframe_hub_send(), for the first of them. WSFRAME_ERROR_ARGUMENT if a pointer is NULL.
///
/// # Safety
///
/// hub is a live handle, ids and lens point to count numbers, in to as many readable bytes as the lengths sum up to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_send_many(
    hub: *mut wsframe_hub,
    ids: *const u64,
    opcode: u32,
    r#in: *const c_void,
    lens: *const size_t,
    count: size_t,
) -> ptrdiff_t {
    let call = |hub: &mut Hub| {
        // SAFETY: the caller guarantees the ids.
        let ids = unsafe { numbers(ids, count) }?;
        // SAFETY: the caller guarantees the lengths.
        let (lens, in_len) = unsafe { lengths(lens, count) }?;
        // SAFETY: the caller guarantees as many readable bytes; sending moves no data of events.
        let payloads = unsafe { bytes(r#in, in_len) }?;
        let Sending { opcode, compress, more } = Sending::read(opcode)?;
        if more {
            return Err(Error::SendUnknownBits);
        }
        hub.send_many(ids.iter().copied().zip(Pieces::new(payloads, lens)), opcode, compress)
    };
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, call) })
}

/// Lets the connection with this id have what is published on a topic, until it ends. A topic has a name of at least one byte,
/// and comes and goes with those who have subscribed to it. A second time does nothing.
///
/// Returns 1, or 0 if the connection is gone.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if the name is empty or a pointer is NULL; WSFRAME_ERROR_STATE if the hub is dead, another call is
/// running on it, or it is not of this thread or process; WSFRAME_ERROR_MEMORY.
///
/// # Safety
///
/// hub is a live handle, topic has its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_subscribe(
    hub: *mut wsframe_hub,
    id: u64,
    topic: *const c_void,
    topic_len: size_t,
) -> ptrdiff_t {
    // SAFETY: the caller guarantees topic_len readable bytes.
    let call = |hub: &mut Hub| hub.subscribe(id, unsafe { bytes(topic, topic_len) }?).map(usize::from);
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, call) })
}

/// The opposite of wsframe_hub_subscribe(), also for who has not subscribed.
///
/// Returns and errors as wsframe_hub_subscribe().
///
/// # Safety
///
/// hub is a live handle, topic has its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_unsubscribe(
    hub: *mut wsframe_hub,
    id: u64,
    topic: *const c_void,
    topic_len: size_t,
) -> ptrdiff_t {
    // SAFETY: the caller guarantees topic_len readable bytes.
    let call = |hub: &mut Hub| hub.unsubscribe(id, unsafe { bytes(topic, topic_len) }?).map(usize::from);
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, call) })
}

/// Returns how many connections have subscribed to a topic; if topic_len is 0, how many connections the hub has.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if a pointer is NULL; WSFRAME_ERROR_STATE as wsframe_hub_subscribe().
///
/// # Safety
///
/// hub is a live handle, topic has its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_subscribers(
    hub: *const wsframe_hub,
    topic: *const c_void,
    topic_len: size_t,
) -> ptrdiff_t {
    // SAFETY: the caller guarantees topic_len readable bytes.
    let call = |hub: &mut Hub| hub.subscribers(unsafe { bytes(topic, topic_len) }?);
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub.cast_mut(), call) })
}

/// Sends a text or binary message on all connections that have subscribed to a topic, or on all that are open if topic_len is 0;
/// but not on the one with the id except, which may be 0. The message is checked once, and compressed once for all with whom
/// that was agreed on; what is long is not copied for each. All get what is published on a topic in the same order.
///
/// opcode is WSFRAME_OPCODE_TEXT or _BINARY, alone or with _PLAIN or _COMPRESSED. Who has more than high_water_len waiting does
/// not get the message, and is counted in wsframe_stats.dropped.
///
/// Returns on how many connections it is sent.
///
/// Errors: WSFRAME_ERROR_ARGUMENT for another opcode, text that is not UTF-8, or a NULL pointer; WSFRAME_ERROR_STATE as
/// wsframe_hub_subscribe(); WSFRAME_ERROR_MEMORY.
///
/// # Safety
///
/// hub is a live handle, topic has its length, in points to in_len readable bytes, which may be data of an event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_publish(
    hub: *mut wsframe_hub,
    topic: *const c_void,
    topic_len: size_t,
    except: u64,
    opcode: u32,
    r#in: *const c_void,
    in_len: size_t,
) -> ptrdiff_t {
    let call = |hub: &mut Hub| {
        // SAFETY: the caller guarantees topic_len readable bytes.
        let topic = unsafe { bytes(topic, topic_len) }?;
        // SAFETY: the caller guarantees in_len readable bytes; sending moves no data of events.
        let payload = unsafe { bytes(r#in, in_len) }?;
        let Sending { opcode, compress, more } = Sending::read(opcode)?;
        if more {
            return Err(Error::SendUnknownBits);
        }
        hub.publish(topic, except, opcode, payload, compress)
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

/// Returns a descriptor that can be read from when wsframe_hub_poll() with timeout_ms 0 has something to do, what was sent and
/// what is due included: for a program that has a loop already. Wait for it there, and then poll. Do not read from it or close
/// it; it lives as long as the hub. A poll takes a little longer from the first call of this function on.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL; WSFRAME_ERROR_IO if the system has no descriptor for it, or no timer that is one:
/// it has to be Linux; WSFRAME_ERROR_STATE as wsframe_hub_subscribe().
///
/// # Safety
///
/// hub is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_fd(hub: *mut wsframe_hub) -> ptrdiff_t {
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, |hub| usize::try_from(hub.fd()?).map_err(|_| Error::HubFailed)) })
}

/// Makes wsframe_hub_poll() return that is waiting, or else the next one. This function may be called from any thread, at any time
/// while the hub lives: it is how other threads say that they have left something to be sent.
///
/// Returns 0.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL; WSFRAME_ERROR_STATE after a fork; WSFRAME_ERROR_IO if the system refuses.
///
/// # Safety
///
/// hub is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_wake(hub: *const wsframe_hub) -> ptrdiff_t {
    let call = || {
        let handle = place(hub)?;
        // SAFETY: a live handle; a shared borrow of a field that does not change while it lives.
        let waker = unsafe { &(*handle.as_ptr()).waker };
        waker.wake().map(|()| 0)
    };
    returned(guarded(AssertUnwindSafe(call)))
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

/// Writes to *stats what the hub has done so far. It costs next to nothing.
///
/// Returns 0.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if a pointer is NULL; WSFRAME_ERROR_STATE if the hub is dead or another call is running on it.
///
/// # Safety
///
/// hub is a live handle, stats points to a record that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_stats(hub: *const wsframe_hub, stats: *mut wsframe_stats) -> ptrdiff_t {
    let call = |hub: &mut Hub| {
        let out = place(stats)?;
        // SAFETY: not NULL, and the caller guarantees that a record can be written there.
        unsafe { out.write(hub.stats().into()) };
        Ok(0)
    };
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub.cast_mut(), call) })
}
