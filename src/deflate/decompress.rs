//! Messages of the peer, inflated (RFC 7692 section 7.2.2).

#![forbid(unsafe_code)]

use std::fmt;

use zlib_rs::{Inflate, InflateFlush, Status};

use super::{Direction, History, MAX_WINDOW_BITS, TAIL, made};
use crate::error::Error;
use crate::mask::unmask_copy;
use crate::memory::filled;
use crate::pool::{self, Pool};

/// How many inflaters a thread keeps.
const KEPT: usize = 4;
/// How much memory zlib takes for an inflater, at most.
const INFLATE_LEN: usize = 64 << 10;
/// How many bytes are unmasked and fed at a time.
const INPUT_STEP: usize = 4 << 10;
const CHECK_STEP: u64 = INPUT_STEP as u64;
/// Empty blocks inflate to nothing, but cost time: so many bytes may do that, and more only for what comes out. From a
/// message that is cut into pieces as small as they get, each flushed, comes out a tenth.
const MAX_FOR_NOTHING: u64 = 64 << 10;
const MAX_SHRINKING: u64 = 16;
/// How many bytes are inflated at a time, and then looked at: limits act after so many.
const OUTPUT_STEP: usize = 16 << 10;
/// A last block, with nothing in it. Behind a whole message it ends the stream; inside a block it would not.
const LAST_BLOCK: [u8; 5] = [1, 0, 0, 0xFF, 0xFF];

thread_local! {
    static UNUSED: Pool<Inflater> = const { Pool::new(KEPT) };
}

pub(super) fn clear_pool() {
    pool::clear(&UNUSED);
}

/// What the inflating of the peer's messages needs to remember.
#[derive(Debug, Default)]
pub(crate) struct Decompressor {
    history: History,
    /// From the first byte of a message to its last.
    inflater: Option<Inflater>,
}

/// What inflates one message.
struct Inflater {
    stream: Stream,
    unmasked: Vec<u8>,
}

struct Stream {
    inflate: Inflate,
    inflated: Vec<u8>,
    /// How much of the message has gone in and come out.
    fed: u64,
    produced: u64,
    /// Whether it has been fed since it was started.
    is_fed: bool,
    /// How many streams may still end in the message.
    ends_left: u32,
}

impl Decompressor {
    /// Unmasks and inflates a part of a message's payload, and hands what comes out to `sink`, in steps of at most 16 KiB.
    ///
    /// A stream may end in a message and another begin (RFC 7692 section 7.2.3.4), but each costs more to begin than it
    /// costs the peer: there may be `max_streams` in a message.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidDeflate`], [`Error::TooManyFragments`], [`Error::TooMuchForNothing`], [`Error::OutOfMemory`], or that
    /// of `sink`.
    pub(crate) fn push(
        &mut self,
        direction: Direction,
        payload: &[u8],
        mask: Option<([u8; 4], usize)>,
        max_streams: u32,
        mut sink: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let history = &mut self.history;
        let inflater = match &mut self.inflater {
            Some(inflater) => inflater,
            None => self.inflater.insert(Inflater::take(history, max_streams)?),
        };
        let stream = &mut inflater.stream;
        let mut mask = mask;
        let mut rest = payload;
        while !rest.is_empty() {
            let (step, after) = rest.split_at(stream.until_check().min(rest.len()));
            rest = after;
            let input = match &mut mask {
                None => step,
                Some((key, offset)) => {
                    let unmasked = inflater.unmasked.get_mut(..step.len()).unwrap_or_default();
                    unmask_copy(step, *key, *offset, unmasked)?;
                    *offset = offset.wrapping_add(step.len());
                    unmasked
                }
            };
            let fed = input.len();
            stream.push(input, direction, history, &mut sink)?;
            stream.check_shrinking(fed)?;
        }
        Ok(())
    }

    /// Ends a message.
    ///
    /// # Errors
    ///
    /// As [`Decompressor::push`]; [`Error::InvalidDeflate`] if the message ends inside a block.
    pub(crate) fn finish(
        &mut self,
        direction: Direction,
        mut sink: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(mut inflater) = self.inflater.take() else { return Ok(()) };
        inflater.stream.finish(direction, &mut self.history, &mut sink)?;
        pool::give(&UNUSED, inflater);
        Ok(())
    }

    /// Whether there is nothing to remember.
    pub(crate) fn is_empty(&self) -> bool {
        self.history.is_empty() && self.inflater.is_none()
    }
}

