//! The connections of a hub, by ids that are never used twice.

#![forbid(unsafe_code)]

use std::net::SocketAddr;

use socket2::Socket;

use super::dial::Dial;
use super::tls::Tls;
use crate::connection::Connection;
use crate::error::Error;
use crate::memory::{Boxed, push};

/// How many slots are made at a time: a connection does not move when others come.
pub(super) const CHUNK: usize = 256;
/// The same, as indices.
const STEP: u32 = 256;
/// No slot.
pub(super) const NONE: u32 = u32::MAX;
/// The listener of those that came by none.
pub(super) const NO_LISTENER: u16 = u16::MAX;

/// What is true of a connection, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags(u32);

impl Flags {
    /// There may be something to read.
    pub(super) const READABLE: Self = Self(0x01);
    /// The peer has closed its side, or TCP is broken: it is to be read until that shows.
    pub(super) const HUP: Self = Self(0x02);
    /// The socket takes no more for now.
    pub(super) const BLOCKED: Self = Self(0x04);
    /// The application wants nothing of it for now.
    pub(super) const PAUSED: Self = Self(0x08);
    /// So much waits to be written that nothing more is read.
    pub(super) const FULL: Self = Self(0x10);
    /// It is among those to be read.
    pub(super) const QUEUED: Self = Self(0x20);
    /// It is among those whose turn is to be ended with the next poll.
    pub(super) const TOUCHED: Self = Self(0x40);
    /// The application knows of it, and is to be told of its end.
    pub(super) const REPORTED: Self = Self(0x80);
    /// It has events of its own that were not delivered yet.
    pub(super) const HELD: Self = Self(0x100);
    /// The peer has ended, and what waits for it is still written.
    pub(super) const ENDING: Self = Self(0x200);
    /// All is said and written, and the peer is to hang up.
    pub(super) const LINGERING: Self = Self(0x400);
    /// TCP has ended.
    pub(super) const ENDED: Self = Self(0x800);
    /// So much waited to be written that there was no room for a message.
    pub(super) const CROWDED: Self = Self(0x1000);
    /// There is room again, and the application is to be told.
    pub(super) const DRAINED: Self = Self(0x2000);
    /// It is a client's that is not connected yet.
    pub(super) const DIALING: Self = Self(0x4000);
    /// A proxy is to say where it is before it says anything itself.
    pub(super) const PROXIED: Self = Self(0x8000);
    /// It has not taken what was published, and is to be ended.
    pub(super) const SLOW: Self = Self(0x1_0000);

    #[inline]
    pub(super) const fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    #[inline]
    pub(super) const fn set(&mut self, flags: Self) {
        self.0 |= flags.0;
    }

    #[inline]
    pub(super) const fn clear(&mut self, flags: Self) {
        self.0 &= !flags.0;
    }

    /// Of these only those.
    #[inline]
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    #[inline]
    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A slot's place in a list of those that are due in the same tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) next: u32,
    pub(super) previous: u32,
    /// In which tick it is due; [`NONE`] if it is in no list.
    pub(super) tick: u32,
}

impl Default for Link {
    fn default() -> Self {
        Self { next: NONE, previous: NONE, tick: NONE }
    }
}

/// One topic of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscription {
    pub(super) topic: u32,
    /// Its place among the members of the topic.
    pub(super) place: u32,
}

/// A connection, or the place for one.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) connection: Option<Connection>,
    /// From when an attempt to connect begins, and until TCP has ended.
    pub(super) socket: Option<Socket>,
    /// What is between the two, if there is anything.
    pub(super) tls: Option<Boxed<Tls>>,
    /// How many connections have had this slot.
    generation: u32,
    pub(super) flags: Flags,
    /// The listener that it came by, or [`NO_LISTENER`].
    pub(super) listener: u16,
    /// How many bytes it holds, as far as that was seen.
    pub(super) held: u32,
    pub(super) rare: Option<Boxed<Rare>>,
    /// Its place in the wheel; where it has no connection, in the list of such slots.
    pub(super) link: Link,
}

impl Slot {
    /// Whether it has a connection whose end was not seen yet.
    #[inline]
    pub(super) const fn is_alive(&self) -> bool {
        self.connection.is_some() && !self.flags.has(Flags::ENDED)
    }

    /// Puts it among those whose turn is to be ended, if it is not there.
    #[inline]
    pub(super) fn touch(&mut self, index: u32, touched: &mut Vec<u32>) {
        if !self.flags.has(Flags::TOUCHED) {
            self.flags.set(Flags::TOUCHED);
            touched.push(index);
        }
    }
}

// What an idle connection costs is this, and what the wheel and the lists have of it: 256 bytes in all.
const _: () = assert!(size_of::<Slot>() <= 224);

/// What few connections have.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// The application's own, which means nothing here.
    pub(super) user: usize,
    /// Where it is, if a proxy has said so.
    pub(super) address: Option<SocketAddr>,
    /// Until a client is connected.
    pub(super) dial: Option<Boxed<Dial>>,
    pub(super) subscriptions: Vec<Subscription>,
}

impl Slot {
    /// What few have, which this one has from now on.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(super) fn rare(&mut self) -> Result<&mut Rare, Error> {
        if self.rare.is_none() {
            self.rare = Some(Boxed::new(Rare::default())?);
        }
        self.rare.as_deref_mut().ok_or(Error::OutOfMemory)
    }

    /// What is needed to connect, if it is still to be connected.
    pub(super) fn dial(&mut self) -> Option<&mut Dial> {
        self.rare.as_mut()?.dial.as_deref_mut()
    }
}

