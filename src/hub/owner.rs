//! Whose a hub is: of the process that made it, and of the thread that polls it.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;
use crate::fork::process_number;
use crate::shared::Shared;

thread_local! {
    /// The number of the thread; 0 if it has none yet.
    static THREAD: Cell<u64> = const { Cell::new(0) };
}

/// Whose it is. All of its clones are the same, so that it can be asked from outside of the hub.
#[derive(Clone, Debug)]
pub struct Owner {
    process: u64,
    /// That of the first poll; 0 until then.
    thread: Shared<AtomicU64>,
}

impl Owner {
    /// The process that asks, and no thread yet.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { process: process_number(0), thread: Shared::new(AtomicU64::new(0))? })
    }

    /// Refuses another process, and another thread than that of the first poll.
    ///
    /// # Errors
    ///
    /// [`Error::HubForked`], [`Error::HubOfOtherThread`].
    #[inline]
    pub fn check(&self) -> Result<(), Error> {
        match self.thread.load(Ordering::Relaxed) {
            _ if process_number(self.process) != self.process => Err(Error::HubForked),
            0 => Ok(()),
            thread if thread == this_thread() => Ok(()),
            _ => Err(Error::HubOfOtherThread),
        }
    }

    /// As [`Owner::check`]; from the first poll on it belongs to the thread.
    pub(super) fn claim(&self) -> Result<(), Error> {
        self.check()?;
        self.thread.store(this_thread(), Ordering::Relaxed);
        Ok(())
    }
}

/// The number of this thread, which no other has had.
#[inline]
fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // There is always a place: nothing of it is dropped.
    THREAD.with(|thread| {
        if thread.get() == 0 {
            thread.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        thread.get()
    })
}
