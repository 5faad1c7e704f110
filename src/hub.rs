//! Many WebSocket connections and the event loop that serves them: one call waits, accepts, reads, answers and returns what
//! happened, as one batch.
//!
//! ```
//! use wsframe::connection::{Compress, Config, EventKind};
//! use wsframe::frame::Opcode;
//! use wsframe::hub::{Hub, Limits, Listening};
//!
//! let mut hub = Hub::new(Limits::default())?;
//! let port = hub.listen("127.0.0.1:0", Listening::default(), Config::default())?;
//! # hub.stop(0)?;
//! while !hub.has_ended() {
//!     hub.poll(1000)?;
//!     for i in 0..hub.events().len() {
//!         let event = hub.events()[i];
//!         if event.is(EventKind::Text) {
//!             let text = event.data(hub.data()).to_vec();
//!             hub.send(event.connection, Opcode::Text, &text, Compress::IfShorter, false)?;
//!         }
//!     }
//! }
//! # Ok::<(), wsframe::error::Error>(())
//! ```
//!
//! A slot has a connection from the moment its client was accepted until its last event was delivered. Sockets are
//! registered once, edge-triggered: whoever can be read from stands in a queue until that is over, and has its turn of a
//! bounded length with each poll. What a program sends is written when it polls the next time.

#![forbid(unsafe_code)]

mod address;
mod adopt;
#[cfg(target_os = "linux")]
mod alarm;
#[cfg(not(target_os = "linux"))]
#[path = "hub/no_alarm.rs"]
mod alarm;
mod batch;
mod connect;
mod dial;
mod limits;
mod listener;
mod owner;
mod panics;
mod peer;
mod proxied;
mod read;
mod resolver;
mod send;
mod slots;
mod socket;
mod stats;
mod stop;
mod timers;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "hub/no_tls.rs"]
mod tls;
mod topics;
mod url;
mod waker;
mod watches;
mod wheel;
mod write;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::{Events, Poll, Token};

use crate::connection::{Connection, Event, EventKind, NEVER};
use crate::error::Error;
use crate::memory::look_for;
pub use adopt::Adopted;
use alarm::Alarm;
use batch::Batch;
use limits::Hosts;
pub use limits::Limits;
use listener::Listener;
pub use listener::Listening;
pub use owner::Owner;
use resolver::Resolver;
use slots::{Flags, Slots};
pub use stats::Stats;
use stats::Stopwatch;
use timers::Timers;
use tls::Trust;
use topics::Topics;
pub use waker::Waker;
pub use watches::WatchFlag;
use watches::Watches;
use wheel::Wheel;

/// How many sockets are looked at in one poll at most.
const READY: usize = 1024;
/// How much memory mio takes for that, and beside it where it checks itself.
const POLL_LEN: usize = READY * 32 + 64;
/// Tokens below this are slots, from here on listeners. No system has as many descriptors.
const LISTENERS: usize = 1 << 30;
const MAX_LISTENERS: usize = 1 << 15;
/// From here on they are descriptors of the application's.
const WATCHES: usize = LISTENERS + MAX_LISTENERS;
const WAKER: Token = Token(usize::MAX);
const ALARM: Token = Token(usize::MAX - 1);

/// Many connections, and their loop. See the module.
#[derive(Debug)]
pub struct Hub {
    owner: Owner,
    poll: Poll,
    /// What the system has said.
    told: Events,
    waker: Waker,
    alarm: Option<Alarm>,
    listeners: Vec<Listener>,
    limits: Limits,
    /// How many bytes the connections hold together, as far as that was seen.
    held_len: usize,
    hosts: Hosts,
    slots: Slots,
    wheel: Wheel,
    topics: Topics,
    timers: Timers,
    watches: Watches,
    resolver: Resolver,
    trust: Trust,
    /// What was lent last.
    text: String,
    /// Those that something may be read from, or whose end is to be delivered; the first had no turn for the longest time.
    ready: VecDeque<u32>,
    /// How many of these are to have their turn before the system is asked for others.
    turns: usize,
    /// Those whose turn is to be ended with the next poll.
    touched: Vec<u32>,
    batch: Batch,
    /// The connection whose events are a batch of their own, the next one.
    held: Option<u32>,
    /// The same, the one that was returned.
    own: Option<u32>,
    stopwatch: Stopwatch,
    now_ms: u64,
    /// Until when all is to be over.
    stopping: Option<u64>,
    stats: Stats,
}