impl Inflater {
    fn take(history: &History, max_streams: u32) -> Result<Self, Error> {
        let mut inflater = match pool::take(&UNUSED, |_| true) {
            Some(unused) => unused,
            None => Self::new()?,
        };
        inflater.stream.ends_left = max_streams;
        inflater.stream.fed = 0;
        inflater.stream.produced = 0;
        inflater.stream.start(history)?;
        Ok(inflater)
    }

    fn new() -> Result<Self, Error> {
        Ok(Self {
            stream: Stream {
                // zlib-rs always has the largest window. Whatever is agreed on, the history is no longer than that.
                inflate: made(INFLATE_LEN, || Inflate::new(false, MAX_WINDOW_BITS))?,
                inflated: filled(0, OUTPUT_STEP)?,
                fed: 0,
                produced: 0,
                is_fed: false,
                ends_left: 0,
            },
            unmasked: filled(0, INPUT_STEP)?,
        })
    }
}

impl Stream {
    fn start(&mut self, history: &History) -> Result<(), Error> {
        self.inflate.reset(false);
        for part in history.parts() {
            self.inflate.set_dictionary(part).map_err(|_| Error::InvalidDeflate)?;
        }
        self.is_fed = false;
        Ok(())
    }

    fn push(
        &mut self,
        input: &[u8],
        direction: Direction,
        history: &mut History,
        sink: &mut impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut rest = input;
        while !rest.is_empty() {
            let (status, used) = self.step(rest, direction, history, sink)?;
            if used == 0 {
                return Err(Error::InvalidDeflate);
            }
            rest = rest.get(used..).unwrap_or_default();
            if status == Status::StreamEnd {
                self.ends_left = self.ends_left.checked_sub(1).ok_or(Error::TooManyFragments)?;
                self.start(history)?;
            }
        }
        Ok(())
    }

    /// Inflates until the input is used up or a stream ends, and returns which of them and how much was used.
    fn step(
        &mut self,
        input: &[u8],
        direction: Direction,
        history: &mut History,
        sink: &mut impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(Status, usize), Error> {
        let begin = self.inflate.total_in();
        self.is_fed = true;
        loop {
            let used = since(begin, self.inflate.total_in());
            let rest = input.get(used..).unwrap_or_default();
            let produced = self.inflate.total_out();
            let status = self.inflate.decompress(rest, self.inflated.as_mut_slice(), InflateFlush::SyncFlush);
            let produced = since(produced, self.inflate.total_out());
            let inflated = self.inflated.get(..produced).unwrap_or_default();
            if direction.takeover {
                history.push(inflated, direction.window_bits)?;
            }
            self.produced = self.produced.saturating_add(produced as u64);
            sink(inflated)?;
            // After what came out before it, so that it makes no difference how the bytes are cut.
            let status = status.map_err(|_| Error::InvalidDeflate)?;
            let used = since(begin, self.inflate.total_in());
            // With room left there is nothing more to come of this input.
            if status == Status::StreamEnd || produced < OUTPUT_STEP {
                return Ok((status, used));
            }
        }
    }

    /// How many bytes may be fed until it is looked at what came out of them: at the same places of a message, however its
    /// bytes are cut.
    fn until_check(&self) -> usize {
        let since_check = usize::try_from(self.fed % CHECK_STEP).unwrap_or_default();
        INPUT_STEP.saturating_sub(since_check)
    }

    /// Checks, after so many more bytes, that something comes out of them.
    fn check_shrinking(&mut self, fed: usize) -> Result<(), Error> {
        self.fed = self.fed.saturating_add(fed as u64);
        if self.until_check() < INPUT_STEP {
            return Ok(());
        }
        let allowed = self.produced.saturating_mul(MAX_SHRINKING).saturating_add(MAX_FOR_NOTHING);
        if self.fed <= allowed { Ok(()) } else { Err(Error::TooMuchForNothing) }
    }

    fn finish(
        &mut self,
        direction: Direction,
        history: &mut History,
        sink: &mut impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if !self.is_fed {
            // No byte has come, or none after the end of a stream.
            return Ok(());
        }
        self.push(&TAIL, direction, history, sink)?;
        let produced = self.produced;
        let (status, used) = self.step(&LAST_BLOCK, direction, history, sink)?;
        // Something comes out of it if a last block, which is not complete, takes it for its own.
        let is_whole = status == Status::StreamEnd && used == LAST_BLOCK.len() && self.produced == produced;
        if is_whole { Ok(()) } else { Err(Error::InvalidDeflate) }
    }
}

/// How far a total has come in steps of bounded length.
fn since(before: u64, after: u64) -> usize {
    usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX)
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").field("is_fed", &self.stream.is_fed).finish_non_exhaustive()
    }
}
