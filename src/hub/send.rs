//! What the program has to say: to one connection, to many, to whoever has subscribed.

#![forbid(unsafe_code)]

use std::io::IoSlice;
use std::panic::AssertUnwindSafe;

use super::slots::{Flags, NONE, Slot};
use super::socket::send;
use super::{Hub, Listener};
use crate::connection::{Compress, Config, Connection, Event, EventKind, Message, check_message};
use crate::error::Error;
use crate::frame::Opcode;
use crate::guard::guarded;
use crate::memory::filled_with;

/// From this length on a message is written from where it is, if nothing waits before it.
const DIRECT_LEN: usize = 16 << 10;

/// A message for many connections, prepared once in each form that one of them needs.
struct Forms<'a> {
    opcode: Opcode,
    payload: &'a [u8],
    compress: Compress,
    plain: Option<Message>,
    /// What the connections of each listener may have agreed on.
    compressed: Vec<Option<Message>>,
}

impl<'a> Forms<'a> {
    fn new(opcode: Opcode, payload: &'a [u8], compress: Compress, listeners: &[Listener]) -> Result<Self, Error> {
        let compressed = filled_with(|| None, listeners.len())?;
        Ok(Self { opcode, payload, compress, plain: None, compressed })
    }

    /// The form for a connection; `None` if it has agreed on what nobody else may have.
    fn of(&mut self, slot: &Slot, listeners: &[Listener]) -> Result<Option<&Message>, Error> {
        let number = usize::from(slot.listener);
        let is_compressed = slot.connection.as_ref().is_some_and(|connection| connection.deflate().is_some());
        let (form, compress, config) = match (self.compressed.get_mut(number), listeners.get(number)) {
            _ if !is_compressed => (&mut self.plain, Compress::Never, &Config::default()),
            (Some(form), Some(listener)) => (form, self.compress, &listener.config),
            _ => return Ok(None),
        };
        if form.is_none() {
            *form = Some(Message::new(self.opcode, self.payload, compress, config)?);
        }
        Ok(form.as_ref())
    }
}

impl Hub {
    /// Sends a message on a connection, as [`crate::connection::Connection::send_as`] does. Returns how many bytes of output
    /// it has to take; 0 if it is over or gone, or not open yet. What is long is written at once, if nothing waits, and the rest with the next
    /// poll.
    ///
    /// # Errors
    ///
    /// As there; [`Error::HubForked`], [`Error::HubOfOtherThread`]. If memory ends when a part of the message was written, the
    /// connection ends, too.
    pub fn send(
        &mut self,
        id: u64,
        opcode: Opcode,
        payload: &[u8],
        compress: Compress,
        more: bool,
    ) -> Result<usize, Error> {
        self.owner.check()?;
        let Some(index) = self.slots.find(id) else { return Ok(0) };
        self.send_at(index, opcode, payload, compress, more)
    }

