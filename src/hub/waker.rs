//! What makes a poll return from another thread.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};

use mio::{Registry, Token};

use crate::error::Error;
use crate::fork::process_number;
use crate::shared::Shared;

#[derive(Debug)]
struct Called {
    waker: mio::Waker,
    /// Whether a poll is to return.
    is_called: AtomicBool,
}

/// Makes the polls of a hub return. It can be used from any thread, and as long as it likes to be kept.
#[derive(Clone, Debug)]
pub struct Waker {
    called: Shared<Called>,
    process: u64,
}

impl Waker {
    pub(super) fn new(registry: &Registry, token: Token) -> Result<Self, Error> {
        let waker = mio::Waker::new(registry, token).map_err(|_| Error::HubFailed)?;
        let called = Shared::new(Called { waker, is_called: AtomicBool::new(false) })?;
        Ok(Self { called, process: process_number(0) })
    }

    /// Makes the poll return that is waiting, or else the next one, without waiting.
    ///
    /// # Errors
    ///
    /// [`Error::HubForked`]: the poll would be that of the process that this one was forked from. [`Error::PollFailed`].
    pub fn wake(&self) -> Result<(), Error> {
        if process_number(self.process) != self.process {
            return Err(Error::HubForked);
        }
        self.called.is_called.store(true, Ordering::Release);
        self.called.waker.wake().map_err(|_| Error::PollFailed)
    }

    /// Makes the poll look at what other threads of the hub have left; it need not return.
    pub(super) fn stir(&self) {
        // In a process that was forked from the hub's there are no such threads.
        let _ = self.called.waker.wake();
    }

    /// Whether [`Waker::wake`] was called since the last time that this was asked.
    pub(super) fn was_called(&self) -> bool {
        self.called.is_called.swap(false, Ordering::Acquire)
    }
}
