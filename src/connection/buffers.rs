//! What a connection holds while something happens on it.

#![forbid(unsafe_code)]

use std::ops::Range;

use super::event::{Event, EventFlag, EventKind};
use super::large::{self, LARGE, make_room};
use super::output::Output;
use crate::error::Error;
use crate::frame::ControlPayload;
use crate::mask;
use crate::memory::{Boxed, append};
use crate::pool::{self, Pool};
use crate::utf8::Validator;

/// How many empty buffers a thread keeps for its connections, each of at most [`LARGE`]: allocating them anew for every
/// read takes longer than a read of small messages.
const KEPT: usize = 8;
/// So much memory, beside four times as much as is used, may stay with a connection.
const UNUSED_LEN: usize = 8 << 10;
/// One call delivers the message with which its data come to this many bytes, and no more.
const BATCH_LEN: usize = 1 << 20;
/// One call delivers so many events.
const BATCH_EVENTS: usize = LARGE / size_of::<Event>() - SPARE_EVENTS;
/// With an event there is always room for the one that says of an error.
const SPARE_EVENTS: usize = 2;

thread_local! {
    static UNUSED: Pool<Boxed<Buffers>> = const { Pool::new(KEPT) };
}

/// What was received and not yet released, and what is to be sent.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    events: Vec<Event>,
    /// Payloads: of the messages that are complete, then of the one that is not, then of control frames.
    data: Vec<u8>,
    /// Where in `data` the message is that is not complete, without the pieces of it that were delivered.
    message: Range<usize>,
    /// Payloads of control frames, until they are put behind `data`.
    control: Vec<u8>,
    /// Where in `control` the one begins that is not complete.
    control_at: usize,
    /// What was received and not looked at, as the batch was full.
    rest: Vec<u8>,
    /// Where in `rest` that begins.
    rest_at: usize,
    pub(super) output: Output,
    /// The payload of the last ping that could not be answered because the peer does not read.
    pub(super) unanswered: Option<ControlPayload>,
}

/// The buffers of a connection that has some.
pub(super) type Slot = Option<Boxed<Buffers>>;

/// The buffers in `slot`, which has them from now on.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
#[inline]
pub(super) fn of(slot: &mut Slot) -> Result<&mut Buffers, Error> {
    if slot.is_none() {
        *slot = Some(match pool::take(&UNUSED, |_| true) {
            Some(unused) => unused,
            None => Boxed::new(Buffers::default())?,
        });
    }
    slot.as_deref_mut().ok_or(Error::OutOfMemory)
}

/// Gives back what nothing is in: all of the buffers, or what is too much for what is left in them.
pub(super) fn release(slot: &mut Slot) {
    let Some(buffers) = slot else { return };
    buffers.give_large();
    if buffers.is_empty() {
        give_empty(slot);
    } else if buffers.has_too_much()
        && let Ok(mut compact) = Boxed::new(Buffers::default())
        && buffers.move_to(&mut compact).is_ok()
        && let Some(roomy) = slot.replace(compact)
    {
        pool::give(&UNUSED, roomy);
    }
}

/// Gives the buffers back, whatever is in them.
pub(super) fn discard(slot: &mut Slot) {
    if let Some(buffers) = slot {
        buffers.clear();
    }
    release(slot);
}

/// New buffers, with one event and no more room than it takes.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub(super) fn with_one(event: Event) -> Result<Boxed<Buffers>, Error> {
    let mut last = Boxed::new(Buffers::default())?;
    last.events.try_reserve_exact(1).map_err(|_| Error::OutOfMemory)?;
    last.events.push(event);
    Ok(last)
}

fn give_empty(slot: &mut Slot) {
    if let Some(empty) = slot.take() {
        pool::give(&UNUSED, empty);
    }
}

/// Drops the buffers that a thread keeps for connections it does not have.
pub(super) fn clear_pool() {
    pool::clear(&UNUSED);
}

