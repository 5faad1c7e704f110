//! When connections are due, without a look at those that are not.
//!
//! A wheel of buckets, each a list through the slots of those that are due in one tick. What is due later than the wheel
//! reaches is due at its end: who is called too early says when to call him again.

#![forbid(unsafe_code)]

use super::slots::{Link, NONE, Slots};
use crate::error::Error;
use crate::memory::filled;

/// How long a tick is, in milliseconds.
const TICK_MS: u64 = 16;
/// How many ticks the wheel reaches, a little more than a minute.
const BUCKETS: usize = 4096;
/// The last tick from now on that it has a bucket for.
const REACH: u64 = BUCKETS as u64 - 1;
const WORDS: usize = BUCKETS / 64;

/// The wheel.
#[derive(Debug)]
pub(super) struct Wheel {
    /// The first of each list.
    heads: Vec<u32>,
    /// Which lists have anybody.
    filled: [u64; WORDS],
    /// The tick that is over.
    now: u64,
}

impl Wheel {
    /// An empty wheel, at the time 0.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { heads: filled(NONE, BUCKETS)?, filled: [0; WORDS], now: 0 })
    }

    /// Makes sure that a slot is called at this time, or before.
    pub(super) fn set(&mut self, slots: &mut Slots, index: u32, due_ms: u64) {
        let tick = self.tick_of(due_ms);
        let Some(slot) = slots.get(index) else { return };
        if slot.link.tick == NONE || tick < slot.link.tick {
            self.move_to(slots, index, tick);
        }
    }

    /// Makes sure that a slot is called at this time, and not before.
    pub(super) fn set_exactly(&mut self, slots: &mut Slots, index: u32, due_ms: u64) {
        self.move_to(slots, index, self.tick_of(due_ms));
    }

    /// Makes sure that a slot is not called.
    pub(super) fn clear(&mut self, slots: &mut Slots, index: u32) {
        let Some(slot) = slots.get_mut(index) else { return };
        let link = std::mem::take(&mut slot.link);
        if link.tick == NONE {
            return;
        }
        if let Some(next) = slots.get_mut(link.next) {
            next.link.previous = link.previous;
        }
        if let Some(previous) = slots.get_mut(link.previous) {
            previous.link.next = link.next;
        } else if let Some(head) = self.heads.get_mut(bucket_of(link.tick.into())) {
            *head = link.next;
            if link.next == NONE {
                self.note(link.tick.into(), false);
            }
        }
    }

    /// Takes out a slot that is due at this time.
    pub(super) fn expire(&mut self, slots: &mut Slots, now_ms: u64) -> Option<u32> {
        let now = now_ms / TICK_MS;
        match self.next_tick() {
            Some(next) if next <= now => {
                // There may be others in the same tick.
                self.now = next.saturating_sub(1);
                let index = self.heads.get(bucket_of(next)).copied()?;
                self.clear(slots, index);
                Some(index)
            }
            _ => {
                self.now = self.now.max(now);
                None
            }
        }
    }

    /// When somebody is due, if anybody is.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.next_tick().map(|tick| tick.saturating_mul(TICK_MS))
    }

    fn move_to(&mut self, slots: &mut Slots, index: u32, tick: u32) {
        self.clear(slots, index);
        let Some(head) = self.heads.get_mut(bucket_of(tick.into())) else { return };
        let next = std::mem::replace(head, index);
        if let Some(slot) = slots.get_mut(index) {
            slot.link = Link { next, previous: NONE, tick };
        }
        if let Some(next) = slots.get_mut(next) {
            next.link.previous = index;
        }
        self.note(tick.into(), true);
    }

    /// The tick at whose begin this time is over, as far as the wheel reaches.
    fn tick_of(&self, due_ms: u64) -> u32 {
        let first = self.now.saturating_add(1);
        let last = self.now.saturating_add(REACH);
        // In more than two years' time of 16 ms the numbers end, and everybody is due with the last.
        u32::try_from(due_ms.div_ceil(TICK_MS).clamp(first, last)).unwrap_or(NONE - 1)
    }

    fn note(&mut self, tick: u64, is_filled: bool) {
        let bucket = bucket_of(tick);
        if let Some(word) = self.filled.get_mut(bucket / 64) {
            let bit = 1 << (bucket % 64);
            *word = if is_filled { *word | bit } else { *word & !bit };
        }
    }

    /// The next tick in which somebody is due.
    fn next_tick(&self) -> Option<u64> {
        let first = self.now.saturating_add(1);
        let begin = bucket_of(first);
        // The word of the first tick is looked at twice: at its end first, and at last at its begin.
        let words = (0..=WORDS).map(|step| (begin / 64).saturating_add(step) % WORDS);
        for (step, word) in words.enumerate() {
            let bits = self.filled.get(word).copied().unwrap_or_default();
            let mask = u64::MAX << (begin % 64);
            let bits = match step {
                0 => bits & mask,
                WORDS => bits & !mask,
                _ => bits,
            };
            if bits != 0 {
                let bucket = word.saturating_mul(64).saturating_add(bits.trailing_zeros() as usize);
                let ahead = bucket.wrapping_sub(begin) % BUCKETS;
                return Some(first.saturating_add(ahead as u64));
            }
        }
        None
    }
}

