//! What a connection that panics does to the others: nothing.

#![forbid(unsafe_code)]

use std::panic::AssertUnwindSafe;

use super::Hub;
use super::slots::Flags;
use crate::connection::{Config, Connection, Role};
use crate::error::Error;
use crate::guard::{bury, guarded};

impl Hub {
    /// Ends a connection that has panicked, with [`Error::Panicked`]. Nothing half done of it is ever used.
    #[cold]
    pub(super) fn bury(&mut self, index: u32) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let dead = Connection::new(Role::Server, &Config::default());
        if dead.is_err() {
            // Without memory for its last event it goes without one.
            slot.flags.clear(Flags::REPORTED);
        }
        bury(&mut slot.connection, dead.ok());
        self.give_up(index, Error::Panicked);
        self.ring();
    }

    /// Does something with a connection that nobody else notices, not even if it panics: that ends the connection. Returns 0
    /// if it is gone.
    ///
    /// # Errors
    ///
    /// Those of what is done; [`Error::HubForked`], [`Error::HubOfOtherThread`].
    pub(crate) fn on_connection(
        &mut self,
        id: u64,
        action: impl FnOnce(&mut Connection) -> Result<usize, Error>,
    ) -> Result<usize, Error> {
        let Some(connection) = self.connection(id)? else { return Ok(0) };
        let result = guarded(AssertUnwindSafe(|| action(connection)));
        if result == Err(Error::Panicked)
            && let Some(index) = self.slots.find(id)
        {
            self.bury(index);
        }
        result
    }
}
