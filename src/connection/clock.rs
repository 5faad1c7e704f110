//! What the time asks for: pings into silence, and an end to waiting.

#![forbid(unsafe_code)]

use super::{Connection, NEVER, Role, State, buffers};
use crate::error::Error;
use crate::frame::{FIN, Opcode};

/// Whoever reads as slowly as this, in bytes a millisecond, is not yet given up for a ping that waits behind what was
/// written to him.
const SLOWEST: u32 = 16;
/// When to try again what there is no memory for.
const RETRY_MS: u64 = 1000;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing for so many milliseconds, unless something is received or sent.
    In(u64),
    /// To close TCP: all is said and written, or the peer had its time.
    Close,
}

/// When things happened, by the caller's clock.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// When the connection came into the state it was in when the clock was read last.
    since: u64,
    /// When the peer was last heard, or a ping was made or left that it has not answered.
    heard: u64,
    /// How many bytes were written since then, or as many as fit.
    written: u32,
    /// How much output has to be written until the ping at its end has left, or as much as fits.
    before_ping: u32,
    /// The state when the clock was read last, if it was.
    state: Option<State>,
    /// Whether the peer was heard since the clock was read last.
    is_heard: bool,
    ping: Ping,
}

/// What became of a ping into silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ping {
    /// There was none, or the peer was heard after it.
    #[default]
    None,
    /// It waits in the output.
    Waits,
    /// It has left since the clock was read last.
    HasLeft,
    Unanswered,
}

impl Clock {
    #[inline]
    pub(super) const fn hear(&mut self) {
        self.is_heard = true;
    }

    /// Takes down that so many bytes of output were written.
    #[inline]
    pub(super) fn note_sent(&mut self, len: usize) {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.written = self.written.saturating_add(len);
        self.before_ping = self.before_ping.saturating_sub(len);
        if self.ping == Ping::Waits && self.before_ping == 0 {
            self.ping = Ping::HasLeft;
        }
    }

    /// Takes down the time, and returns how long the connection has been in its state and has heard nothing.
    fn read(&mut self, now: u64, state: State) -> (u64, u64) {
        if self.state.is_none() {
            self.heard = now;
        }
        if self.state != Some(state) {
            self.state = Some(state);
            self.since = now;
        }
        if self.is_heard {
            self.is_heard = false;
            self.ping = Ping::None;
            self.heard = now;
            self.written = 0;
        }
        if self.ping == Ping::HasLeft {
            self.ping = Ping::Unanswered;
            self.heard = now;
        }
        (now.saturating_sub(self.since), now.saturating_sub(self.heard))
    }
}

impl Connection {
    /// Looks at the time, and returns what is due.
    pub(super) fn tick(&mut self, now_ms: u64) -> Due {
        let (in_state, silent) = self.clock.read(now_ms, self.state);
        let settings = &self.settings;
        let is_written =
            self.farewell.is_none() && self.buffers.as_ref().is_none_or(|buffers| buffers.output.is_empty());
        match self.state {
            State::Connecting => self.wait(in_state, settings.handshake_timeout_ms.into(), Error::HandshakeTimedOut),
            State::Asked => Due::In(NEVER.into()),
            State::Open => self.keep_alive(now_ms, silent),
            _ if self.is_gone => Due::Close,
            // The server closes TCP first (RFC 6455 section 7.1.1).
            State::Closed if self.role == Role::Server && is_written => Due::Close,
            State::Failed if is_written => Due::Close,
            State::Closing => self.wait(in_state, settings.close_timeout_ms.into(), Error::CloseUnanswered),
            State::Closed | State::Failed => self.wait_for_end(in_state, settings.close_timeout_ms.into()),
        }
    }

    /// Waits till the peer has taken the last output, or closed TCP.
    fn wait_for_end(&mut self, waited: u64, timeout: u64) -> Due {
        let left = timeout.saturating_sub(waited);
        if left > 0 {
            return Due::In(if self.farewell.is_some() { left.min(RETRY_MS) } else { left });
        }
        self.farewell = None;
        buffers::discard(&mut self.buffers);
        Due::Close
    }

    fn wait(&mut self, waited: u64, timeout: u64, error: Error) -> Due {
        if timeout == u64::from(NEVER) {
            return Due::In(timeout);
        }
        let left = timeout.saturating_sub(waited);
        if left > 0 {
            return Due::In(left);
        }
        self.give_up(error);
        Due::Close
    }

    fn keep_alive(&mut self, now: u64, silent: u64) -> Due {
        let interval = u64::from(self.settings.ping_interval_ms);
        if interval == u64::from(NEVER) {
            return Due::In(interval);
        }
        match self.clock.ping {
            // What was written last may be on its way for long, and the ping behind it.
            Ping::Unanswered | Ping::HasLeft => {
                let on_the_way = u64::from(self.clock.written / SLOWEST);
                return self.wait(silent, interval.saturating_add(on_the_way), Error::PingUnanswered);
            }
            // Who takes nothing at all is given up as well.
            Ping::Waits => return self.wait(silent, interval, Error::PingUnanswered),
            Ping::None => {}
        }
        let left = interval.saturating_sub(silent);
        if left > 0 {
            return Due::In(left);
        }
        if self.put_frame(FIN, Opcode::Ping, &[]).is_err() {
            return Due::In(RETRY_MS);
        }
        self.clock.ping = Ping::Waits;
        self.clock.heard = now;
        self.clock.before_ping = u32::try_from(self.waiting()).unwrap_or(u32::MAX);
        Due::In(interval)
    }
}
