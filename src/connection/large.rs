//! Large buffers, which a thread keeps for its next large message: new pages cost more than all that is done with them
//! (16 MiB: 0.6 ms in kept memory, 13 ms in new).
//!
//! They are kept for a while, up to a sum, and with the last connection of the thread they go.

#![forbid(unsafe_code)]

use std::cell::RefCell;

use crate::error::Error;
use crate::memory::push;

/// From this many bytes on a buffer is large: it does not stay with the small ones that connections share.
pub(super) const LARGE: usize = 128 << 10;
/// How many bytes of them a thread keeps.
const KEPT_LEN: usize = 32 << 20;
/// How long it keeps them unused, by the clock of its connections.
const KEPT_MS: u64 = 1000;
/// A large buffer grows by this part of what is in it, and never by less than [`LEAST_STEP`]: so no more is taken than what
/// was received, and an eighth, and what comes in small parts is not moved for each of them. It does not grow by more than
/// comes, where that is known.
const STEP: usize = 8;
const LEAST_STEP: usize = 64 << 10;

/// A connection has at most so many times the room that is used of it, and some small room: so what is kept goes to who has
/// received much already, and a peer that says how much it will send gets nothing for that.
pub(super) const ROOMY: usize = 8;

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept { buffers: Vec::new(), since: None, connections: 0 }) };
}

struct Kept {
    buffers: Vec<Vec<u8>>,
    /// When the clock was looked at first after the last use; `None` until then.
    since: Option<u64>,
    /// How many connections the thread has made and not freed: negative where others made them.
    connections: isize,
}

impl Kept {
    /// One for `len` bytes, behind which `coming` may come: the smallest with room for all of them, or else the largest.
    fn take(&mut self, len: usize, coming: usize) -> Option<Vec<u8>> {
        let fits = |buffer: &&Vec<u8>| buffer.capacity() <= len.saturating_mul(ROOMY);
        let all = len.saturating_add(coming);
        let smallest = self.buffers.iter().filter(fits).map(Vec::capacity).filter(|&room| room >= all).min();
        let room = smallest.or_else(|| self.buffers.iter().filter(fits).map(Vec::capacity).max())?;
        let at = self.buffers.iter().position(|buffer| buffer.capacity() == room)?;
        Some(self.buffers.swap_remove(at))
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
        let kept: usize = self.buffers.iter().map(Vec::capacity).fold(0, usize::saturating_add);
        self.since = None;
        if kept.saturating_add(buffer.capacity()) <= KEPT_LEN {
            buffer.clear();
            // Without memory for its place it is not kept.
            let _ = push(&mut self.buffers, buffer);
        }
    }

    fn look_at_clock(&mut self, now_ms: u64) {
        match self.since {
            Some(since) if now_ms.saturating_sub(since) >= KEPT_MS => self.buffers = Vec::new(),
            // Connections may have different clocks; one that went back begins anew.
            Some(since) if now_ms >= since => {}
            _ => self.since = Some(now_ms),
        }
    }
}

fn with_kept<T>(call: impl FnOnce(&mut Kept) -> T) -> Option<T> {
    KEPT.try_with(|kept| kept.try_borrow_mut().ok().map(|mut kept| call(&mut kept))).ok().flatten()
}

/// Makes room for `added` more bytes, behind which `coming` will be added, and then no more; `None` if that is not known.
///
/// # Errors
///
/// [`Error::OutOfMemory`]; `buffer` is then unchanged.
#[inline]
pub(super) fn make_room(buffer: &mut Vec<u8>, added: usize, coming: Option<u64>) -> Result<(), Error> {
    if buffer.capacity().saturating_sub(buffer.len()) >= added { Ok(()) } else { make_more_room(buffer, added, coming) }
}

