#![allow(clippy::arithmetic_side_effects)]

use super::*;
use crate::cpu::at_each_level;
use crate::mask::unmask;
use proptest::prelude::*;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Characters of one to four bytes.
const MIXED: &str = "aé漢😀 κόσμε €𐍈 ";

/// What the standard library says of a text: how many bytes at its end are the start of a character.
fn expected(text: &[u8]) -> Result<usize, Error> {
    match std::str::from_utf8(text) {
        Ok(_) => Ok(0),
        Err(error) if error.error_len().is_none() => Ok(text.len() - error.valid_up_to()),
        Err(_) => Err(Error::InvalidUtf8),
    }
}

/// Masks a text and gives it, in pieces that end at `cuts`, to everything that unmasks and checks.
fn assert_like_the_standard_library(text: &[u8], cuts: &[usize]) {
    let ends: Vec<_> = [&[0], cuts, &[text.len()]].concat();
    let pieces = || ends.windows(2).map(|ends| ends[0]..ends[1]);
    let mut masked = text.to_vec();
    unmask(&mut masked, KEY, 0);
    let expected = expected(text);

    let mut whole = Validator::default();
    let pushed = pieces().try_for_each(|piece| whole.push(&text[piece]));
    assert_eq!(pushed.map(|()| whole.cut_len()), expected, "pushed, cut at {cuts:?}");

    let mut unmasked = masked.clone();
    let mut in_place = Validator::default();
    let pushed = pieces().try_for_each(|piece| in_place.push_unmasked(&mut unmasked[piece.clone()], KEY, piece.start));
    assert_eq!(pushed.map(|()| in_place.cut_len()), expected, "in place, cut at {cuts:?}");

    let (mut kept, mut appended) = (b"kept".to_vec(), Validator::default());
    let pushed = pieces()
        .try_for_each(|piece| appended.append_unmasked(&mut kept, &masked[piece.clone()], Some(KEY), piece.start));
    assert_eq!(pushed.map(|()| appended.cut_len()), expected, "appended, cut at {cuts:?}");

    let (mut plain, mut not_masked) = (Vec::new(), Validator::default());
    let pushed =
        pieces().try_for_each(|piece| not_masked.append_unmasked(&mut plain, &text[piece.clone()], None, piece.start));
    assert_eq!(pushed.map(|()| not_masked.cut_len()), expected, "appended without a key, cut at {cuts:?}");

    if expected.is_ok() {
        assert!(unmasked == text, "in place, cut at {cuts:?}");
        assert!(kept == [b"kept", text].concat(), "appended, cut at {cuts:?}");
        assert!(plain == text, "appended without a key, cut at {cuts:?}");
    }
}

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

#[test]
fn every_split_in_two_is_like_the_standard_library() {
    let mixed = MIXED.repeat(8);
    let texts = [mixed.as_bytes(), &[b'a'; 300], &[&[b'a'; 140][..], MIXED.as_bytes(), &[b'a'; 140]].concat()];
    at_each_level(|_| {
        for text in texts {
            for cut in 0..=text.len() {
                assert_like_the_standard_library(text, &[cut]);
                // Also text that ends inside a character.
                assert_like_the_standard_library(&text[..cut], &[]);
            }
        }
    });
}

#[test]
fn an_error_at_any_position_of_a_short_text_is_found() {
    let mixed = MIXED.repeat(5);
    let texts = [mixed.as_bytes(), &[b'a'; 300]];
    at_each_level(|_| {
        for text in texts {
            for at in 0..text.len() {
                for wrong in [0xFF, 0x80, 0xE2] {
                    let mut text = text.to_vec();
                    text[at] = wrong;
                    assert_like_the_standard_library(&text, &[]);
                    assert_like_the_standard_library(&text, &[at]);
                }
            }
        }
    });
}

#[test]
fn characters_and_errors_around_the_end_of_a_block_are_found() {
    let around = |end| end - 70..end + 70;
    at_each_level(|_| {
        for at in around(BLOCK_LEN).chain(around(2 * BLOCK_LEN)) {
            // Each an own kind of text: a character in ASCII, an error in it, an error in a character.
            for character in ["😀".as_bytes(), b"\xFF", b"\xF0\x9F\x98a"] {
                let mut text = vec![b'a'; 2 * BLOCK_LEN + 100];
                text[at..at + character.len()].copy_from_slice(character);
                let mut masked = text.clone();
                unmask(&mut masked, KEY, 0);
                let mut kept = Vec::new();
                let mut validator = Validator::default();
                let appended = validator.append_unmasked(&mut kept, &masked, Some(KEY), 0);
                assert_eq!(appended.map(|()| 0), expected(&text), "appended, {character:x?} at {at}");
                let in_place = Validator::default().push_unmasked(&mut masked, KEY, 0);
                assert_eq!(in_place, appended, "in place, {character:x?} at {at}");
                assert!(appended.is_err() || kept == text && masked == text, "{character:x?} at {at}");
            }
        }
    });
}

/// Whatever the length is before it, some character lies across the end of each block.
#[test]
fn text_of_many_blocks_is_like_the_standard_library() {
    let text = MIXED.repeat(3 * BLOCK_LEN / MIXED.len() + 1);
    at_each_level(|_| {
        for before in 0..4 {
            let text = ["a".repeat(before), text.clone()].concat();
            assert_like_the_standard_library(text.as_bytes(), &[]);
            assert_like_the_standard_library(text.as_bytes(), &[7, BLOCK_LEN + 2, BLOCK_LEN + 3]);
        }
    });
}

#[test]
fn an_error_ends_the_work_at_its_block() {
    let mut data = vec![b'a'; 3 * BLOCK_LEN];
    data[BLOCK_LEN + 5] = 0xFF;
    unmask(&mut data, KEY, 0);
    let masked = data.clone();
    assert_eq!(Validator::default().push_unmasked(&mut data, KEY, 0), Err(Error::InvalidUtf8));
    assert!(data[2 * BLOCK_LEN..] == masked[2 * BLOCK_LEN..]);
    let mut kept = Vec::new();
    assert_eq!(Validator::default().append_unmasked(&mut kept, &masked, Some(KEY), 0), Err(Error::InvalidUtf8));
    assert_eq!(kept.len(), 2 * BLOCK_LEN);
}

proptest! {
    #[test]
    fn random_pieces_are_like_the_standard_library(
        input in prop_oneof![
            "[a-z é漢😀]{0,400}".prop_map(String::into_bytes),
            proptest::collection::vec(prop_oneof![any::<u8>(), Just(0xF0), Just(0x9F), Just(b'a')], 0..40),
            ("[a-z é漢😀]{0,400}", any::<proptest::sample::Index>(), any::<u8>()).prop_map(|(text, at, byte)| {
                let mut text = text.into_bytes();
                if !text.is_empty() {
                    let at = at.index(text.len());
                    text[at] = byte;
                }
                text
            }),
        ],
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        at_each_level(|_| assert_like_the_standard_library(&input, &cuts));
    }
}
