//! What comes from the peers.

#![forbid(unsafe_code)]

use std::io::{ErrorKind, Read};
use std::panic::AssertUnwindSafe;

use super::Hub;
use super::batch::Taken;
use super::slots::{Flags, Slot};
use crate::connection::{Event, EventKind, State};
use crate::error::Error;
use crate::guard::guarded;

/// How much is read at a time. With one poll no more is read from a connection, unless it is of a message that is longer.
const READ_LEN: usize = 128 << 10;
/// How much is read with one poll of such a message: it is done sooner, and while it is still in the caches, than if all took
/// turns with a part of it.
const LONG_LEN: usize = 1 << 20;
/// The same before it is open: a request, and what a client sends with it.
const READ_HEAD_LEN: usize = 16 << 10;
/// So much takes longer to read than a system call.
const MUCH_LEN: usize = 16 << 10;
/// From a peer that is to take an answer before more is read, at least this much is read.
const LEAST_READ_LEN: usize = 512;

impl Slot {
    /// Whether there is something to read, or an end to be told.
    pub(super) fn has_a_turn(&self) -> bool {
        let Some(connection) = &self.connection else { return false };
        if self.flags.has(Flags::ENDED.or(Flags::DRAINED)) {
            return true;
        }
        if self.socket.is_none() {
            return false;
        }
        if self.flags.has(Flags::LINGERING) {
            return self.flags.has(Flags::READABLE);
        }
        if self.flags.has(Flags::PAUSED.or(Flags::FULL).or(Flags::HELD).or(Flags::ENDING)) {
            return false;
        }
        // What comes before the request is answered stays where it is, unless the client gives up.
        let is_asked = connection.state() == State::Asked && !self.flags.has(Flags::HUP);
        (self.flags.has(Flags::READABLE) || connection.has_more()) && !is_asked
    }
}

/// What reading from a socket has brought.
enum Came {
    Bytes(usize),
    Nothing,
    End,
    Break,
}

impl Hub {
    /// Gives everybody who stands in the queue a turn, as far as the batch has room.
    pub(super) fn read_ready(&mut self) {
        while self.turns > 0 && !self.batch.is_full() && self.held.is_none() {
            self.turns = self.turns.saturating_sub(1);
            match self.ready.pop_front() {
                Some(index) => self.take_turn(index),
                None => self.turns = 0,
            }
        }
    }

