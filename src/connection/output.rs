//! What is to be written to the peer: bytes of its own, and between them prepared messages that it does not copy.

#![forbid(unsafe_code)]

use std::cell::RefCell;

use super::large::{self, make_room};
use super::message::Prepared;
use crate::error::Error;
use crate::memory::{append, push};
use crate::shared::Shared;

thread_local! {
    /// What was lent last as written, and belongs to no connection any more.
    static TAKEN: RefCell<Taken> = const { RefCell::new(Taken { bytes: Vec::new(), message: None }) };
}

struct Taken {
    bytes: Vec<u8>,
    message: Option<Shared<Prepared>>,
}

impl Taken {
    fn forget(&mut self) {
        self.message = None;
        self.bytes.clear();
        if self.bytes.capacity() > large::LARGE {
            large::give(std::mem::take(&mut self.bytes));
        }
    }
}

/// Forgets what was taken last: nobody needs it any more.
pub(super) fn forget_taken() {
    let _ = TAKEN.try_with(|taken| taken.try_borrow_mut().map(|mut taken| taken.forget()));
}

/// Where bytes are that are lent to the caller for longer than Rust can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lending {
    /// Where they begin.
    pub data: *const u8,
    /// How many they are.
    pub len: usize,
}

impl Lending {
    pub(super) const fn of(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr(), len: bytes.len() }
    }
}

/// The bytes to write to a peer, in order.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Its own bytes.
    own: Vec<u8>,
    /// How many of them have been sent.
    sent: usize,
    /// The messages between them, in order.
    lent: Vec<Lent>,
}

/// A payload that belongs to many.
#[derive(Debug)]
struct Lent {
    /// How many of the output's own bytes go before it.
    at: usize,
    message: Shared<Prepared>,
    is_compressed: bool,
    /// How much of it has been sent.
    sent: usize,
}

impl Lent {
    fn rest(&self) -> &[u8] {
        self.message.payload(self.is_compressed).get(self.sent..).unwrap_or_default()
    }
}

impl Output {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.lent.is_empty()
    }

    /// How many bytes wait.
    #[inline]
    pub(super) fn waiting(&self) -> usize {
        let own = self.own.len().saturating_sub(self.sent);
        self.lent.iter().map(|lent| lent.rest().len()).fold(own, usize::saturating_add)
    }

    /// What can be written first, from one place.
    #[inline]
    pub(super) fn first(&self) -> &[u8] {
        match self.lent.first() {
            None => self.own.get(self.sent..).unwrap_or_default(),
            Some(lent) if lent.at <= self.sent => lent.rest(),
            Some(lent) => self.own.get(self.sent..lent.at).unwrap_or_default(),
        }
    }

    /// All places that it can be written from, in order.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let mut begin = self.sent;
        let last = self.lent.last().map_or(self.sent, |lent| lent.at.max(self.sent));
        let between = self.lent.iter().flat_map(move |lent| {
            let own = self.own.get(begin..lent.at).unwrap_or_default();
            begin = lent.at.max(begin);
            [own, lent.rest()]
        });
        between.chain([self.own.get(last..).unwrap_or_default()]).filter(|part| !part.is_empty())
    }

    /// Says that the first `len` bytes were written, of as many as there are at least.
    #[inline]
    pub(super) fn advance(&mut self, len: usize) {
        if self.lent.is_empty() {
            self.sent = self.sent.saturating_add(len);
        } else {
            self.advance_parts(len);
        }
        if self.sent == self.own.len() && self.lent.is_empty() {
            self.own.clear();
            self.sent = 0;
        }
    }

    #[cold]
    fn advance_parts(&mut self, len: usize) {
        let mut left = len;
        while left > 0 {
            let step = self.first().len().min(left);
            match self.lent.first_mut() {
                Some(lent) if lent.at <= self.sent => {
                    lent.sent = lent.sent.saturating_add(step);
                    if lent.rest().is_empty() {
                        self.lent.remove(0);
                    }
                }
                _ if step == 0 => return,
                _ => self.sent = self.sent.saturating_add(step),
            }
            left = left.saturating_sub(step);
        }
    }

    /// Where bytes are put behind what waits, with room for `len` of them.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    #[inline]
    pub(super) fn room(&mut self, len: usize) -> Result<&mut Vec<u8>, Error> {
        self.reuse_sent();
        make_room(&mut self.own, len, None)?;
        Ok(&mut self.own)
    }

    /// Where bytes are put behind what waits.
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.own
    }

    /// Puts the payload of a prepared message behind what waits, without a copy.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`]; nothing is put there then.
    pub(super) fn lend(&mut self, message: Shared<Prepared>, is_compressed: bool) -> Result<(), Error> {
        push(&mut self.lent, Lent { at: self.own.len(), message, is_compressed, sent: 0 })
    }

    /// Gives the place of what was sent to what is yet to be, before that is more than it.
    #[inline]
    fn reuse_sent(&mut self) {
        if self.sent > self.own.len().saturating_sub(self.sent) {
            self.own.drain(..self.sent);
            for lent in &mut self.lent {
                lent.at = lent.at.saturating_sub(self.sent);
            }
            self.sent = 0;
        }
    }

    /// Takes what can be written first out of the output, as written. It lives until this is called again in the same
    /// thread, on whatever connection.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`]; it waits still then.
    pub(super) fn take(&mut self) -> Result<Lending, Error> {
        let lending = TAKEN.try_with(|taken| {
            let mut taken = taken.try_borrow_mut().map_err(|_| Error::OutOfMemory)?;
            taken.forget();
            if self.lent.is_empty() && self.sent == 0 {
                std::mem::swap(&mut taken.bytes, &mut self.own);
                return Ok(Lending::of(&taken.bytes));
            }
            let message = self.lent.first().filter(|lent| lent.at <= self.sent).map(|lent| lent.message.clone());
            if message.is_none() {
                append(&mut taken.bytes, self.first())?;
            }
            let lending = Lending::of(if message.is_none() { &taken.bytes } else { self.first() });
            taken.message = message;
            self.advance(lending.len);
            Ok(lending)
        });
        // There is no place while the thread ends: what cannot be lent as written waits.
        lending.unwrap_or(Err(Error::OutOfMemory))
    }

    /// Gives the large buffer away when nothing waits in it.
    pub(super) fn release(&mut self) {
        if self.own.is_empty() && self.own.capacity() > large::LARGE {
            large::give(std::mem::take(&mut self.own));
        }
    }

    /// Forgets all that waits.
    pub(super) fn clear(&mut self) {
        large::give(std::mem::take(&mut self.own));
        *self = Self::default();
    }

    /// How many bytes wait that are not shared.
    pub(super) fn own_len(&self) -> usize {
        self.own.len().saturating_sub(self.sent)
    }

    /// How much memory it holds, without what it shares.
    pub(super) fn held(&self) -> usize {
        self.own.capacity()
    }

    /// Moves what waits to an empty output, which gets no more room than it takes.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`]; it is all here still then.
    pub(super) fn move_to(&mut self, compact: &mut Self) -> Result<(), Error> {
        append(&mut compact.own, self.own.get(self.sent..).unwrap_or_default())?;
        compact.lent = std::mem::take(&mut self.lent);
        for lent in &mut compact.lent {
            lent.at = lent.at.saturating_sub(self.sent);
        }
        self.clear();
        Ok(())
    }
}
