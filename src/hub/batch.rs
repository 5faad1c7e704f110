//! What one poll returns: events of many connections, and their data.

#![forbid(unsafe_code)]

use crate::connection::{Connection, Event, EventFlag};
use crate::error::Error;
use crate::memory::filled;

/// Where the data of a batch are read to, and stay.
const DATA_LEN: usize = 512 << 10;
/// A batch takes no other connection's events when it has so many.
const FULL_EVENTS: usize = 4096;
/// So many more one connection may add.
const MORE_EVENTS: usize = 4096;
/// A connection is not read from into less than this.
const MIN_READ: usize = 16 << 10;
/// From this length on the data of a connection are lent from where they are, as a batch of its own.
const OWN_LEN: usize = 16 << 10;

const IN_PLACE: u8 = EventFlag::InPlace as u8;

/// The batch that is being made, or was returned last.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) events: Vec<Event>,
    /// What is received is read into this, and most events' data stay there.
    data: Vec<u8>,
    /// How much of it is in use.
    data_len: usize,
    /// The data instead, if they are a request that is longer than what is copied.
    request: Vec<u8>,
}

/// What became of a connection's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// They are in the batch, with their data.
    All,
    /// There are so many data that they are to be a batch of their own.
    Not,
}

impl Batch {
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(super) fn new() -> Result<Self, Error> {
        let mut events = Vec::new();
        events.try_reserve_exact(FULL_EVENTS + MORE_EVENTS).map_err(|_| Error::OutOfMemory)?;
        Ok(Self { events, data: filled(0, DATA_LEN)?, data_len: 0, request: Vec::new() })
    }

    /// The data that the events' offsets count from.
    pub(super) fn data(&self) -> &[u8] {
        if self.request.is_empty() { self.data.get(..self.data_len).unwrap_or_default() } else { &self.request }
    }

    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.data_len = 0;
        self.request = Vec::new();
    }

    /// Whether it takes no more.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= FULL_EVENTS || self.room_to_read() < MIN_READ
    }

    /// How much can be read: behind it has to be room for as much once more, as what is not delivered in place is put there.
    fn room_to_read(&self) -> usize {
        self.data.len().saturating_sub(self.data_len) / 2
    }

    /// Where at most so many bytes are to be read to.
    #[inline]
    pub(super) fn room(&mut self, max_len: usize) -> &mut [u8] {
        let len = self.room_to_read().min(max_len);
        let begin = self.data_len;
        self.data.get_mut(begin..begin.saturating_add(len)).unwrap_or_default()
    }

    /// Takes an event without data. The batch is not full.
    pub(super) fn put(&mut self, event: Event) {
        if self.events.len() < self.events.capacity() {
            self.events.push(event);
        }
    }

    /// Takes the events of a connection that has received the first `read` bytes of [`Batch::room`].
    #[inline]
    pub(super) fn take(&mut self, connection: &Connection, id: u64, read: usize) -> Taken {
        let events = connection.events();
        let mut is_in_place = false;
        let mut elsewhere = 0_usize;
        for event in events {
            if event.flags & IN_PLACE != 0 {
                is_in_place = true;
            } else {
                elsewhere = elsewhere.saturating_add(usize::try_from(event.len).unwrap_or(usize::MAX));
            }
        }
        let base = self.data_len;
        let end = if is_in_place { base.saturating_add(read) } else { base };
        let room = self.data.len().saturating_sub(end);
        let is_large = !is_in_place && elsewhere >= OWN_LEN;
        if is_large || elsewhere > room || events.len() > self.events.capacity().saturating_sub(self.events.len()) {
            return Taken::Not;
        }
        self.data_len = end;
        for event in events {
            let offset = if event.flags & IN_PLACE != 0 {
                event.offset.saturating_add(base as u64)
            } else {
                self.copy(event.data(connection.data()))
            };
            self.events.push(Event { connection: id, offset, flags: event.flags & !IN_PLACE, ..*event });
        }
        Taken::All
    }

    /// Takes the events of a connection as the only ones, and away from it; their data stay where they are.
    pub(super) fn take_all(&mut self, connection: &mut Connection) {
        self.clear();
        // There is room for more than one connection ever has.
        self.events.extend_from_slice(connection.events());
        self.request = connection.take_data();
    }

    /// Copies the data of an event, for which there is room, and returns where they are.
    fn copy(&mut self, data: &[u8]) -> u64 {
        let begin = self.data_len;
        let end = begin.saturating_add(data.len());
        if let Some(place) = self.data.get_mut(begin..end) {
            place.copy_from_slice(data);
            self.data_len = end;
        }
        begin as u64
    }
}
