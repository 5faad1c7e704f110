//! What a connection holds while something happens on it.

#![forbid(unsafe_code)]

use std::ops::Range;

use super::Event;
use crate::pool::{self, Pool};

/// How many empty buffers a thread keeps for its connections, and up to how many bytes of each kind: allocating them anew
/// for every read takes longer than a read of small messages.
const KEPT: usize = 8;
const KEPT_CAPACITY: usize = 256 << 10;

thread_local! {
    static UNUSED: Pool<Box<Buffers>> = const { Pool::new(KEPT) };
}

/// What was received and not yet released, and what is to be sent.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) events: Vec<Event>,
    /// Payloads: of the messages that are complete, then of the one that is not, then of control frames.
    pub(super) data: Vec<u8>,
    /// Where in `data` the message is that is not complete.
    pub(super) message: Range<usize>,
    /// Payloads of control frames, until they are put behind `data`.
    pub(super) control: Vec<u8>,
    /// Where in `control` the one begins that is not complete.
    pub(super) control_at: usize,
    pub(super) output: Vec<u8>,
    /// How much of `output` has been sent.
    pub(super) sent: usize,
    /// The payload of the last ping that could not be answered because the peer does not read.
    pub(super) unanswered: Option<Vec<u8>>,
}

impl Buffers {
    /// The buffers in `slot`, which has them from now on.
    #[inline]
    pub(super) fn of(slot: &mut Option<Box<Self>>) -> &mut Self {
        slot.get_or_insert_with(|| pool::take(&UNUSED, |_| true).unwrap_or_default())
    }

    /// Takes the buffers out of `slot` if nothing is in them.
    pub(super) fn release(slot: &mut Option<Box<Self>>) {
        if let Some(mut empty) = slot.take_if(|buffers| buffers.is_empty()) {
            forget_large(&mut empty.events);
            forget_large(&mut empty.data);
            forget_large(&mut empty.output);
            pool::give(&UNUSED, empty);
        }
    }

    /// Forgets the events and their data, and moves the message that is not complete to the front.
    pub(super) fn drop_delivered(&mut self) {
        self.events.clear();
        self.data.truncate(self.message.end);
        self.data.drain(..self.message.start.min(self.data.len()));
        self.message = 0..self.data.len();
    }

    /// Gives the place of what was sent to what is yet to be, before that is more than it.
    #[inline]
    pub(super) fn reuse_sent(&mut self) {
        if self.sent > self.waiting() {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// How much output waits.
    #[inline]
    pub(super) fn waiting(&self) -> usize {
        self.output.len().saturating_sub(self.sent)
    }

    fn is_empty(&self) -> bool {
        let is_read = self.events.is_empty() && self.data.is_empty() && self.control.is_empty();
        is_read && self.output.is_empty() && self.unanswered.is_none()
    }
}

/// Gives back what has become too large to keep. All of it: what was only cut off would have to grow again, step by step.
fn forget_large<T>(empty: &mut Vec<T>) {
    if empty.capacity().saturating_mul(size_of::<T>()) > KEPT_CAPACITY {
        *empty = Vec::new();
    }
}
