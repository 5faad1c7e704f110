//! Messages of this end, compressed (RFC 7692 section 7.2.1).

#![forbid(unsafe_code)]

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Status};

use super::{Direction, History, TAIL, made};
use crate::error::Error;
use crate::memory::append;
use crate::pool::{self, Pool};

/// How many compressors a thread keeps: as many connections compress without being given their history first.
const KEPT: usize = 4;
/// zlib's own. Because compressors are shared, less of it would save nothing that counts.
const MEM_LEVEL: i32 = 8;
/// How many bytes a compressor writes at a time: as many as it reads, within these.
const STEPS: std::ops::RangeInclusive<usize> = 64..=8 << 10;
/// How much memory zlib takes for a compressor, at most.
const DEFLATE_LEN: usize = 384 << 10;
/// A buffer that has grown beyond this is given back.
const KEPT_CAPACITY: usize = 64 << 10;

thread_local! {
    static UNUSED: Pool<Compressed> = const { Pool::new(KEPT) };
}

pub(super) fn clear_pool() {
    pool::clear(&UNUSED);
}

/// What the compression of one end needs to remember between messages.
#[derive(Debug, Default)]
pub(crate) struct Compressor {
    history: History,
    /// The compressor that knows this history, if it has not been given to another since.
    mark: Option<u64>,
}

/// A piece of a message, compressed, and the compressor that did it.
pub(crate) struct Compressed {
    deflate: Deflate,
    level: u8,
    window_bits: u8,
    /// Whose history it knows. No mark is used twice.
    mark: u64,
    bytes: Vec<u8>,
}

