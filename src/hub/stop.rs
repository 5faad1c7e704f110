//! How a hub ends.

#![forbid(unsafe_code)]

use super::Hub;
use super::slots::Flags;
use crate::connection::State;
use crate::error::Error;

/// That this end goes away (RFC 6455 section 7.4.1).
const GOING_AWAY: u16 = 1001;

impl Hub {
    /// Lets nobody in any more, and closes all connections with 1001; a request that waits for an answer gets a 503. Those that
    /// are not closed after so many milliseconds are given up. It is all over when [`Hub::has_ended`] says so, until when
    /// [`Hub::poll`] is to be called. A second call only changes the time.
    ///
    /// # Errors
    ///
    /// [`Error::HubForked`], [`Error::HubOfOtherThread`].
    pub fn stop(&mut self, grace_ms: u32) -> Result<(), Error> {
        self.owner.check()?;
        self.read_clock();
        let is_first = self.stopping.is_none();
        self.stopping = Some(self.now_ms.saturating_add(grace_ms.into()));
        self.ring();
        if is_first {
            self.close_listeners();
            for index in 0..u32::try_from(self.slots.capacity()).unwrap_or(u32::MAX) {
                self.close(index);
            }
        }
        Ok(())
    }

    fn close(&mut self, index: u32) {
        let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.is_alive()) else { return };
        let Some(connection) = &mut slot.connection else { return };
        let is_said = match connection.state() {
            State::Connecting => false,
            State::Asked => connection.respond(503, b"").is_ok(),
            State::Open => connection.close(GOING_AWAY, b"").is_ok(),
            State::Closing | State::Closed | State::Failed => true,
        };
        slot.flags.clear(Flags::PAUSED);
        if is_said {
            self.touch(index);
        } else {
            self.end(index);
        }
    }

    /// Gives up what is left when the time is over.
    pub(super) fn end_all_in_time(&mut self) {
        if self.stopping.is_none_or(|end| self.now_ms < end) {
            return;
        }
        for index in 0..u32::try_from(self.slots.capacity()).unwrap_or(u32::MAX) {
            self.end(index);
        }
    }
}
