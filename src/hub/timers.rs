//! The application's own timers.

#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::Hub;
use crate::connection::{Event, EventKind, NEVER};
use crate::error::Error;

/// So many entries of timers that were moved or stopped may be left before they are looked for.
const MAX_STALE: usize = 64;

/// All that are set, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: HashMap<u64, u64>,
    /// The same, the next first; and what is left of timers that were moved or stopped. The first is none of these.
    queue: BinaryHeap<Reverse<(u64, u64)>>,
}

impl Timers {
    /// Sets a timer, or moves it.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`]; it is as it was then.
    fn set(&mut self, number: u64, due_ms: u64) -> Result<(), Error> {
        self.due.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
        self.queue.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
        self.due.insert(number, due_ms);
        self.queue.push(Reverse((due_ms, number)));
        self.drop_stale();
        Ok(())
    }

    fn stop(&mut self, number: u64) {
        self.due.remove(&number);
        self.drop_stale();
    }

    /// When the next is due.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.queue.peek().map(|Reverse((due_ms, _))| *due_ms)
    }

    /// Takes out one that is due.
    fn expire(&mut self, now_ms: u64) -> Option<u64> {
        let Reverse((_, number)) = self.queue.peek().filter(|Reverse((due_ms, _))| *due_ms <= now_ms)?;
        let number = *number;
        self.stop(number);
        Some(number)
    }

    fn drop_stale(&mut self) {
        let is_set = |Reverse((due_ms, number)): &Reverse<(u64, u64)>| self.due.get(number) == Some(due_ms);
        while self.queue.peek().is_some_and(|first| !is_set(first)) {
            self.queue.pop();
        }
        if self.queue.len() / 2 > self.due.len().saturating_add(MAX_STALE) {
            self.queue.retain(is_set);
        }
    }
}

impl Hub {
    /// Sets a timer of the application's: in so many milliseconds there is an [`EventKind::Timer`] with this number, once. If
    /// there is one with the number it is moved, or stopped with [`NEVER`].
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`]; [`Error::HubForked`], [`Error::HubOfOtherThread`].
    pub fn timer(&mut self, number: u64, in_ms: u32) -> Result<(), Error> {
        self.owner.check()?;
        if in_ms == NEVER {
            self.timers.stop(number);
            return Ok(());
        }
        self.read_clock();
        self.timers.set(number, self.now_ms.saturating_add(in_ms.into()))?;
        self.set_alarm();
        Ok(())
    }

    /// Puts into the batch which timers are due, as far as there is room.
    pub(super) fn deliver_timers(&mut self) {
        while !self.batch.is_full() {
            let Some(number) = self.timers.expire(self.now_ms) else { return };
            self.batch.put(Event { connection: number, ..Event::new(EventKind::Timer, 0, 0) });
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn each_is_due_once_when_it_was_set_last(
            steps in prop::collection::vec((0_u64..5, 0_u64..50, prop::bool::weighted(0.8)), 1..300)
        ) {
            let (mut timers, mut expected) = (Timers::default(), BTreeMap::new());
            let mut now = 0;
            for (number, in_ms, is_set) in steps {
                if is_set {
                    timers.set(number, now + in_ms).unwrap();
                    expected.insert(number, now + in_ms);
                } else {
                    timers.stop(number);
                    expected.remove(&number);
                }
                prop_assert_eq!(timers.next_ms(), expected.values().min().copied());
                prop_assert!(timers.queue.len() <= 2 * (timers.due.len() + MAX_STALE) + 2);
                now += 1;
                while let Some(number) = timers.expire(now) {
                    let due = expected.remove(&number);
                    prop_assert!(due.is_some_and(|due| due <= now), "{number} is due at {due:?}, not at {now}");
                }
                prop_assert!(expected.values().all(|due| *due > now));
            }
        }
    }
}
