#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

use super::*;
use crate::cpu::at_each_level;
use proptest::prelude::*;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The formula of RFC 6455 section 5.3, against which every variant is tested.
fn naive(data: &[u8], key: [u8; 4], offset: usize) -> Vec<u8> {
    data.iter().enumerate().map(|(i, byte)| byte ^ key[offset.wrapping_add(i) % 4]).collect()
}

fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 256) as u8).collect()
}

/// Everything that unmasks, on the same data.
fn assert_like_naive(data: &[u8], key: [u8; 4], offset: usize) {
    let expected = naive(data, key, offset);
    let what = format!("{} bytes, key {key:?}, offset {offset}", data.len());

    let mut in_place = data.to_vec();
    assert_eq!(unmask_and_test(&mut in_place, key, offset), expected.is_ascii(), "{what}");
    assert_eq!(in_place, expected, "in place, {what}");

    let mut copy = vec![0xAA; data.len()];
    assert_eq!(unmask_copy(data, key, offset, &mut copy), Ok(()));
    assert_eq!(copy, expected, "copied, {what}");

    let mut kept = b"kept".to_vec();
    assert_eq!(append_and_test(&mut kept, data, Some(key), offset), Ok(expected.is_ascii()), "{what}");
    assert_eq!(kept, [b"kept", &*expected].concat(), "appended, {what}");
    assert_eq!(is_ascii(data), data.is_ascii(), "{what}");
}

/// Unmasks a part of a buffer, in place and to another buffer, and compares all of it.
fn assert_only_the_part_is_unmasked(lens: impl Iterator<Item = usize> + Clone, starts: impl Iterator<Item = usize>) {
    let data = numbered(64 + lens.clone().max().unwrap_or_default() + 64);
    let unmasked = [0, 1, 2, 3].map(|offset| naive(&data, KEY, offset));
    let mut buffer = data.clone();
    let mut copy = data.clone();
    for start in starts {
        for len in lens.clone() {
            let end = start + len;
            for (offset, unmasked) in unmasked.iter().enumerate() {
                unmask(&mut buffer[start..end], KEY, start + offset);
                // From another alignment than that of the output.
                let input = &data[start..end];
                assert_eq!(unmask_copy(input, KEY, start + offset, &mut copy[64 - start..64 - start + len]), Ok(()));
                let what = format!("{len} bytes at {start}, offset {offset}");
                assert!(buffer[start..end] == unmasked[start..end], "in place, {what}");
                assert!(copy[64 - start..64 - start + len] == unmasked[start..end], "copied, {what}");
                assert!(buffer[..start] == data[..start], "in place, before {what}");
                assert!(buffer[end..] == data[end..], "in place, after {what}");
                assert!(copy[..64 - start] == data[..64 - start], "copied, before {what}");
                assert!(copy[64 - start + len..] == data[64 - start + len..], "copied, after {what}");
                buffer.copy_from_slice(&data);
                copy.copy_from_slice(&data);
            }
        }
    }
}

/// RFC 6455 section 5.7, a single-frame masked text message.
#[test]
fn unmasks_the_example_of_the_rfc() {
    let mut payload = *b"\x7f\x9f\x4d\x51\x58";
    unmask(&mut payload, KEY, 0);
    assert_eq!(&payload, b"Hello");
}

#[test]
fn every_short_length_offset_and_alignment_is_like_naive() {
    at_each_level(|_| assert_only_the_part_is_unmasked(0..=300, 0..64));
}

#[test]
fn every_longer_length_is_like_naive() {
    at_each_level(|_| assert_only_the_part_is_unmasked(301..=1100, [0, 1, 31, 32, 63].into_iter()));
}

#[test]
fn every_length_is_appended_like_naive() {
    let data = numbered(1100);
    at_each_level(|_| {
        for len in 0..=data.len() {
            assert_like_naive(&data[..len], KEY, len / 3);
        }
    });
}

#[test]
fn one_byte_that_is_not_ascii_is_seen_wherever_it_is() {
    at_each_level(|level| {
        for len in (1..=140).chain([255, 256, 257, 383, 384, 700]) {
            let mut text = vec![0x7F; len];
            assert!(is_ascii(&text), "{len} bytes, {level:?}");
            // At a bad alignment too.
            for start in [0, 1.min(len)] {
                let mut masked = naive(&text, KEY, 1);
                assert!(unmask_and_test(&mut masked[start..], KEY, 1 + start), "{len} bytes, {level:?}");
            }
            for at in 0..len {
                text[at] = 0x80;
                assert!(!is_ascii(&text), "{at} of {len} bytes, {level:?}");
                let mut masked = naive(&text, KEY, 1);
                assert!(!unmask_and_test(&mut masked, KEY, 1), "{at} of {len} bytes, {level:?}");
                text[at] = 0x7F;
            }
        }
    });
}

#[test]
fn offset_may_be_as_large_as_it_can() {
    let mut payload = [0; 5];
    unmask(&mut payload, KEY, usize::MAX);
    assert_eq!(payload, [KEY[3], KEY[0], KEY[1], KEY[2], KEY[3]]);
}

#[test]
fn copy_refuses_another_length_and_touches_nothing() {
    let mut out = [9; 4];
    assert_eq!(unmask_copy(b"abc", KEY, 0, &mut out), Err(Error::LengthsDiffer));
    assert_eq!(out, [9; 4]);
}

#[test]
fn without_a_key_the_bytes_are_appended_as_they_are() {
    let data = numbered(1000);
    at_each_level(|_| {
        let mut kept = Vec::new();
        for piece in data.chunks(77) {
            assert_eq!(append_unmasked(&mut kept, piece, None, 1), Ok(()));
        }
        assert_eq!(kept, data);
    });
}

/// They stand in for vectors where a target has none here, so no other test reaches them.
#[test]
fn words_of_sixteen_bytes_are_like_naive() {
    let data = numbered(300);
    for start in 0..16 {
        for end in start + 64..=data.len() {
            let expected = naive(&data[start..end], KEY, start);
            let mut part = data[start..end].to_vec();
            let is_ascii = unmask_groups::<_, 16, 4>(Words, &mut *part, Key::at(KEY, start));
            assert_eq!(part, expected, "{start}..{end}");
            assert_eq!(is_ascii, expected.is_ascii(), "{start}..{end}");
        }
    }
}

proptest! {
    #[test]
    fn random_payloads_are_like_naive(data in proptest::collection::vec(any::<u8>(), 0..5000), key: [u8; 4], offset in 0usize..1 << 40) {
        at_each_level(|_| assert_like_naive(&data, key, offset));
    }

    #[test]
    fn in_pieces_is_like_whole(data in proptest::collection::vec(any::<u8>(), 0..2000), key: [u8; 4], cut: proptest::sample::Index) {
        at_each_level(|_| {
            let cut = cut.index(data.len() + 1);
            let mut pieces = data.clone();
            let (head, tail) = pieces.split_at_mut(cut);
            unmask(head, key, 0);
            unmask(tail, key, cut);
            assert_eq!(pieces, naive(&data, key, 0));
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn large_random_payloads_are_like_naive(data in proptest::collection::vec(any::<u8>(), 100_000..300_000), key: [u8; 4], offset: usize) {
        at_each_level(|_| assert_like_naive(&data, key, offset));
    }
}
