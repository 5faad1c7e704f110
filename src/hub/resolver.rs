//! Looking up names, which may take seconds, in threads of its own.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use super::Waker;
use crate::error::Error;
use crate::shared::Shared;

/// How many names are looked up at a time.
const MAX_THREADS: usize = 8;

/// A name that is to be looked up, for the connection with this id.
#[derive(Debug)]
struct Lookup {
    id: u64,
    name: Box<str>,
    port: u16,
}

impl Lookup {
    /// Asks the system, and waits for its answer.
    fn run(self) -> Found {
        let addresses = (&*self.name, self.port).to_socket_addrs().map(Iterator::collect);
        Found { id: self.id, addresses: addresses.unwrap_or_default() }
    }
}

/// What became of a lookup; no addresses if there are none, or nobody could be asked.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) id: u64,
    pub(super) addresses: Vec<SocketAddr>,
}

/// All lookups of a hub.
#[derive(Debug)]
pub(super) struct Resolver {
    waiting: VecDeque<Lookup>,
    running: usize,
    found: Shared<Mutex<Vec<Found>>>,
}

impl Resolver {
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { waiting: VecDeque::new(), running: 0, found: Shared::new(Mutex::new(Vec::new()))? })
    }

    /// Begins to look up a name. What is found is in [`Resolver::next_found`], some time after the hub was stirred.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(super) fn begin(&mut self, id: u64, name: Box<str>, port: u16, waker: &Waker) -> Result<(), Error> {
        self.waiting.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
        // So that every answer has a place.
        let count = self.waiting.len().saturating_add(self.running).saturating_add(1);
        self.found().try_reserve(count).map_err(|_| Error::OutOfMemory)?;
        self.waiting.push_back(Lookup { id, name, port });
        self.start_waiting(waker);
        Ok(())
    }

    /// Takes what was found of one name.
    pub(super) fn next_found(&mut self, waker: &Waker) -> Option<Found> {
        let found = self.found().pop()?;
        self.running = self.running.saturating_sub(1);
        self.start_waiting(waker);
        Some(found)
    }

    fn start_waiting(&mut self, waker: &Waker) {
        while self.running < MAX_THREADS {
            let Some(lookup) = self.waiting.pop_front() else { return };
            self.running = self.running.saturating_add(1);
            let id = lookup.id;
            let (all, stirred) = (self.found.clone(), waker.clone());
            let run = move || {
                let found = lookup.run();
                locked(&all).push(found);
                stirred.stir();
            };
            if thread::Builder::new().name("wsframe-lookup".into()).spawn(run).is_err() {
                self.found().push(Found { id, addresses: Vec::new() });
                waker.stir();
            }
        }
    }

    fn found(&self) -> MutexGuard<'_, Vec<Found>> {
        locked(&self.found)
    }
}

/// Whoever had it locked has done one step, and cannot have panicked in it.
fn locked(found: &Mutex<Vec<Found>>) -> MutexGuard<'_, Vec<Found>> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}