impl Buffers {
    #[inline]
    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    #[inline]
    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }

    /// Makes sure that there is room for one event, which an error then has.
    pub(super) fn prepare(&mut self) -> Result<(), Error> {
        self.events.try_reserve(1).map_err(|_| Error::OutOfMemory)
    }

    /// Adds an event, and makes sure that there is room for another.
    #[inline]
    pub(super) fn put_event(&mut self, event: Event) -> Result<(), Error> {
        self.events.try_reserve(SPARE_EVENTS).map_err(|_| Error::OutOfMemory)?;
        self.events.push(event);
        Ok(())
    }

    /// Adds the last event, for which the others have left room.
    pub(super) fn put_last_event(&mut self, event: Event) -> Result<(), Error> {
        self.prepare()?;
        self.events.push(event);
        Ok(())
    }

    pub(super) fn last_event(&mut self) -> Option<&mut Event> {
        self.events.last_mut()
    }

    /// Writes whose they are into the events.
    pub(super) fn mark_events(&mut self, connection: u64) {
        for event in &mut self.events {
            event.connection = connection;
        }
    }

    /// Whether this call has delivered what one call may.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= BATCH_EVENTS || self.message.start >= BATCH_LEN
    }

    /// As [`Buffers::is_full`], for a message that is delivered in pieces.
    pub(super) fn is_full_of_pieces(&self) -> bool {
        self.is_full() || self.message.end >= BATCH_LEN
    }

    /// Forgets the events and their data, and moves the message that is not complete to the front.
    pub(super) fn drop_delivered(&mut self) {
        self.events.clear();
        self.data.truncate(self.message.end);
        self.data.drain(..self.message.start.min(self.data.len()));
        self.message = 0..self.data.len();
    }

    /// Takes the data away, and forgets the events.
    pub(super) fn take_data(&mut self) -> Vec<u8> {
        self.events.clear();
        self.message = 0..0;
        std::mem::take(&mut self.data)
    }

    /// Forgets the message that is not complete, and what was not looked at: nothing more is received.
    pub(super) fn drop_unfinished(&mut self) {
        self.message.start = self.message.end;
        self.control.truncate(self.control_at);
        self.rest = Vec::new();
        self.rest_at = 0;
        self.unanswered = None;
    }

    /// Adds a head as an event's data.
    pub(super) fn put_data(&mut self, bytes: &[u8]) -> Result<Range<usize>, Error> {
        let begin = self.data.len();
        append(&mut self.data, bytes)?;
        self.message = self.data.len()..self.data.len();
        Ok(begin..self.data.len())
    }

    /// Adds a whole message, unmasked and checked on the way if it is `text`; there is none that is not complete.
    #[inline]
    pub(super) fn put_whole(
        &mut self,
        payload: &[u8],
        key: Option<[u8; 4]>,
        text: Option<&mut Validator>,
    ) -> Result<usize, Error> {
        let begin = self.data.len();
        make_room(&mut self.data, payload.len(), None)?;
        append_unmasked(&mut self.data, payload, key, 0, text)?;
        self.message = self.data.len()..self.data.len();
        Ok(begin)
    }

    /// Adds a part of a payload to the message that is not complete. `coming` says how much of the message is beyond it, if
    /// that is known.
    pub(super) fn grow_message(
        &mut self,
        part: &[u8],
        mask: Option<([u8; 4], usize)>,
        text: Option<&mut Validator>,
        coming: Option<u64>,
    ) -> Result<(), Error> {
        make_room(&mut self.data, part.len(), coming)?;
        let (key, offset) = mask.map_or((None, 0), |(key, offset)| (Some(key), offset));
        let result = append_unmasked(&mut self.data, part, key, offset, text);
        self.message.end = self.data.len();
        result
    }

    /// Adds what was inflated to the message that is not complete.
    pub(super) fn grow_inflated(&mut self, inflated: &[u8]) -> Result<(), Error> {
        make_room(&mut self.data, inflated.len(), None)?;
        self.data.extend_from_slice(inflated);
        self.message.end = self.data.len();
        Ok(())
    }

    /// The message that was not complete is, and is no longer that.
    pub(super) fn end_message(&mut self) -> Range<usize> {
        let message = self.message.clone();
        self.message.start = message.end;
        message
    }

    /// Cuts off what has come of the message, but for the last `kept` bytes.
    pub(super) fn cut_piece(&mut self, kept: usize) -> Range<usize> {
        let end = self.message.end.saturating_sub(kept).max(self.message.start);
        std::mem::replace(&mut self.message.start, end)..end
    }

    /// Adds a part of the payload of a control frame.
    pub(super) fn grow_control(&mut self, part: &[u8], mask: Option<([u8; 4], usize)>) -> Result<(), Error> {
        let (key, offset) = mask.map_or((None, 0), |(key, offset)| (Some(key), offset));
        append_unmasked(&mut self.control, part, key, offset, None)
    }

    /// The payload of a control frame is complete: where it begins, and a copy. If it is the last frame, as a close frame is,
    /// there is room to put it behind the data.
    pub(super) fn end_control(&mut self) -> Result<(usize, ControlPayload), Error> {
        self.data.try_reserve(self.control.len()).map_err(|_| Error::OutOfMemory)?;
        let at = std::mem::replace(&mut self.control_at, self.control.len());
        Ok((at, ControlPayload::new(&[self.control.get(at..).unwrap_or_default()])))
    }

    /// Puts the payloads of control frames behind the data, where their events can point to.
    pub(super) fn join_control(&mut self) -> Result<(), Error> {
        if self.control_at == 0 {
            return Ok(());
        }
        let base = self.data.len() as u64;
        append(&mut self.data, self.control.get(..self.control_at).unwrap_or_default())?;
        self.control.drain(..self.control_at);
        self.control_at = 0;
        for event in self.events.iter_mut().filter(|event| is_joined(event)) {
            event.offset = event.offset.saturating_add(base);
        }
        Ok(())
    }

    /// Forgets the control frames that have a payload, for which there is no memory.
    pub(super) fn drop_control(&mut self) {
        self.events.retain(|event| !is_joined(event) || event.len == 0);
        self.control.drain(..self.control_at);
        self.control_at = 0;
    }

    /// Whether something was received that was not looked at yet.
    #[inline]
    pub(super) fn has_rest(&self) -> bool {
        self.rest_at < self.rest.len()
    }

    /// Keeps what was received and not looked at, behind what is there of it.
    pub(super) fn keep_rest(&mut self, input: &[u8]) -> Result<(), Error> {
        if self.rest_at > self.rest.len() / 2 {
            self.rest.drain(..self.rest_at);
            self.rest_at = 0;
        }
        append(&mut self.rest, input)
    }

    /// What was received and not looked at, to be looked at now, and where it begins.
    pub(super) fn take_rest(&mut self) -> (Vec<u8>, usize) {
        (std::mem::take(&mut self.rest), std::mem::take(&mut self.rest_at))
    }

    /// Gives back what [`Buffers::take_rest`] took, of which the bytes from `at` on were not looked at yet.
    pub(super) fn put_rest(&mut self, rest: Vec<u8>, at: usize) {
        if at < rest.len() {
            self.rest = rest;
            self.rest_at = at;
        } else if rest.capacity() <= LARGE {
            self.rest = rest;
            self.rest.clear();
        }
    }

    fn is_empty(&self) -> bool {
        let is_read = self.events.is_empty() && self.data.is_empty() && self.control.is_empty();
        is_read && self.output.is_empty() && self.unanswered.is_none() && self.rest.is_empty()
    }

    /// Gives away what is large and empty.
    fn give_large(&mut self) {
        if self.data.is_empty() && self.data.capacity() > LARGE {
            large::give(std::mem::take(&mut self.data));
        }
        for vec in [&mut self.control, &mut self.rest] {
            if vec.is_empty() && vec.capacity() > LARGE {
                *vec = Vec::new();
            }
        }
        if self.events.is_empty() && self.events.capacity() > BATCH_EVENTS + SPARE_EVENTS {
            self.events = Vec::new();
        }
        self.output.release();
    }

    /// Whether much more memory is held than is used.
    fn has_too_much(&self) -> bool {
        let vecs = [&self.data, &self.control, &self.rest];
        let used: usize = vecs.iter().map(|vec| vec.len()).fold(self.output.waiting(), usize::saturating_add);
        self.held() > used.saturating_mul(large::ROOMY).saturating_add(UNUSED_LEN)
    }

    /// How much memory is held.
    pub(super) fn held(&self) -> usize {
        let vecs = [&self.data, &self.control, &self.rest];
        let events = self.events.capacity().saturating_mul(size_of::<Event>());
        let own = self.output.held().saturating_add(events);
        vecs.iter().map(|vec| vec.capacity()).fold(own, usize::saturating_add)
    }

    /// How many bytes are in them, without what is shared with others.
    pub(super) fn used_len(&self) -> usize {
        let vecs = [&self.data, &self.control, &self.rest];
        vecs.iter().map(|vec| vec.len()).fold(self.output.own_len(), usize::saturating_add)
    }

    /// Moves what is left to empty buffers, which get no more room than it takes.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`]; it is all here still then.
    fn move_to(&mut self, compact: &mut Self) -> Result<(), Error> {
        append(&mut compact.data, &self.data)?;
        append(&mut compact.control, &self.control)?;
        append(&mut compact.rest, self.rest.get(self.rest_at..).unwrap_or_default())?;
        self.output.move_to(&mut compact.output)?;
        compact.events = std::mem::take(&mut self.events);
        compact.message = self.message.clone();
        compact.control_at = self.control_at;
        compact.unanswered = self.unanswered;
        self.clear();
        Ok(())
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.data.clear();
        self.message = 0..0;
        self.control.clear();
        self.control_at = 0;
        self.rest.clear();
        self.rest_at = 0;
        self.output.clear();
        self.unanswered = None;
        self.give_large();
    }
}

/// Unmasks a payload, or the part of one that begins at `offset`, to the end of what is kept, and checks it if it is `text`.
#[inline]
fn append_unmasked(
    kept: &mut Vec<u8>,
    payload: &[u8],
    key: Option<[u8; 4]>,
    offset: usize,
    text: Option<&mut Validator>,
) -> Result<(), Error> {
    match text {
        Some(text) => text.append_unmasked(kept, payload, key, offset),
        None => mask::append_unmasked(kept, payload, key, offset),
    }
}

/// Whether an event's data are the payload of a control frame that stands behind the data of messages.
fn is_joined(event: &Event) -> bool {
    let is_control = [EventKind::Ping, EventKind::Pong, EventKind::Close].iter().any(|&kind| event.is(kind));
    is_control && event.flags & EventFlag::InPlace as u8 == 0
}
