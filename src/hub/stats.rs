//! What a hub has done, and how long that took.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::Hub;
use super::slots::Flags;
use crate::connection::State;

/// What a hub has done so far, and what it has to do with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How many connections there are now, in whatever state.
    pub connections: u64,
    /// How many of them are not open yet.
    pub opening: u64,
    /// How many of them are closing, or have ended and were not told of yet.
    pub closing: u64,
    /// From how many of them nothing is read: the application wants it so, or they do not take what they are sent.
    pub paused: u64,
    /// How many bytes wait to be written to them, those counted for each that are shared.
    pub waiting_len: u64,
    /// How many clients were let in.
    pub accepted: u64,
    /// How many clients were turned away: because there was no memory for them, their address had too many, or no proxy was
    /// before them.
    pub refused: u64,
    /// How often nobody was let in for a while, because the system had no descriptor or memory left.
    pub accept_pauses: u64,
    /// How many messages have come, or pieces of messages.
    pub messages_received: u64,
    /// How many messages were sent, or pieces of messages, each time to one connection.
    pub messages_sent: u64,
    /// How many bytes have come from the sockets.
    pub bytes_received: u64,
    /// How many bytes went to the sockets.
    pub bytes_sent: u64,
    /// How many messages were not sent because too much waited.
    pub dropped: u64,
    /// How often reading from a peer paused that did not take what it was sent.
    pub read_pauses: u64,
    /// How many polls there were.
    pub polls: u64,
    /// How many microseconds were spent in polls, without the waiting.
    pub busy_us: u64,
    /// How many microseconds were spent between polls, by the application.
    pub application_us: u64,
}

/// The time, and whose it was.
#[derive(Debug)]
pub(super) struct Stopwatch {
    begun: Instant,
    /// When the last poll began to wait.
    waits_since: Instant,
    /// When the last poll began, without what it has waited since.
    entered: Instant,
    /// When the last poll ended, if there was one.
    left: Option<Instant>,
    polls: u64,
    busy: Duration,
    application: Duration,
}

impl Default for Stopwatch {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            begun: now,
            waits_since: now,
            entered: now,
            left: None,
            polls: 0,
            busy: Duration::ZERO,
            application: Duration::ZERO,
        }
    }
}

impl Stopwatch {
    /// The time in milliseconds.
    pub(super) fn read(&self) -> u64 {
        self.milliseconds(Instant::now())
    }

    /// A poll begins. Returns the time.
    pub(super) fn enter(&mut self) -> u64 {
        let now = Instant::now();
        if let Some(left) = self.left {
            self.application = self.application.saturating_add(now.saturating_duration_since(left));
        }
        self.entered = now;
        self.polls = self.polls.saturating_add(1);
        self.milliseconds(now)
    }

    pub(super) fn begin_wait(&mut self) {
        self.waits_since = Instant::now();
    }

    /// Returns the time.
    pub(super) fn end_wait(&mut self) -> u64 {
        let now = Instant::now();
        let waited = now.saturating_duration_since(self.waits_since);
        self.entered = self.entered.checked_add(waited).unwrap_or(now);
        self.milliseconds(now)
    }

    /// A poll ends.
    pub(super) fn leave(&mut self) {
        let now = Instant::now();
        self.busy = self.busy.saturating_add(now.saturating_duration_since(self.entered));
        self.left = Some(now);
    }

    fn milliseconds(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.begun).as_millis()).unwrap_or(u64::MAX)
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Hub {
    /// What it has done so far. It looks at each connection there is: once a second is seldom enough for 100,000.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let Stopwatch { polls, busy, application, .. } = self.stopwatch;
        let mut stats = Stats {
            connections: self.slots.len() as u64,
            polls,
            busy_us: microseconds(busy),
            application_us: microseconds(application),
            ..self.stats
        };
        for slot in self.slots.iter() {
            let Some(connection) = &slot.connection else { continue };
            let is_paused = slot.is_alive() && slot.flags.has(Flags::PAUSED.or(Flags::FULL));
            let counts = [
                (&mut stats.opening, matches!(connection.state(), State::Connecting | State::Asked) && slot.is_alive()),
                (&mut stats.closing, connection.state() as u8 > State::Open as u8 || !slot.is_alive()),
                (&mut stats.paused, is_paused),
            ];
            for (count, is_counted) in counts {
                *count = count.saturating_add(is_counted.into());
            }
            stats.waiting_len = stats.waiting_len.saturating_add(connection.waiting() as u64);
        }
        stats
    }
}