    fn take_turn(&mut self, index: u32) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.flags.clear(Flags::QUEUED);
        if !slot.has_a_turn() {
            return;
        }
        if slot.flags.has(Flags::ENDED) {
            self.deliver_gone(index);
            return;
        }
        if slot.flags.has(Flags::DRAINED) {
            slot.flags.clear(Flags::DRAINED);
            let connection = self.slots.id(index);
            self.batch.put(Event { connection, ..Event::new(EventKind::Drain, 0, 0) });
        } else if slot.flags.has(Flags::LINGERING) {
            self.discard(index);
        } else {
            self.receive(index);
        }
        self.queue(index);
    }

    /// Reads from a connection, or goes on with what was read, and delivers what that brings.
    fn receive(&mut self, index: u32) {
        let is_proxied = self.slots.get(index).is_some_and(|slot| slot.flags.has(Flags::PROXIED));
        if is_proxied && !self.read_proxy(index) {
            return;
        }
        let mut left = LONG_LEN;
        while let Some(read) = self.receive_once(index, left.min(READ_LEN)) {
            if self.deliver(index, read) {
                return;
            }
            left = left.saturating_sub(read);
            // While much was read, the rest of the message has often come.
            if read < MUCH_LEN || left < MUCH_LEN {
                break;
            }
        }
        self.end_turn(index);
    }

    /// Reads once from a connection, or goes on with what was read. Returns how many bytes it has received.
    fn receive_once(&mut self, index: u32, max_len: usize) -> Option<usize> {
        let Self { slots, batch, .. } = self;
        let slot = slots.get_mut(index)?;
        let connection = slot.connection.as_mut()?;
        let mut read = 0;
        let received = if connection.has_more() {
            guarded(AssertUnwindSafe(|| connection.receive(&[])))
        } else {
            let max_len = match connection.state() {
                State::Connecting | State::Asked => max_len.min(READ_HEAD_LEN),
                // An answer to each message finds room.
                _ => max_len.min((connection.high_water_len() / 2).max(LEAST_READ_LEN)),
            };
            let room = batch.room(max_len);
            match slot.read(room) {
                Came::Bytes(len) => read = len,
                Came::Nothing => return None,
                Came::End => {
                    self.end_of_input(index);
                    return None;
                }
                Came::Break => return self.end_of_thread(index),
            }
            let input = room.get_mut(..read).unwrap_or_default();
            let connection = slot.connection.as_mut()?;
            let takes_in_place = connection.takes_in_place();
            guarded(AssertUnwindSafe(|| {
                if takes_in_place { connection.receive_in_place(input) } else { connection.receive(input) }
            }))
        };
        self.stats.bytes_received = self.stats.bytes_received.saturating_add(read as u64);
        match received {
            Ok(()) => return Some(read),
            Err(Error::Panicked) => self.bury(index),
            // What was read is lost, and with it the thread of what the peer says.
            Err(_) => self.end(index),
        }
        None
    }

    /// Puts what a connection has received into the batch. Returns whether that was anything.
    fn deliver(&mut self, index: u32, read: usize) -> bool {
        let id = self.slots.id(index);
        let Some(slot) = self.slots.get_mut(index) else { return true };
        let Some(connection) = &mut slot.connection else { return true };
        let events = connection.events();
        if events.is_empty() {
            return false;
        }
        slot.flags.set(Flags::REPORTED);
        self.stats.messages_received = self.stats.messages_received.saturating_add(count_messages(events));
        let is_settled = events.iter().all(is_settled);
        if self.batch.take(connection, id, read) == Taken::Not {
            connection.mark_events(id);
            slot.flags.set(Flags::HELD);
            self.held = Some(index);
        }
        if is_settled && self.held.is_none() {
            self.end_turn(index);
        } else {
            // A pong or the response to a request need not wait for the application.
            self.write(index);
            self.touch(index);
        }
        true
    }

    /// Returns the events of one connection as a batch of their own.
    pub(super) fn deliver_own(&mut self, index: u32) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.flags.clear(Flags::HELD);
        match &mut slot.connection {
            // What the application does with a request has events of its own, beside those of the batch.
            Some(connection) if connection.events().iter().any(is_request) => {
                self.batch.take_all(connection);
                self.touch(index);
            }
            _ => self.own = Some(index),
        }
    }

    /// The peer has said all that it will.
    fn end_of_input(&mut self, index: u32) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if slot.connection.as_ref().is_some_and(|connection| connection.waiting() > 0) {
            // It may have closed one side only, and want the answers.
            slot.flags.set(Flags::ENDING);
            self.set_exactly(index, super::write::LINGER_MS);
        } else {
            self.end(index);
        }
    }

    /// What was read makes no sense, or there is nobody to read from. Returns whether that is to be told in an event.
    fn end_of_thread(&mut self, index: u32) -> Option<usize> {
        let slot = self.slots.get_mut(index)?;
        let failure = slot.tls.as_ref().and_then(|tls| tls.failure);
        if failure == Some(Error::PlainToTls) {
            // It is answered in its own words.
            slot.tls = None;
            slot.connection.as_mut()?.fail(Error::PlainToTls);
            return Some(0);
        }
        match failure {
            Some(error) => self.give_up(index, error),
            None => self.end(index),
        }
        None
    }

    /// Reads on for an end only.
    fn discard(&mut self, index: u32) {
        let room = self.batch.room(READ_LEN);
        let Some(slot) = self.slots.get_mut(index) else { return };
        if let Came::End | Came::Break = slot.read(room) {
            self.end(index);
        }
    }

    /// Puts the last event of a connection into the batch.
    fn deliver_gone(&mut self, index: u32) {
        let id = self.slots.id(index);
        let Some(connection) = self.slots.get_mut(index).and_then(|slot| slot.connection.as_mut()) else { return };
        if connection.gone().is_err() || self.batch.take(connection, id, 0) == Taken::Not {
            // Without memory for it, it is tried again.
            self.queue(index);
        }
    }
}

/// Whether nothing more is to be known of a connection because of this event: its head, or its end, which waits for the
/// answers to what came before.
fn is_settled(event: &Event) -> bool {
    use EventKind::{Binary, Ping, Pong, Text};
    [Text, Binary, Ping, Pong].iter().any(|&kind| event.is(kind))
}

fn is_request(event: &Event) -> bool {
    event.is(EventKind::Request) || event.is(EventKind::Http)
}

fn count_messages(events: &[Event]) -> u64 {
    events.iter().filter(|event| event.is(EventKind::Text) || event.is(EventKind::Binary)).count() as u64
}

impl Slot {
    /// Reads as much as there is, or room for.
    fn read(&mut self, room: &mut [u8]) -> Came {
        let Some(socket) = &mut self.socket else { return Came::Break };
        let (result, is_all_of_it) = match &mut self.tls {
            Some(tls) => (tls.read(socket, room), false),
            None => {
                let result = socket.read(room);
                let is_all_of_it = result.as_ref().is_ok_and(|len| *len < room.len());
                (result, is_all_of_it)
            }
        };
        match result {
            Ok(0) => Came::End,
            Ok(len) => {
                // The system will say when something comes; but not if it has said already that this is the end.
                if is_all_of_it && !self.flags.has(Flags::HUP) {
                    self.flags.clear(Flags::READABLE);
                }
                Came::Bytes(len)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => {
                    self.flags.clear(Flags::READABLE);
                    Came::Nothing
                }
                ErrorKind::Interrupted => Came::Nothing,
                _ => Came::Break,
            },
        }
    }
}