impl Hub {
    /// A hub that listens nowhere yet.
    ///
    /// # Errors
    ///
    /// [`Error::HubFailed`] if the system refuses what it needs; [`Error::OutOfMemory`].
    pub fn new(limits: Limits) -> Result<Self, Error> {
        look_for(POLL_LEN)?;
        let poll = Poll::new().map_err(|_| Error::HubFailed)?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        Ok(Self {
            owner: Owner::new()?,
            poll,
            told: Events::with_capacity(READY),
            waker,
            alarm: None,
            listeners: Vec::new(),
            // Each index has to be a token below those of the listeners.
            limits: Limits { max_connections: limits.max_connections.min(LISTENERS - slots::CHUNK), ..limits },
            held_len: 0,
            hosts: Hosts::default(),
            slots: Slots::new(),
            wheel: Wheel::new()?,
            topics: Topics::default(),
            timers: Timers::default(),
            watches: Watches::default(),
            resolver: Resolver::new()?,
            trust: Trust::default(),
            text: String::new(),
            ready: VecDeque::new(),
            turns: 0,
            touched: Vec::new(),
            batch: Batch::new()?,
            held: None,
            own: None,
            stopwatch: Stopwatch::default(),
            now_ms: 0,
            stopping: None,
            stats: Stats::default(),
        })
    }

    /// Ends what was begun since the last poll: what was sent is written, and what was delivered is forgotten. Then waits
    /// until something has happened, [`Waker::wake`] was called or a signal has come, but no longer than so many milliseconds,
    /// [`NEVER`] for as long as it takes. [`Hub::events`] and [`Hub::data`] have what happened.
    ///
    /// # Errors
    ///
    /// [`Error::HubForked`], [`Error::HubOfOtherThread`]; [`Error::PollFailed`] if the system refuses.
    pub fn poll(&mut self, timeout_ms: u32) -> Result<(), Error> {
        self.owner.claim()?;
        self.now_ms = self.stopwatch.enter();
        let result = self.run(timeout_ms);
        self.set_alarm();
        self.stopwatch.leave();
        result
    }

    fn run(&mut self, timeout_ms: u32) -> Result<(), Error> {
        self.forget_delivered();
        self.end_touched();
        self.keep_to_memory();
        self.ask_again();
        if let Some(index) = self.held.take() {
            self.deliver_own(index);
            return Ok(());
        }
        let deadline = (timeout_ms != NEVER).then(|| self.now_ms.saturating_add(timeout_ms.into()));
        loop {
            let is_disturbed = self.turns == 0 && self.wait(deadline)?;
            self.expire();
            self.deliver_timers();
            self.deliver_watched();
            self.accept_waiting();
            self.read_ready();
            let is_over = deadline.is_some_and(|deadline| self.now_ms >= deadline);
            if is_disturbed || is_over || !self.events().is_empty() || self.held.is_some() || self.has_ended() {
                break;
            }
            self.end_touched();
            self.keep_to_memory();
        }
        if self.events().is_empty()
            && let Some(index) = self.held.take()
        {
            self.deliver_own(index);
        }
        Ok(())
    }

