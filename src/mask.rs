//! Masking and unmasking of a payload, which are the same act (RFC 6455 section 5.3).
//!
//! Masking keeps a client's bytes from looking like HTTP to proxies on the way. It hides nothing: the key travels in
//! the same frame.

#![forbid(unsafe_code)]

mod words;

use crate::error::Error;

/// Masks or unmasks `data` in place.
///
/// `offset` is the position of `data` in the payload, for a payload that is worked on piece by piece: 0 for its start.
#[inline]
pub fn unmask(data: &mut [u8], key: [u8; 4], offset: usize) {
    words::unmask(data, rotated(key, offset));
}

/// Masks or unmasks `input` into `out`; as [`unmask`], but the input stays as it is.
///
/// # Errors
///
/// [`Error::LengthsDiffer`] if `out` is not as long as `input`; it is then unchanged.
#[inline]
pub fn unmask_copy(input: &[u8], key: [u8; 4], offset: usize, out: &mut [u8]) -> Result<(), Error> {
    if input.len() != out.len() {
        return Err(Error::LengthsDiffer);
    }
    words::unmask_copy(input, rotated(key, offset), out);
    Ok(())
}

/// The key as it applies from `offset` on, so that every variant starts at its first byte.
#[inline]
fn rotated(key: [u8; 4], offset: usize) -> [u8; 4] {
    let mut key = key;
    key.rotate_left(offset % 4);
    key
}

/// The formula of RFC 6455 section 5.3, against which every variant is tested.
#[cfg(test)]
fn naive(data: &[u8], key: [u8; 4], offset: usize) -> Vec<u8> {
    data.iter().enumerate().map(|(i, byte)| byte ^ key[offset.wrapping_add(i) % 4]).collect()
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn numbered(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 7 + i / 256) as u8).collect()
    }

    fn assert_like_naive(data: &[u8], key: [u8; 4], offset: usize) {
        let expected = naive(data, key, offset);

        let mut in_place = data.to_vec();
        unmask(&mut in_place, key, offset);
        assert_eq!(in_place, expected, "in place, {} bytes, offset {offset}", data.len());

        let mut copy = vec![0xAA; data.len()];
        assert_eq!(unmask_copy(data, key, offset, &mut copy), Ok(()));
        assert_eq!(copy, expected, "copied, {} bytes, offset {offset}", data.len());
    }

    /// RFC 6455 section 5.7, a single-frame masked text message.
    #[test]
    fn unmasks_the_example_of_the_rfc() {
        let mut payload = *b"\x7f\x9f\x4d\x51\x58";
        unmask(&mut payload, KEY, 0);
        assert_eq!(&payload, b"Hello");
    }

    #[test]
    fn every_length_offset_and_alignment_is_like_naive() {
        let data = numbered(300 + 64);
        for len in 0..=300 {
            for offset in 0..4 {
                assert_like_naive(&data[..len], KEY, offset);
            }
        }
        for start in 0..64 {
            let mut buffer = data.clone();
            unmask(&mut buffer[start..start + 300], KEY, start);
            assert_eq!(buffer[start..start + 300], naive(&data[start..start + 300], KEY, start));
            assert_eq!(buffer[..start], data[..start], "bytes before the payload are untouched");
            assert_eq!(buffer[start + 300..], data[start + 300..], "bytes after the payload are untouched");
        }
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

    proptest! {
        #[test]
        fn random_payloads_are_like_naive(data in proptest::collection::vec(any::<u8>(), 0..5000), key: [u8; 4], offset in 0usize..1 << 40) {
            assert_like_naive(&data, key, offset);
        }

        #[test]
        fn in_pieces_is_like_whole(data in proptest::collection::vec(any::<u8>(), 0..500), key: [u8; 4], cut: proptest::sample::Index) {
            let cut = cut.index(data.len() + 1);
            let mut pieces = data.clone();
            let (head, tail) = pieces.split_at_mut(cut);
            unmask(head, key, 0);
            unmask(tail, key, cut);
            prop_assert_eq!(pieces, naive(&data, key, 0));
        }
    }
}
