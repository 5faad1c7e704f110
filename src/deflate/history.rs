//! The last bytes of the messages of one direction.

#![forbid(unsafe_code)]

use std::collections::VecDeque;

use crate::error::Error;

/// The last bytes of the messages of one direction, no more than its window (RFC 7692 section 7.1.1).
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<u8>);

impl History {
    /// Adds what was sent or received, and forgets what is too far back for a window of two to the `window_bits`.
    pub(super) fn push(&mut self, bytes: &[u8], window_bits: u8) -> Result<(), Error> {
        let window = 1_usize << window_bits.min(super::MAX_WINDOW_BITS);
        let kept = bytes.get(bytes.len().saturating_sub(window)..).unwrap_or(bytes);
        let too_many = self.0.len().saturating_add(kept.len()).saturating_sub(window);
        self.0.drain(..too_many.min(self.0.len()));
        self.make_room(kept.len(), window)?;
        self.0.extend(kept);
        Ok(())
    }

    /// Takes memory in steps that double, but never more than the window.
    fn make_room(&mut self, added: usize, window: usize) -> Result<(), Error> {
        let len = self.0.len().saturating_add(added);
        if len > self.0.capacity() {
            let capacity = len.checked_next_power_of_two().unwrap_or(len).min(window).max(len);
            self.0.try_reserve_exact(capacity.saturating_sub(self.0.len())).map_err(|_| Error::OutOfMemory)?;
        }
        Ok(())
    }

    /// The bytes, in two parts, the older one first.
    pub(super) fn parts(&self) -> [&[u8]; 2] {
        self.0.as_slices().into()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets everything and gives the memory back.
    pub(super) fn clear(&mut self) {
        self.0 = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_end_of_all_that_was_pushed() {
        let all: Vec<u8> = (0..5000_u32).flat_map(u32::to_be_bytes).collect();
        for step in [1, 7, 100, 511, 512, 513, 3000] {
            let mut history = History::default();
            let mut pushed = 0;
            for piece in all.chunks(step) {
                history.push(piece, 9).unwrap();
                pushed += piece.len();
                assert_eq!(history.parts().concat(), all[pushed.saturating_sub(512)..pushed], "{step}");
                assert!(history.0.capacity() <= 512, "{step}: {}", history.0.capacity());
            }
        }
    }

    #[test]
    fn takes_no_more_memory_than_it_needs() {
        let mut history = History::default();
        history.push(&[1; 100], 15).unwrap();
        assert!(history.0.capacity() <= 128);
        history.clear();
        assert_eq!(history.0.capacity(), 0);
    }
}
