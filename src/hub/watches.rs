//! Descriptors of the application's, for which it waits in the same loop.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io::ErrorKind;

use mio::event;
use mio::unix::SourceFd;
use mio::{Interest, Token};

use super::{Hub, WATCHES};
use crate::connection::{Event, EventKind};
use crate::error::Error;

/// What a descriptor is watched for, and what can be done with it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchFlag {
    /// It can be read from, or has ended.
    Read = 0x01,
    /// It can be written to.
    Write = 0x02,
}

const READ: u8 = WatchFlag::Read as u8;
const WRITE: u8 = WatchFlag::Write as u8;

#[derive(Debug)]
struct Watch {
    /// What it is watched for.
    flags: u8,
    /// What can be done with it, and was not told yet.
    found: u8,
}

/// All that are watched.
#[derive(Debug, Default)]
pub(super) struct Watches {
    watched: HashMap<i32, Watch>,
    /// Those of which something is to be told.
    found: Vec<i32>,
    /// Those of which it was told: the system is asked again before the next wait.
    told: Vec<i32>,
}

impl Watches {
    fn reserve(&mut self) -> Result<(), Error> {
        self.watched.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
        let count = self.watched.len().saturating_add(1);
        for list in [&mut self.found, &mut self.told] {
            list.try_reserve(count.saturating_sub(list.len())).map_err(|_| Error::OutOfMemory)?;
        }
        Ok(())
    }

    fn forget(&mut self, fd: i32) {
        self.watched.remove(&fd);
        self.found.retain(|&other| other != fd);
        self.told.retain(|&other| other != fd);
    }

    /// Whether there is something to be told, or to be asked.
    pub(super) fn is_pending(&self) -> bool {
        !self.found.is_empty() || !self.told.is_empty()
    }
}

impl Hub {
    /// Watches a descriptor that is not the hub's: while it can be read from or written to, as `flags` say, any of
    /// [`WatchFlag`], each poll has an [`EventKind::Ready`] with it. With other flags it is watched for these only, with 0 no
    /// longer; that is to be said before it is closed.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownBits`]; [`Error::WatchFailed`] if it is none that can be waited for, as a file; [`Error::OutOfMemory`];
    /// [`Error::HubForked`], [`Error::HubOfOtherThread`].
    pub fn watch(&mut self, fd: i32, flags: u8) -> Result<(), Error> {
        self.owner.check()?;
        let registry = self.poll.registry();
        let Some(interest) = interest(flags)? else {
            if self.watches.watched.contains_key(&fd) {
                let _ = registry.deregister(&mut SourceFd(&fd));
                self.watches.forget(fd);
            }
            return Ok(());
        };
        let token = Token(WATCHES.saturating_add(usize::try_from(fd).map_err(|_| Error::WatchFailed)?));
        self.watches.reserve()?;
        // One that is known may be another by now.
        let registered = match self.watches.watched.contains_key(&fd) {
            true => registry.reregister(&mut SourceFd(&fd), token, interest),
            false => Err(ErrorKind::NotFound.into()),
        };
        let registered = registered.or_else(|_| registry.register(&mut SourceFd(&fd), token, interest));
        registered.map_err(|_| Error::WatchFailed)?;
        self.watches.forget(fd);
        self.watches.watched.insert(fd, Watch { flags, found: 0 });
        Ok(())
    }

    /// Takes down what the system has said of a descriptor.
    pub(super) fn note_watched(&mut self, fd: i32, event: &event::Event) {
        let Watches { watched, found, .. } = &mut self.watches;
        let Some(watch) = watched.get_mut(&fd) else { return };
        let is_over = event.is_error() || event.is_read_closed() || event.is_write_closed();
        let can = |is_ready: bool, flag: u8| if is_ready || is_over { flag } else { 0 };
        let flags = (can(event.is_readable(), READ) | can(event.is_writable(), WRITE)) & watch.flags;
        if watch.found == 0 && flags != 0 {
            found.push(fd);
        }
        watch.found |= flags;
    }

    /// Asks the system anew of those that something was told of: it says so again only when something new has come.
    pub(super) fn ask_again(&mut self) {
        let Self { poll, watches: Watches { watched, told, .. }, .. } = self;
        for fd in told.drain(..) {
            let Some(watch) = watched.get(&fd) else { continue };
            let token = Token(WATCHES.saturating_add(usize::try_from(fd).unwrap_or_default()));
            let Ok(Some(interest)) = interest(watch.flags) else { continue };
            if poll.registry().reregister(&mut SourceFd(&fd), token, interest).is_err() {
                // It was closed, which ends the watch.
                watched.remove(&fd);
            }
        }
    }

    /// Puts into the batch what can be done with which descriptors, as far as there is room.
    pub(super) fn deliver_watched(&mut self) {
        let Self { batch, watches: Watches { watched, found, told }, .. } = self;
        while !batch.is_full() {
            let Some(fd) = found.pop() else { return };
            let Some(watch) = watched.get_mut(&fd) else { continue };
            let connection = u64::try_from(fd).unwrap_or_default();
            let flags = std::mem::take(&mut watch.found);
            batch.put(Event { connection, flags, ..Event::new(EventKind::Ready, 0, 0) });
            told.push(fd);
        }
    }
}

fn interest(flags: u8) -> Result<Option<Interest>, Error> {
    Ok(match flags {
        0 => None,
        READ => Some(Interest::READABLE),
        WRITE => Some(Interest::WRITABLE),
        flags if flags == READ | WRITE => Some(Interest::READABLE | Interest::WRITABLE),
        _ => return Err(Error::UnknownBits),
    })
}