#[allow(clippy::cast_possible_truncation, reason = "less than BUCKETS, a power of two")]
const fn bucket_of(tick: u64) -> usize {
    (tick & REACH) as usize
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slots() -> Slots {
        let mut slots = Slots::new();
        slots.grow().unwrap();
        slots
    }

    fn expire(wheel: &mut Wheel, slots: &mut Slots, now_ms: u64) -> Vec<u32> {
        let mut due: Vec<u32> = std::iter::from_fn(|| wheel.expire(slots, now_ms)).collect();
        due.sort_unstable();
        due
    }

    #[test]
    fn who_is_due_is_called_once_and_no_later_than_a_tick() {
        let (mut wheel, mut slots) = (Wheel::new().unwrap(), slots());
        assert_eq!(wheel.next_ms(), None);
        wheel.set(&mut slots, 1, 100);
        wheel.set(&mut slots, 2, 100);
        wheel.set(&mut slots, 3, 5000);
        wheel.set(&mut slots, 3, 9000);
        assert_eq!(wheel.next_ms(), Some(112));
        assert_eq!(expire(&mut wheel, &mut slots, 99), [0; 0]);
        assert_eq!(expire(&mut wheel, &mut slots, 112), [1, 2]);
        assert_eq!(expire(&mut wheel, &mut slots, 4999), [0; 0]);
        assert_eq!(wheel.next_ms(), Some(5008), "the sooner of two times counts");
        wheel.set_exactly(&mut slots, 3, 9000);
        assert_eq!(expire(&mut wheel, &mut slots, 8999), [0; 0]);
        wheel.clear(&mut slots, 3);
        assert_eq!(wheel.next_ms(), None);
    }

    #[test]
    fn what_is_beyond_the_wheel_is_called_at_its_end() {
        let (mut wheel, mut slots) = (Wheel::new().unwrap(), slots());
        assert_eq!(expire(&mut wheel, &mut slots, 1_000_000_000), [0; 0]);
        wheel.set(&mut slots, 0, u64::MAX);
        let end = wheel.next_ms().unwrap();
        assert!((1_000_060_000..1_000_070_000).contains(&end), "{end}");
        assert_eq!(expire(&mut wheel, &mut slots, u64::MAX), [0]);
    }

    proptest! {
        /// As a list that is searched.
        #[test]
        fn it_does_what_a_list_does(steps in prop::collection::vec((0_u32..50, 0_u64..80_000, any::<bool>()), 1..200)) {
            let (mut wheel, mut slots) = (Wheel::new().unwrap(), slots());
            let mut list = std::collections::BTreeMap::new();
            let mut now_ms = 0;
            for (index, ms, is_time) in steps {
                if is_time {
                    now_ms += ms / 40;
                    let now = now_ms / TICK_MS;
                    let due: Vec<u32> = list.iter().filter(|(_, tick)| **tick <= now).map(|(index, _)| *index).collect();
                    list.retain(|_, tick| *tick > now);
                    prop_assert_eq!(expire(&mut wheel, &mut slots, now_ms), due);
                } else {
                    let tick = (now_ms + 1 + ms).div_ceil(TICK_MS).min(now_ms / TICK_MS + BUCKETS as u64 - 1);
                    wheel.set_exactly(&mut slots, index, now_ms + 1 + ms);
                    list.insert(index, tick);
                }
                prop_assert_eq!(wheel.next_ms(), list.values().min().map(|tick| tick * TICK_MS));
            }
        }
    }
}