impl Compressor {
    /// Compresses a piece of a message. What follows it may refer to it only after [`Compressor::keep`].
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`] or [`Error::CompressionFailed`].
    pub(crate) fn compress(
        &self,
        direction: Direction,
        level: u8,
        piece: &[u8],
        last: bool,
    ) -> Result<Compressed, Error> {
        let mut compressed = self.take(direction.window_bits, level)?;
        compressed.push(piece)?;
        if last {
            compressed.bytes.truncate(compressed.bytes.len().saturating_sub(TAIL.len()));
        }
        Ok(compressed)
    }

    /// Remembers a piece that is sent, compressed, to the peer.
    pub(crate) fn keep(&mut self, compressed: Compressed, direction: Direction, piece: &[u8], last: bool) {
        self.mark = Some(compressed.mark);
        if direction.takeover || !last {
            self.remember(direction, piece);
        } else {
            self.forget();
        }
        compressed.give_back();
    }

    /// Remembers a message that was compressed without its context, and is sent to the peer.
    pub(crate) fn keep_foreign(&mut self, direction: Direction, message: &[u8]) {
        self.mark = None;
        if direction.takeover {
            self.remember(direction, message);
        }
    }

    /// Whether there is nothing to remember.
    pub(crate) fn is_empty(&self) -> bool {
        self.history.is_empty()
    }

    fn remember(&mut self, direction: Direction, piece: &[u8]) {
        if self.history.push(piece, direction.window_bits).is_err() {
            // Without memory for it the next message does without: nobody has to refer to what was before.
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.history.clear();
        self.mark = None;
    }

    /// A compressor that knows the history.
    fn take(&self, window_bits: u8, level: u8) -> Result<Compressed, Error> {
        if let Some(known) = pool::take(&UNUSED, |unused| Some(unused.mark) == self.mark) {
            return Ok(known.renamed());
        }
        // With as many as there may be the oldest goes, reused where it fits: so none stays for ever for which there is no
        // use any more.
        let oldest = pool::take_oldest_if_full(&UNUSED);
        let fits = |oldest: &Compressed| oldest.window_bits == window_bits && oldest.level == level;
        let mut compressed = match oldest.filter(fits) {
            Some(oldest) => oldest.renamed(),
            None => Compressed::new(window_bits, level)?,
        };
        compressed.deflate.reset();
        for part in self.history.parts().into_iter().filter(|part| !part.is_empty()) {
            compressed.deflate.set_dictionary(part).map_err(|_| Error::CompressionFailed)?;
        }
        Ok(compressed)
    }
}

impl Compressed {
    fn new(window_bits: u8, level: u8) -> Result<Self, Error> {
        let config = DeflateConfig {
            level: level.into(),
            // Negative for a stream without zlib's header.
            window_bits: i32::from(window_bits).saturating_neg(),
            mem_level: MEM_LEVEL,
            ..DeflateConfig::default()
        };
        let deflate = made(DEFLATE_LEN, || Deflate::new_with_config(config))?;
        Ok(Self { deflate, level, window_bits, mark: 0, bytes: Vec::new() }.renamed())
    }

    /// The same under a mark that nobody has.
    fn renamed(self) -> Self {
        static MARKS: AtomicU64 = AtomicU64::new(0);
        Self { mark: MARKS.fetch_add(1, Ordering::Relaxed), ..self }
    }

    /// The payload to send with RSV1, or behind a frame that had it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Leaves the compressor to the next message, of whatever connection of the thread.
    pub(crate) fn give_back(mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_CAPACITY);
        pool::give(&UNUSED, self);
    }

    /// As [`Compressed::give_back`], for what was compressed but not sent.
    pub(crate) fn discard(self) {
        self.renamed().give_back();
    }

    /// Compresses a piece up to a byte boundary.
    fn push(&mut self, piece: &[u8]) -> Result<(), Error> {
        if piece.is_empty() {
            // There is nothing to flush: an empty block (RFC 7692 section 7.2.3.6).
            append(&mut self.bytes, &[0])?;
            return append(&mut self.bytes, &TAIL);
        }
        let mut rest = piece;
        loop {
            let (consumed, produced) = (self.deflate.total_in(), self.deflate.total_out());
            let at = self.bytes.len();
            let step = rest.len().clamp(*STEPS.start(), *STEPS.end());
            self.bytes.try_reserve(step).map_err(|_| Error::OutOfMemory)?;
            self.bytes.resize(at.saturating_add(step), 0);
            let place = self.bytes.get_mut(at..).unwrap_or_default();
            let status = self.deflate.compress(rest, place, DeflateFlush::SyncFlush);
            let produced = count(produced, self.deflate.total_out());
            self.bytes.truncate(at.saturating_add(produced));
            rest = rest.get(count(consumed, self.deflate.total_in())..).unwrap_or_default();
            // With room left everything has been written.
            if produced < step || status != Ok(Status::Ok) {
                return if rest.is_empty() { Ok(()) } else { Err(Error::CompressionFailed) };
            }
        }
    }
}

/// How far a total has come, which a step of bounded length has moved.
fn count(before: u64, after: u64) -> usize {
    usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX)
}

impl fmt::Debug for Compressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressed").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Direction = Direction { takeover: true, window_bits: 12 };

    /// Compresses one message, and returns the compressor's mark before and after.
    fn send(compressor: &mut Compressor, direction: Direction) -> (Option<u64>, Option<u64>) {
        let before = compressor.mark;
        let compressed = compressor.compress(direction, 6, b"the same words", true).unwrap();
        compressor.keep(compressed, direction, b"the same words", true);
        (before, compressor.mark)
    }

    fn windows() -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(unused) = pool::take(&UNUSED, |_| true) {
            all.push(unused.window_bits);
        }
        all.reverse();
        all
    }

    /// Connections that ask for other windows, get one answer each and leave do not make the others' sends slower for ever.
    #[test]
    fn what_nobody_uses_any_more_makes_room() {
        for window_bits in [9, 10, 11, 13] {
            send(&mut Compressor::default(), Direction { takeover: true, window_bits });
        }
        let mut others: [Compressor; KEPT] = Default::default();
        for other in &mut others {
            send(other, USUAL);
        }
        assert_eq!(windows(), [12; KEPT], "the oldest have gone");
    }

    #[test]
    fn the_oldest_is_reused_where_it_fits() {
        let mut connections: [Compressor; KEPT + 1] = Default::default();
        for connection in &mut connections {
            send(connection, USUAL);
        }
        assert_eq!(windows().len(), KEPT);
    }
}
