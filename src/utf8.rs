//! Checks that text is UTF-8 (RFC 6455 section 8.1, RFC 3629).

#![forbid(unsafe_code)]

use crate::error::Error;

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
        let rest = if self.cut_len == 0 { piece } else { self.complete(piece)? };
        let whole = check(rest)?;
        if let Some(cut) = rest.get(whole..)
            && !cut.is_empty()
        {
            self.keep(cut);
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
    #[cold]
    fn complete<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], Error> {
        let mut rest = piece;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            let [a, b, c] = self.cut;
            let character = match self.cut_len {
                1 => [a, byte, 0, 0],
                2 => [a, b, byte, 0],
                _ => [a, b, c, byte],
            };
            let len = usize::from(self.cut_len).saturating_add(1);
            let character = character.get(..len).unwrap_or_default();
            if check(character)? == len {
                self.cut_len = 0;
                break;
            }
            self.keep(character);
        }
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

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_cut_inside_a_character_is_counted_up_to_it() {
        let text = "κόσμε €𐍈";
        for cut in 0..=text.len() {
            let whole = (0..=cut).rev().find(|&at| text.is_char_boundary(at));
            assert_eq!(check(&text.as_bytes()[..cut]).ok(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn what_cannot_become_utf8_is_refused_at_once() {
        let cases: [(&str, &[u8]); 9] = [
            ("a continuation byte alone", b"a\x80"),
            ("an over-long slash", b"\xC0\x80"),
            ("an over-long form of three bytes", b"\xE0\x9F"),
            ("the first surrogate", b"\xED\xA0\x80"),
            ("the start of a surrogate", b"\xED\xA0"),
            ("above U+10FFFF", b"\xF4\x90\x80\x80"),
            ("the start of something above U+10FFFF", b"\xF4\x90"),
            ("a byte that is never used", b"\xFF"),
            ("a character cut short by another", b"\xE2\x82a"),
        ];
        for (what, input) in cases {
            assert_eq!(check(input), Err(Error::InvalidUtf8), "{what}");
        }
    }

    #[test]
    fn a_piece_that_makes_the_text_invalid_is_refused_at_once() {
        let mut text = Validator::default();
        assert_eq!(text.push(b"\xF4"), Ok(()));
        assert!(!text.is_complete());
        assert_eq!(text.push(b"\x90"), Err(Error::InvalidUtf8));
    }

    proptest! {
        #[test]
        fn in_pieces_is_like_whole(
            input in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0xF0), Just(0x90), Just(0x8D), Just(b'a')], 0..60),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
            cuts.extend([0, input.len()]);
            cuts.sort_unstable();
            let mut text = Validator::default();
            let pushed = cuts.windows(2).try_for_each(|ends| text.push(&input[ends[0]..ends[1]]));
            match check(&input) {
                Ok(whole) => {
                    prop_assert_eq!(pushed, Ok(()));
                    prop_assert_eq!(text.cut_len(), input.len() - whole);
                }
                Err(error) => prop_assert_eq!(pushed, Err(error)),
            }
        }

        #[test]
        fn agrees_with_the_standard_library(input in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0xE2), Just(0x82), Just(b'a')], 0..200)) {
            let expected = match std::str::from_utf8(&input) {
                Ok(text) => Ok(text.len()),
                Err(error) if error.error_len().is_none() => Ok(error.valid_up_to()),
                Err(_) => Err(Error::InvalidUtf8),
            };
            prop_assert_eq!(check(&input), expected);
        }
    }
}
