//! What goes to the peers, and how a connection ends.

#![forbid(unsafe_code)]

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use socket2::Socket;

use super::Hub;
use super::slots::{Flags, Slot};
use super::socket::send;
use super::tls::Tls;
use crate::connection::{Connection, NEVER, State};
use crate::error::Error;
use crate::memory::Boxed;

/// How long the peer may take to hang up when all is said, or to take the last answers.
pub(super) const LINGER_MS: u64 = 2000;
/// From how many places one call writes.
const PARTS: usize = 16;

impl Hub {
    /// Writes what waits, as far as the socket takes it.
    pub(super) fn write(&mut self, index: u32) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Slot { connection: Some(connection), socket: Some(socket), tls, flags, .. } = slot else { return };
        let mut sent = 0_u64;
        while !flags.has(Flags::BLOCKED) {
            let written = match tls.as_mut().map_or(Ok(true), |tls| tls.flush(socket)) {
                Ok(true) if connection.waiting() == 0 => break,
                Ok(true) => send_output(socket, tls, connection),
                Ok(false) => Ok(0),
                Err(error) => Err(error),
            };
            match written {
                Ok(0) => flags.set(Flags::BLOCKED),
                Ok(len) if connection.note_written(len).is_ok() => sent = sent.saturating_add(len as u64),
                _ => {
                    // What it sent before is still read.
                    connection.abandon_output();
                    flags.set(Flags::READABLE.or(Flags::HUP));
                    flags.clear(Flags::PAUSED);
                    break;
                }
            }
        }
        let is_read = sent > 0 && slot.flags.has(Flags::ENDING);
        self.stats.bytes_sent = self.stats.bytes_sent.saturating_add(sent);
        if is_read {
            // Who takes the last answers slowly still does take them.
            self.set_exactly(index, LINGER_MS);
        }
    }

    /// Ends a connection's turn: forgets its events, writes what waits, and sees what the time asks for.
    pub(super) fn end_turn(&mut self, index: u32) {
        let now_ms = self.now_ms;
        let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.is_alive()) else { return };
        if slot.flags.has(Flags::DIALING) {
            return self.end_dial_turn(index);
        }
        if slot.flags.has(Flags::SLOW) {
            return self.give_up(index, Error::TooSlow);
        }
        let Some(connection) = &mut slot.connection else { return };
        if slot.flags.has(Flags::HELD) {
            return self.write(index);
        }
        if slot.flags.has(Flags::PAUSED) {
            connection.excuse_silence();
        }
        // Nothing is said to be written, so nothing can be wrong.
        let mut wait_ms = connection.output(0, now_ms).map_or(NEVER, |output| output.wait_ms);
        if connection.waiting() > 0 || !slot.tls.as_ref().is_none_or(|tls| tls.is_flushed()) {
            self.write(index);
            let Some(connection) = self.slots.get_mut(index).and_then(|slot| slot.connection.as_mut()) else { return };
            wait_ms = connection.output(0, now_ms).map_or(NEVER, |output| output.wait_ms);
        }
        self.note_held(index);
        self.see_how_full(index);
        self.see_what_is_due(index, wait_ms);
        self.queue(index);
    }

    /// Does not read from a client that does not take what it is sent: while so much waits that what it sends next could not be
    /// answered. A client reads in any case: if both ends waited for each other, neither would go on.
    fn see_how_full(&mut self, index: u32) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Some(connection) = &slot.connection else { return };
        let waiting = connection.waiting();
        let is_much = waiting > connection.high_water_len() / 2;
        if waiting > connection.high_water_len() {
            slot.flags.set(Flags::CROWDED);
        }
        if !is_much {
            if slot.flags.has(Flags::CROWDED) && connection.state() == State::Open {
                slot.flags.set(Flags::DRAINED);
            }
            slot.flags.clear(Flags::FULL.or(Flags::CROWDED));
        } else if !slot.flags.has(Flags::FULL) && connection.is_server() {
            slot.flags.set(Flags::FULL);
            self.stats.read_pauses = self.stats.read_pauses.saturating_add(1);
        }
    }

    fn see_what_is_due(&mut self, index: u32, wait_ms: u32) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if slot.flags.has(Flags::LINGERING) {
            return;
        }
        if slot.flags.has(Flags::ENDING) {
            if slot.is_written() {
                self.end(index);
            }
        } else if wait_ms == 0 && !slot.is_written() {
            // The connection has said all, and TLS has still to write it.
            slot.flags.set(Flags::ENDING);
            self.set_exactly(index, LINGER_MS);
        } else if wait_ms == 0 {
            self.linger(index);
        } else if wait_ms != NEVER {
            let due_ms = self.now_ms.saturating_add(wait_ms.into());
            self.wheel.set(&mut self.slots, index, due_ms);
        }
    }

    /// Closes this side of TCP, and waits for the peer to close its own: closing both could destroy what is on its way to it
    /// (RFC 6455 section 7.1.1).
    fn linger(&mut self, index: u32) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if let Some(socket) = &slot.socket {
            if let Some(tls) = &mut slot.tls {
                tls.close(socket);
            }
            let _ = socket.shutdown(Shutdown::Write);
        }
        slot.flags.set(Flags::LINGERING);
        self.set_exactly(index, LINGER_MS);
    }

    /// Calls a connection in so many milliseconds, and not before.
    pub(super) fn set_exactly(&mut self, index: u32, in_ms: u64) {
        let due_ms = self.now_ms.saturating_add(in_ms);
        self.wheel.set_exactly(&mut self.slots, index, due_ms);
    }

    /// TCP has ended, or is ended here. What is left is to tell the application, if it knows of the connection.
    pub(super) fn end(&mut self, index: u32) {
        self.wheel.clear(&mut self.slots, index);
        let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.is_alive()) else { return };
        if let Some(socket) = slot.socket.take() {
            let _ = self.poll.registry().deregister(&mut SourceFd(&socket.as_raw_fd()));
            // Another process, or whoever it was adopted from, may have it open, too.
            let _ = socket.shutdown(Shutdown::Both);
        }
        slot.tls = None;
        if let Some(rare) = &mut slot.rare {
            rare.dial = None;
        }
        slot.flags.clear(Flags::DIALING.or(Flags::DRAINED));
        slot.flags.set(Flags::ENDED);
        let is_reported = slot.flags.has(Flags::REPORTED);
        self.note_held(index);
        self.hosts.forget(index);
        self.topics.unsubscribe_all(&mut self.slots, index);
        self.end_rests();
        if is_reported {
            self.queue(index);
        } else {
            self.slots.remove(index);
        }
    }
}

impl Slot {
    fn is_written(&self) -> bool {
        self.connection.as_ref().is_none_or(|connection| connection.waiting() == 0)
            && self.tls.as_ref().is_none_or(|tls| tls.is_flushed())
    }
}

/// Writes what waits from its first places.
fn send_output(socket: &Socket, tls: &mut Option<Boxed<Tls>>, connection: &Connection) -> io::Result<usize> {
    let mut parts = [IoSlice::new(&[]); PARTS];
    let count = parts.iter_mut().zip(connection.parts()).map(|(place, part)| *place = IoSlice::new(part)).count();
    let parts = parts.get(..count).unwrap_or_default();
    match tls {
        Some(tls) => tls.write(parts),
        None => send(socket, parts),
    }
}