/// All slots.
#[derive(Debug)]
pub(super) struct Slots {
    chunks: Vec<Vec<Slot>>,
    /// The first of the slots that have no connection.
    unused: u32,
    /// How many have one.
    len: usize,
}

impl Slots {
    pub(super) const fn new() -> Self {
        Self { chunks: Vec::new(), unused: NONE, len: 0 }
    }

    /// How many connections there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// How many there can be without new memory.
    pub(super) fn capacity(&self) -> usize {
        self.chunks.len().saturating_mul(CHUNK)
    }

    /// Whether all slots have a connection.
    pub(super) const fn is_full(&self) -> bool {
        self.unused == NONE
    }

    /// Makes more slots.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(super) fn grow(&mut self) -> Result<(), Error> {
        let begin = u32::try_from(self.capacity()).map_err(|_| Error::OutOfMemory)?;
        let mut chunk = Vec::new();
        chunk.try_reserve_exact(CHUNK).map_err(|_| Error::OutOfMemory)?;
        for index in begin..begin.saturating_add(STEP) {
            let next = if chunk.len() < CHUNK - 1 { index.saturating_add(1) } else { self.unused };
            chunk.push(Slot {
                connection: None,
                socket: None,
                tls: None,
                generation: 0,
                flags: Flags::default(),
                listener: NO_LISTENER,
                held: 0,
                rare: None,
                link: Link { next, ..Link::default() },
            });
        }
        push(&mut self.chunks, chunk)?;
        self.unused = begin;
        Ok(())
    }

    /// Gives a connection a slot, if there is one, and returns which.
    pub(super) fn insert(&mut self, connection: Connection, socket: Option<Socket>, listener: u16) -> Option<u32> {
        let index = self.unused;
        let slot = self.get_mut(index)?;
        let next = slot.link.next;
        slot.connection = Some(connection);
        slot.socket = socket;
        slot.generation = slot.generation.saturating_add(1);
        slot.listener = listener;
        slot.link = Link::default();
        self.unused = next;
        self.len = self.len.saturating_add(1);
        Some(index)
    }

    /// Forgets a connection. Its slot is for another from now on, unless it has had as many as there are numbers for.
    pub(super) fn remove(&mut self, index: u32) {
        let unused = self.unused;
        let Some(slot) = self.get_mut(index).filter(|slot| slot.connection.is_some()) else { return };
        slot.connection = None;
        slot.socket = None;
        slot.tls = None;
        slot.rare = None;
        // It may still stand in lists, in each of which it has one place.
        slot.flags = slot.flags.and(Flags::QUEUED.or(Flags::TOUCHED));
        slot.link = Link { next: unused, ..Link::default() };
        let is_worn_out = slot.generation == u32::MAX;
        self.len = self.len.saturating_sub(1);
        if !is_worn_out {
            self.unused = index;
        }
    }

    /// The slot of a connection by its id, if the connection is still there.
    #[inline]
    pub(super) fn find(&self, id: u64) -> Option<u32> {
        let index = u32::try_from(id & u64::from(u32::MAX)).ok()?;
        let slot = self.get(index)?;
        (slot.connection.is_some() && u64::from(slot.generation) == id >> 32).then_some(index)
    }

    /// All slots, with connections or without.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.chunks.iter().flatten()
    }

    /// The id of the connection in a slot.
    #[inline]
    pub(super) fn id(&self, index: u32) -> u64 {
        let generation = self.get(index).map_or(0, |slot| slot.generation);
        u64::from(generation) << 32 | u64::from(index)
    }

    #[inline]
    #[allow(clippy::arithmetic_side_effects, reason = "CHUNK is not 0")]
    pub(super) fn get(&self, index: u32) -> Option<&Slot> {
        let index = index as usize;
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)
    }

    #[inline]
    #[allow(clippy::arithmetic_side_effects, reason = "CHUNK is not 0")]
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Slot> {
        let index = index as usize;
        self.chunks.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use crate::connection::{Config, Role};

    fn insert(slots: &mut Slots) -> u64 {
        if slots.is_full() {
            slots.grow().unwrap();
        }
        let (socket, _) = Socket::pair(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        let index = slots.insert(Connection::new(Role::Server, &Config::default()).unwrap(), Some(socket), 0).unwrap();
        slots.id(index)
    }

    #[test]
    fn an_id_is_never_used_twice() {
        let mut slots = Slots::new();
        let first = insert(&mut slots);
        assert_ne!(first, 0, "which is nobody's id");
        let index = slots.find(first).unwrap();
        slots.remove(index);
        assert_eq!((slots.find(first), slots.len()), (None, 0));
        let second = insert(&mut slots);
        assert_eq!((slots.find(second), slots.find(first)), (Some(index), None));
        slots.remove(index);
        slots.remove(index);
        assert_eq!(slots.len(), 0);
        slots.get_mut(index).unwrap().generation = u32::MAX - 1;
        let last = insert(&mut slots);
        assert_eq!(slots.find(last), Some(index));
        slots.remove(index);
        let other = insert(&mut slots);
        assert_ne!(slots.find(other), Some(index), "a slot that is worn out is not used any more");
    }

    #[test]
    fn slots_are_made_when_they_are_needed() {
        let mut slots = Slots::new();
        let ids: Vec<u64> = (0..CHUNK + 1).map(|_| insert(&mut slots)).collect();
        assert_eq!((slots.len(), slots.capacity()), (CHUNK + 1, 2 * CHUNK));
        assert!(ids.iter().all(|&id| slots.find(id).is_some_and(|index| slots.id(index) == id)));
    }
}