    /// What happened, as far as the last poll has returned it. The field `connection` says on which connection.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        match self.own.and_then(|index| self.connection_at(index)) {
            Some(connection) => connection.events(),
            None => &self.batch.events,
        }
    }

    /// The data of these events.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        match self.own.and_then(|index| self.connection_at(index)) {
            Some(connection) => connection.data(),
            None => self.batch.data(),
        }
    }

    /// Whether [`Hub::stop`] was called, and no connection is left: there will be no more events.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.stopping.is_some() && self.slots.len() == 0
    }

    /// The connection with this id, to be used until the next poll; `None` if it is gone. What it receives, writes and when
    /// it ends is the hub's business.
    ///
    /// # Errors
    ///
    /// [`Error::HubForked`], [`Error::HubOfOtherThread`].
    #[inline]
    pub fn connection(&mut self, id: u64) -> Result<Option<&mut Connection>, Error> {
        self.owner.check()?;
        let Some(index) = self.slots.find(id) else { return Ok(None) };
        self.touch(index);
        Ok(self.slots.get_mut(index).and_then(|slot| slot.connection.as_mut()))
    }

    /// Reads no more from a connection, or reads on. Its peer feels that when the buffers between the two are full; it is not
    /// given up meanwhile because it does not answer pings. Returns whether the connection is there.
    ///
    /// # Errors
    ///
    /// [`Error::HubForked`], [`Error::HubOfOtherThread`].
    pub fn pause(&mut self, id: u64, is_paused: bool) -> Result<bool, Error> {
        self.owner.check()?;
        let Some(index) = self.slots.find(id) else { return Ok(false) };
        let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.is_alive()) else { return Ok(false) };
        if is_paused {
            slot.flags.set(Flags::PAUSED);
        } else {
            slot.flags.clear(Flags::PAUSED);
            self.touch(index);
        }
        Ok(true)
    }

    /// Whose the hub is, to be asked without it.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.owner.clone()
    }

    /// What makes a poll return from another thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// A descriptor that can be read from when a poll that does not wait has something to do, timers included, for those who
    /// have a loop already. It is not to be read, and lives as long as the hub.
    ///
    /// # Errors
    ///
    /// [`Error::HubForked`], [`Error::HubOfOtherThread`]; [`Error::HubFailed`] if the system has no timer for it.
    pub fn fd(&mut self) -> Result<i32, Error> {
        self.owner.check()?;
        if self.alarm.is_none() {
            self.alarm = Some(Alarm::new(self.poll.registry(), ALARM).map_err(|_| Error::HubFailed)?);
            self.set_alarm();
        }
        Ok(self.poll.as_raw_fd())
    }

    fn connection_at(&self, index: u32) -> Option<&Connection> {
        self.slots.get(index)?.connection.as_ref()
    }

    fn read_clock(&mut self) {
        self.now_ms = self.stopwatch.read();
    }

    /// Forgets the last batch, and the connections whose last event was in it.
    fn forget_delivered(&mut self) {
        if let Some(index) = self.own.take() {
            self.touch(index);
        }
        for i in 0..self.batch.events.len() {
            let Some(event) = self.batch.events.get(i).filter(|event| event.is(EventKind::Gone)) else { continue };
            if let Some(index) = self.slots.find(event.connection) {
                self.slots.remove(index);
            }
        }
        self.batch.clear();
    }

    /// Ends the turns of all that something was done with.
    fn end_touched(&mut self) {
        // A turn that ends touches nobody, so that the list is empty afterwards.
        let mut touched = std::mem::take(&mut self.touched);
        for &index in &touched {
            if let Some(slot) = self.slots.get_mut(index) {
                slot.flags.clear(Flags::TOUCHED);
                self.end_turn(index);
            }
        }
        touched.clear();
        self.touched = touched;
    }

    /// Notes that something was done with a connection: its turn is to be ended with the next poll.
    #[inline]
    fn touch(&mut self, index: u32) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.touch(index, &mut self.touched);
        self.ring();
    }

    /// Puts a connection among those to be read, if there is something to read, or its end to be told.
    #[inline]
    fn queue(&mut self, index: u32) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if !slot.flags.has(Flags::QUEUED) && slot.has_a_turn() {
            slot.flags.set(Flags::QUEUED);
            self.ready.push_back(index);
        }
    }

    /// In how many milliseconds there is something to do, if nothing happens.
    fn next_ms(&self) -> Option<u64> {
        let is_touched = !self.ready.is_empty() || !self.touched.is_empty();
        if is_touched || self.held.is_some() || self.watches.is_pending() || self.has_ended() {
            return Some(0);
        }
        let times = [self.wheel.next_ms(), self.timers.next_ms(), self.next_accept_ms(), self.stopping];
        let due_ms = times.map(|time| time.unwrap_or(u64::MAX)).into_iter().fold(u64::MAX, u64::min);
        (due_ms < u64::MAX).then(|| due_ms.saturating_sub(self.now_ms))
    }

    /// Waits for the system to say that something happened, and takes it down. Returns whether it was disturbed: by a signal,
    /// or from another thread.
    fn wait(&mut self, deadline: Option<u64>) -> Result<bool, Error> {
        let left = deadline.map(|deadline| deadline.saturating_sub(self.now_ms));
        let wait = [self.next_ms(), left].into_iter().flatten().min();
        self.stopwatch.begin_wait();
        let polled = self.poll.poll(&mut self.told, wait.map(Duration::from_millis));
        self.now_ms = self.stopwatch.end_wait();
        let mut is_disturbed = match polled {
            Ok(()) => false,
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(_) => return Err(Error::PollFailed),
        };
        let told = std::mem::replace(&mut self.told, Events::with_capacity(0));
        for event in &told {
            match event.token() {
                WAKER => is_disturbed |= self.waker.was_called(),
                ALARM => {}
                Token(number) if number >= WATCHES => {
                    self.note_watched(i32::try_from(number.saturating_sub(WATCHES)).unwrap_or(-1), event);
                }
                Token(number) if number >= LISTENERS => {
                    if let Some(listener) = self.listeners.get_mut(number.saturating_sub(LISTENERS)) {
                        listener.is_ready = true;
                    }
                }
                Token(number) => self.note_readiness(u32::try_from(number).unwrap_or(slots::NONE), event),
            }
        }
        self.told = told;
        self.take_found();
        self.turns = self.ready.len();
        Ok(is_disturbed)
    }

    fn note_readiness(&mut self, index: u32, event: &mio::event::Event) {
        let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.socket.is_some()) else { return };
        if slot.flags.has(Flags::DIALING) {
            return self.note_dialed(index);
        }
        if event.is_readable() {
            slot.flags.set(Flags::READABLE);
        }
        if event.is_read_closed() || event.is_error() {
            slot.flags.set(Flags::READABLE.or(Flags::HUP));
        }
        // Nobody reads from it: that it is broken would not be seen.
        if event.is_error() && slot.flags.has(Flags::PAUSED.or(Flags::FULL)) {
            self.end(index);
        } else if event.is_writable() && slot.flags.has(Flags::BLOCKED) {
            slot.flags.clear(Flags::BLOCKED);
            self.end_turn(index);
        } else {
            self.queue(index);
        }
    }

    /// Calls those who are due.
    fn expire(&mut self) {
        while let Some(index) = self.wheel.expire(&mut self.slots, self.now_ms) {
            let Some(slot) = self.slots.get_mut(index) else { continue };
            if slot.flags.has(Flags::LINGERING.or(Flags::ENDING)) {
                self.end(index);
            } else if !slot.flags.has(Flags::TOUCHED) {
                self.end_turn(index);
            }
        }
        self.end_all_in_time();
    }

    /// There is something to do.
    #[inline]
    fn ring(&mut self) {
        if let Some(alarm) = &mut self.alarm {
            alarm.set_ms(0);
        }
    }

    fn set_alarm(&mut self) {
        let next_ms = self.next_ms();
        if let Some(alarm) = &mut self.alarm {
            alarm.set(next_ms);
        }
    }
}
