//! What the time asks for: pings into silence, and an end to waiting.

#![forbid(unsafe_code)]

use super::{Connection, Role, State};
use crate::error::Error;
use crate::frame::{FIN, Opcode};

/// What is due after [`Connection::tick`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing for so many milliseconds, unless something is received or sent.
    In(u64),
    /// To close TCP: all is said, or the peer had its time.
    Close,
}

/// When things happened, by the caller's clock.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// When the connection came into the state it was in at the last tick.
    since: u64,
    /// When the peer was last heard.
    heard: u64,
    /// The state at the last tick, of which there may not have been one.
    state: Option<State>,
    /// Whether the peer was heard since the last tick.
    is_heard: bool,
    /// When the last ping was sent.
    pinged: u64,
    /// Whether nothing has followed it.
    is_unanswered: bool,
    /// Whether the peer had its time: then nothing that waits for it is waited for.
    is_over: bool,
}

impl Clock {
    #[inline]
    pub(super) const fn hear(&mut self) {
        self.is_heard = true;
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
            self.is_unanswered = false;
            self.heard = now;
        }
        (now.saturating_sub(self.since), now.saturating_sub(self.heard))
    }
}

impl Connection {
    /// Tells the connection what time it is, in milliseconds from any start, and returns what is due. To be called at
    /// the end of each turn of a loop, and when what was returned is over.
    ///
    /// It puts pings into the output when the peer has been silent for the config's time, and gives back memory as
    /// [`Connection::release`] does.
    ///
    /// # Errors
    ///
    /// [`Error::NoRandomness`].
    pub fn tick(&mut self, now_ms: u64) -> Result<Due, Error> {
        self.say_farewell();
        self.release();
        let (in_state, silent) = self.clock.read(now_ms, self.state);
        let settings = self.settings;
        let is_written = self.waiting() == 0;
        Ok(match self.state {
            State::Connecting => self.wait(in_state, settings.handshake_timeout_ms),
            State::Asked => Due::In(u64::MAX),
            State::Open => return self.keep_alive(now_ms, silent),
            // The server closes TCP first (RFC 6455 section 7.1.1).
            State::Closed if self.role == Role::Server && is_written => Due::Close,
            State::Failed if is_written || self.clock.is_over => Due::Close,
            State::Closing | State::Closed | State::Failed => self.wait(in_state, settings.close_timeout_ms),
        })
    }

    fn wait(&mut self, waited: u64, timeout: u32) -> Due {
        let left = u64::from(timeout).saturating_sub(waited);
        if left > 0 {
            return Due::In(left);
        }
        self.state = State::Failed;
        self.opening = None;
        self.clock.is_over = true;
        Due::Close
    }

    fn keep_alive(&mut self, now: u64, silent: u64) -> Result<Due, Error> {
        let interval = self.settings.ping_interval_ms;
        if self.clock.is_unanswered {
            return Ok(self.wait(now.saturating_sub(self.clock.pinged), interval));
        }
        let left = u64::from(interval).saturating_sub(silent);
        if left > 0 {
            return Ok(Due::In(left));
        }
        self.put_frame(FIN, Opcode::Ping, &[])?;
        self.clock.pinged = now;
        self.clock.is_unanswered = true;
        Ok(Due::In(interval.into()))
    }
}
