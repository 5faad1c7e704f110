//! Hub: what goes to one connection, to many, to whoever has subscribed.

use libc::{c_void, ptrdiff_t, size_t};

use super::super::boundary::{Pieces, bytes, lengths, numbers, returned};
use super::super::handles::{on_hub, wsframe_hub};
use super::super::records::Sending;
use crate::error::Error;
use crate::hub::Hub;

/// Sends a message on the connection with this id, as wsframe_connection_send() does: opcode is that of an event, or a piece, or
/// says whether to compress. It is written with the next poll, together with what else is sent until then; of 16 KiB or more
/// as much as possible at once, from where it is.
///
/// Returns how many bytes of output it takes to send it and what waits already, at least 2. Returns 0 if the connection is over
/// or gone, or is not open yet.
///
/// Errors: as wsframe_connection_send(), WSFRAME_ERROR_STATE only while the pieces of another message are not finished; WSFRAME_ERROR_STATE
/// if the hub is dead, another call is running on it, or it is not of this thread or process. If memory ends when
/// a part of the message was written, the connection ends with WSFRAME_ERROR_MEMORY.
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
/// What is for a connection that is over or gone, is not open yet, or has more than high_water_len waiting, is left out.
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
/// opcode is WSFRAME_OPCODE_TEXT or _BINARY, alone or with _PLAIN or _COMPRESSED. Who has more than high_water_len waiting, or for
/// whom memory ends when others have got the message, does not get it, and is counted in wsframe_stats.dropped.
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