#[cold]
fn make_more_room(buffer: &mut Vec<u8>, added: usize, coming: Option<u64>) -> Result<(), Error> {
    let len = buffer.len().saturating_add(added);
    if len <= LARGE {
        return buffer.try_reserve(added).map_err(|_| Error::OutOfMemory);
    }
    let coming = coming.map(|coming| usize::try_from(coming).unwrap_or(usize::MAX));
    if let Some(Some(mut large)) = with_kept(|kept| kept.take(len, coming.unwrap_or_default()))
        && large.capacity() > buffer.capacity()
    {
        large.extend_from_slice(buffer);
        give(std::mem::replace(buffer, large));
    }
    if buffer.capacity() >= len {
        return Ok(());
    }
    let step = (len / STEP).max(LEAST_STEP).min(coming.unwrap_or(usize::MAX)).saturating_add(added);
    buffer.try_reserve_exact(step).or_else(|_| buffer.try_reserve_exact(added)).map_err(|_| Error::OutOfMemory)
}

/// Gives a buffer away that is not needed any more: it is kept if it is large.
pub(super) fn give(buffer: Vec<u8>) {
    if buffer.capacity() > LARGE {
        with_kept(|kept| kept.give(buffer));
    }
}

/// Gives back what nobody has used for long.
#[inline]
pub(super) fn look_at_clock(now_ms: u64) {
    with_kept(|kept| {
        if !kept.buffers.is_empty() {
            kept.look_at_clock(now_ms);
        }
    });
}

/// Counts a new connection of this thread.
pub(super) fn count_new() {
    with_kept(|kept| kept.connections = kept.connections.saturating_add(1));
}

/// Counts one that is freed. Returns whether there is none left, for which anything would be kept.
pub(super) fn count_freed() -> bool {
    let is_last = with_kept(|kept| {
        kept.connections = kept.connections.saturating_sub(1);
        if kept.connections <= 0 {
            kept.connections = 0;
            kept.buffers = Vec::new();
        }
        kept.connections == 0
    });
    is_last.unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn kept() -> Vec<usize> {
        with_kept(|kept| kept.buffers.iter().map(Vec::capacity).collect()).unwrap()
    }

    #[test]
    fn a_large_buffer_is_kept_for_the_next_large_message_but_not_for_ever() {
        give(Vec::with_capacity(LARGE));
        assert_eq!(kept(), [0; 0], "it is not large");
        give(Vec::with_capacity(16 * MIB));
        give(Vec::with_capacity(2 * MIB));
        give(Vec::with_capacity(16 * MIB));
        assert_eq!(kept(), [16 * MIB, 2 * MIB], "up to a sum");
        let mut buffer = vec![1; 64 << 10];
        make_room(&mut buffer, 64 << 10, Some(0)).unwrap();
        assert_eq!(kept().len(), 2, "128 KiB is not large");
        buffer.resize(200 << 10, 1);
        buffer.shrink_to_fit();
        make_room(&mut buffer, 1 << 10, Some(MIB as u64)).unwrap();
        assert_eq!(kept().len(), 2, "who has not received an eighth of a buffer does not get it");
        buffer.resize(256 << 10, 1);
        buffer.shrink_to_fit();
        make_room(&mut buffer, 1 << 10, Some(MIB as u64)).unwrap();
        assert_eq!((buffer.capacity(), buffer.len()), (2 * MIB, 256 << 10));
        assert!(buffer.iter().all(|&byte| byte == 1));
        assert_eq!(kept(), [16 * MIB, 256 << 10], "what was used before is kept instead");
        for (now, is_kept) in [(5000, true), (5999, true), (10, true), (1009, true), (1010, false)] {
            look_at_clock(now);
            assert_eq!(!kept().is_empty(), is_kept, "{now}");
        }
    }

    #[test]
    fn what_grows_takes_an_eighth_more_than_was_received_and_no_more_than_comes() {
        let mut buffer = vec![0; MIB];
        buffer.shrink_to_fit();
        make_room(&mut buffer, 1000, None).unwrap();
        assert!((MIB + 1000..=MIB + 1000 + MIB / 8 + 125).contains(&buffer.capacity()), "{}", buffer.capacity());
        let mut buffer = vec![0; MIB];
        buffer.shrink_to_fit();
        make_room(&mut buffer, 1000, Some(10)).unwrap();
        assert_eq!(buffer.capacity(), MIB + 1010);
    }

    #[test]
    fn nothing_is_kept_for_no_connection() {
        count_new();
        count_new();
        give(Vec::with_capacity(MIB));
        assert!(!count_freed());
        assert_eq!(kept().len(), 1);
        assert!(count_freed());
        assert_eq!(kept().len(), 0);
    }
}
