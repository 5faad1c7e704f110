//! Checks that text is UTF-8 (RFC 6455 section 8.1, RFC 3629).

#![forbid(unsafe_code)]

#[cfg(test)]
mod tests;

use crate::error::Error;
use crate::mask;

/// Text is unmasked and checked in blocks of this many bytes: the check finds them in a near cache, and an error ends the
/// work soon. Smaller ones cut more characters, which costs more than it saves. A multiple of four, so that the masking
/// key applies alike to each.
const BLOCK_LEN: usize = 32 << 10;

/// Up to this many bytes it pays to test for ASCII before the real check; with more, that is as fast at it.
const SHORT_LEN: usize = 1 << 10;

/// Checks as much of `input` as can be decided and returns how many bytes at its start are whole characters.
///
/// The whole of `input` is UTF-8 if that is `input.len()`. If it is less, the last one to three bytes are the start of
/// a character that more bytes may complete: keep them for the next piece, or refuse them at the end of the message.
///
/// # Errors
///
/// [`Error::InvalidUtf8`] if no continuation can make `input` valid: a byte that does not belong, an over-long form, a
/// surrogate, or more than U+10FFFF.
#[inline]
pub fn check(input: &[u8]) -> Result<usize, Error> {
    if is_short_ascii(input) { Ok(input.len()) } else { check_any(input) }
}

#[inline]
fn is_short_ascii(input: &[u8]) -> bool {
    input.len() <= SHORT_LEN && mask::is_ascii(input)
}

/// Never inlined, so that ASCII does not pay for the room this takes.
#[inline(never)]
fn check_any(input: &[u8]) -> Result<usize, Error> {
    match simdutf8::compat::from_utf8(input) {
        Ok(_) => Ok(input.len()),
        Err(error) if error.error_len().is_none() => Ok(error.valid_up_to()),
        Err(_) => Err(Error::InvalidUtf8),
    }
}

/// Checks text that comes in pieces, each as soon as it is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Validator {
    /// The start of a character that the next piece has to complete.
    cut: [u8; 3],
    cut_len: u8,
}

impl Validator {
    /// Checks the next piece.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUtf8`] if no continuation can make the text valid.
    #[inline]
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.push_tested(piece, is_short_ascii(piece))
    }

    /// Unmasks the next piece in place and checks it, in one pass over memory. `offset` is as in [`mask::unmask`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUtf8`] if no continuation can make the text valid. How much of `data` is unmasked is then not
    /// defined: what lies behind the error may still be as it came.
    #[inline]
    pub fn push_unmasked(&mut self, data: &mut [u8], key: [u8; 4], offset: usize) -> Result<(), Error> {
        for block in data.chunks_mut(BLOCK_LEN) {
            let is_ascii = mask::unmask_and_test(block, key, offset);
            self.push_tested(block, is_ascii)?;
        }
        Ok(())
    }

    /// Unmasks the next piece to the end of `kept` and checks it there, in one pass over memory. `key` and `offset` are
    /// as in [`mask::append_unmasked`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUtf8`] if no continuation can make the text valid; `kept` may then have got a part of the piece.
    /// [`Error::OutOfMemory`] if there is no memory for it; `kept` is then unchanged.
    #[inline]
    pub fn append_unmasked(
        &mut self,
        kept: &mut Vec<u8>,
        input: &[u8],
        key: Option<[u8; 4]>,
        offset: usize,
    ) -> Result<(), Error> {
        // All at once, as growing block by block would move what is there more than once.
        kept.try_reserve(input.len()).map_err(|_| Error::OutOfMemory)?;
        for block in input.chunks(BLOCK_LEN) {
            let at = kept.len();
            let is_ascii = mask::append_and_test(kept, block, key, offset)?;
            self.push_tested(kept.get(at..).unwrap_or_default(), is_ascii)?;
        }
        Ok(())
    }

    /// Checks the next piece, of which the caller may know that it is ASCII.
    #[inline]
    fn push_tested(&mut self, piece: &[u8], is_ascii: bool) -> Result<(), Error> {
        if is_ascii && self.is_complete() { Ok(()) } else { self.push_any(piece) }
    }

    #[inline(never)]
    fn push_any(&mut self, piece: &[u8]) -> Result<(), Error> {
        let rest = if self.is_complete() { piece } else { self.complete(piece)? };
        let whole = check_any(rest)?;
        if whole < rest.len() {
            self.keep(rest.get(whole..).unwrap_or_default());
        }
        Ok(())
    }

    /// Whether the text may end here: not inside a character.
    #[must_use]
    #[inline]
    pub const fn is_complete(&self) -> bool {
        self.cut_len == 0
    }

    /// How many bytes of a character that is not complete the text ends with: 0 to 3.
    #[must_use]
    pub const fn cut_len(&self) -> usize {
        self.cut_len as usize
    }

    /// Completes the character that was cut, and returns what follows it; nothing if it is still not complete.
    fn complete<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], Error> {
        let had = self.cut_len();
        let missing = character_len(self.cut).saturating_sub(had);
        let (added, rest) = piece.split_at_checked(missing).unwrap_or((piece, &[]));
        let mut character = [0; 4];
        for (place, &byte) in character.iter_mut().zip(self.cut.iter().take(had).chain(added)) {
            *place = byte;
        }
        let character = character.get(..had.saturating_add(added.len())).unwrap_or_default();
        let whole = check_any(character)?;
        self.keep(character.get(whole..).unwrap_or_default());
        Ok(rest)
    }

    fn keep(&mut self, cut: &[u8]) {
        for (place, &byte) in self.cut.iter_mut().zip(cut) {
            *place = byte;
        }
        // At most three: four bytes are a whole character or invalid.
        self.cut_len = u8::try_from(cut.len()).unwrap_or_default();
    }
}

/// How long a character is that begins with these bytes, and is longer than they are (RFC 3629 section 3).
const fn character_len([first, ..]: [u8; 3]) -> usize {
    match first {
        0xF0.. => 4,
        0xE0.. => 3,
        _ => 2,
    }
}
