//! Eight bytes at a time, in plain Rust that the compiler turns into the target's baseline vectors.

#![forbid(unsafe_code)]

const WORD: usize = size_of::<u64>();

#[inline]
fn word(key: [u8; 4]) -> u64 {
    let [a, b, c, d] = key;
    u64::from_ne_bytes([a, b, c, d, a, b, c, d])
}

#[inline]
pub(super) fn unmask(data: &mut [u8], key: [u8; 4]) {
    let word = word(key);
    let (words, tail) = data.as_chunks_mut::<WORD>();
    for place in words {
        *place = (u64::from_ne_bytes(*place) ^ word).to_ne_bytes();
    }
    for (place, byte) in tail.iter_mut().zip(word.to_ne_bytes()) {
        *place ^= byte;
    }
}

/// `out` is as long as `input`.
#[inline]
pub(super) fn unmask_copy(input: &[u8], key: [u8; 4], out: &mut [u8]) {
    let word = word(key);
    let (words, tail) = input.as_chunks::<WORD>();
    let (out_words, out_tail) = out.as_chunks_mut::<WORD>();
    for (place, bytes) in out_words.iter_mut().zip(words) {
        *place = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for ((place, byte), key_byte) in out_tail.iter_mut().zip(tail).zip(word.to_ne_bytes()) {
        *place = byte ^ key_byte;
    }
}