    fn send_at(
        &mut self,
        index: u32,
        opcode: Opcode,
        payload: &[u8],
        compress: Compress,
        more: bool,
    ) -> Result<usize, Error> {
        let is_long = payload.len() >= DIRECT_LEN && matches!(opcode, Opcode::Text | Opcode::Binary) && !more;
        let direct = if is_long { self.send_long(index, opcode, payload, compress) } else { Ok(None) };
        let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.is_alive()) else { return direct.map(|_| 0) };
        let Some(connection) = &mut slot.connection else { return Ok(0) };
        let sent = match direct {
            Ok(Some(sent)) => Ok(sent),
            Ok(None) => guarded(AssertUnwindSafe(|| connection.send_as(opcode, payload, compress, more))),
            Err(error) => Err(error),
        };
        match sent {
            // That is the peer's affair.
            Err(Error::NotOpenYet) => return Ok(0),
            Ok(len) => {
                self.touch(index);
                self.stats.messages_sent = self.stats.messages_sent.saturating_add(u64::from(len > 0));
            }
            Err(Error::OutputFull) => {
                slot.flags.set(Flags::CROWDED);
                self.stats.dropped = self.stats.dropped.saturating_add(1);
            }
            Err(Error::Panicked) => self.bury(index),
            Err(_) => {}
        }
        sent
    }

    /// Sends a message of which as much as possible is written from where it is. Returns `None`, and does nothing, if that is not
    /// possible.
    fn send_long(
        &mut self,
        index: u32,
        opcode: Opcode,
        payload: &[u8],
        compress: Compress,
    ) -> Result<Option<usize>, Error> {
        let is_checked = opcode == Opcode::Text && self.has_checked(payload);
        let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.is_alive()) else { return Ok(Some(0)) };
        let (Some(connection), Some(socket)) = (&mut slot.connection, &slot.socket) else { return Ok(None) };
        if slot.tls.is_some() || slot.flags.has(Flags::BLOCKED) {
            return Ok(None);
        }
        let mut written = 0;
        let write = |parts: &[IoSlice<'_>]| {
            // That the peer is gone shows with the next attempt.
            written = send(socket, parts).unwrap_or_default();
            written
        };
        let sent = connection.send_direct(opcode, payload, compress, is_checked, write);
        self.stats.bytes_sent = self.stats.bytes_sent.saturating_add(written as u64);
        if let Err(error) = sent
            && written > 0
        {
            // The peer has a part, and there is no memory to keep the rest: nothing can follow.
            self.give_up(index, error);
            self.ring();
        }
        sent
    }

    /// Whether these bytes are the text of a message of this batch, which was seen to be UTF-8 when it came: an echo.
    fn has_checked(&self, payload: &[u8]) -> bool {
        let is_it = |event: &Event| {
            let text = event.data(self.data());
            event.is(EventKind::Text) && text.len() == payload.len() && text.as_ptr() == payload.as_ptr()
        };
        let Some(event) = self.events().iter().find(|event| is_it(event)) else { return false };
        let source = self.slots.find(event.connection).and_then(|index| self.connection_at(index));
        event.is_whole() && source.is_some_and(Connection::checks_utf8)
    }

    /// Sends many messages, each on a connection of its own: the answers to a whole batch. What goes to a connection that is
    /// over or gone, or not open yet, or that has too much waiting, is left out. Returns how many of them are done with, those that were left
    /// out included: fewer than there are if the next one cannot be sent; if that is the first, the error shows.
    ///
    /// # Errors
    ///
    /// As [`Hub::send`], if that is what becomes of the first.
    pub fn send_many<'a>(
        &mut self,
        messages: impl Iterator<Item = (u64, &'a [u8])>,
        opcode: Opcode,
        compress: Compress,
    ) -> Result<usize, Error> {
        self.owner.check()?;
        let mut done = 0_usize;
        for (id, payload) in messages {
            let index = self.slots.find(id).unwrap_or(NONE);
            match self.send_at(index, opcode, payload, compress, false) {
                Ok(_) | Err(Error::OutputFull) => done = done.saturating_add(1),
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Lets a connection have what is published on a topic, until it ends. Returns whether the connection is there.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyTopic`], [`Error::OutOfMemory`]; [`Error::HubForked`], [`Error::HubOfOtherThread`].
    pub fn subscribe(&mut self, id: u64, topic: &[u8]) -> Result<bool, Error> {
        let Some(index) = self.member(id, topic)? else { return Ok(false) };
        self.topics.subscribe(&mut self.slots, index, topic)?;
        Ok(true)
    }

    /// The opposite of [`Hub::subscribe`].
    ///
    /// # Errors
    ///
    /// [`Error::EmptyTopic`]; [`Error::HubForked`], [`Error::HubOfOtherThread`].
    pub fn unsubscribe(&mut self, id: u64, topic: &[u8]) -> Result<bool, Error> {
        let Some(index) = self.member(id, topic)? else { return Ok(false) };
        self.topics.unsubscribe(&mut self.slots, index, topic);
        Ok(true)
    }

    fn member(&self, id: u64, topic: &[u8]) -> Result<Option<u32>, Error> {
        self.owner.check()?;
        if topic.is_empty() {
            return Err(Error::EmptyTopic);
        }
        let is_there = |index: &u32| self.slots.get(*index).is_some_and(Slot::is_alive);
        Ok(self.slots.find(id).filter(is_there))
    }

    /// How many connections have subscribed to a topic; with an empty one, how many there are.
    ///
    /// # Errors
    ///
    /// [`Error::HubForked`], [`Error::HubOfOtherThread`].
    pub fn subscribers(&self, topic: &[u8]) -> Result<usize, Error> {
        self.owner.check()?;
        Ok(if topic.is_empty() { self.slots.len() } else { self.topics.members(topic).len() })
    }

    /// Sends a text or binary message on all connections that have subscribed to the topic, or on all that are open if it is
    /// empty; but not on the one with the id `except`. It is prepared once, and what is long is not copied for each. Those
    /// that have too much waiting, or for whom memory ends, do not get it. Returns how many do.
    ///
    /// All get what is published on a topic in the same order.
    ///
    /// # Errors
    ///
    /// [`Error::SendNotData`], [`Error::SendInvalidUtf8`], [`Error::OutOfMemory`]; [`Error::HubForked`],
    /// [`Error::HubOfOtherThread`].
    pub fn publish(
        &mut self,
        topic: &[u8],
        except: u64,
        opcode: Opcode,
        payload: &[u8],
        compress: Compress,
    ) -> Result<usize, Error> {
        self.owner.check()?;
        check_message(opcode, payload)?;
        let Self { topics, slots, listeners, touched, stats, .. } = self;
        let mut forms = Forms::new(opcode, payload, compress, listeners)?;
        let except = slots.find(except).unwrap_or(NONE);
        let everybody = 0..if topic.is_empty() { u32::try_from(slots.capacity()).unwrap_or(NONE) } else { 0 };
        let mut sent = 0_usize;
        for index in topics.members(topic).iter().copied().chain(everybody).filter(|&index| index != except) {
            let Some(slot) = slots.get_mut(index).filter(|slot| slot.is_alive()) else { continue };
            let message = forms.of(slot, listeners);
            let Some(connection) = &mut slot.connection else { continue };
            let outcome = match message {
                Ok(Some(message)) => connection.send_message(message),
                Ok(None) => connection.send_whole(opcode, payload, compress),
                Err(error) if sent == 0 => return Err(error),
                Err(error) => Err(error),
            };
            match outcome {
                Ok(0) | Err(Error::NotOpenYet) => {}
                Ok(_) => {
                    sent = sent.saturating_add(1);
                    slot.touch(index, touched);
                }
                Err(error) => {
                    if error == Error::OutputFull {
                        slot.flags.set(Flags::CROWDED);
                        let listener = listeners.get(usize::from(slot.listener));
                        if listener.is_some_and(|listener| listener.listening.drops_slow) {
                            slot.flags.set(Flags::SLOW);
                            slot.touch(index, touched);
                        }
                    }
                    stats.dropped = stats.dropped.saturating_add(1);
                }
            }
        }
        stats.messages_sent = stats.messages_sent.saturating_add(sent as u64);
        self.ring();
        Ok(sent)
    }
}
