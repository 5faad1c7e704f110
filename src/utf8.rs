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

    proptest! {
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
