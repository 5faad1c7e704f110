//! Words of 1 to 16 bytes, in plain Rust: for the shortest payloads, and for targets without vectors of their own here.

#![forbid(unsafe_code)]

use super::kernel::{Key, Simd};

#[derive(Clone, Copy)]
pub(super) struct Words;

macro_rules! words {
    ($($word:ident)*) => {$(
        impl Simd<{ size_of::<$word>() }> for Words {
            type Vector = $word;

            #[inline(always)]
            fn repeat(self, key: Key) -> $word {
                repeated(key.word()) as $word
            }

            #[inline(always)]
            fn load(self, bytes: &[u8; size_of::<$word>()]) -> $word {
                $word::from_le_bytes(*bytes)
            }

            #[inline(always)]
            fn bytes(self, vector: $word) -> [u8; size_of::<$word>()] {
                vector.to_le_bytes()
            }

            #[inline(always)]
            fn xor(self, a: $word, b: $word) -> $word {
                a ^ b
            }

            #[inline(always)]
            fn or(self, a: $word, b: $word) -> $word {
                a | b
            }

            #[inline(always)]
            fn is_ascii(self, vector: $word) -> bool {
                vector & repeated(0x8080_8080) as $word == 0
            }
        }
    )*};
}

#[allow(clippy::cast_possible_truncation, clippy::cast_lossless, reason = "a word has as much of the pattern as fits")]
mod widths {
    use super::{Key, Simd, Words, repeated};

    words! { u8 u16 u32 u64 u128 }
}

#[inline(always)]
const fn repeated(pattern: u32) -> u128 {
    let pattern = pattern as u128;
    pattern | pattern << 32 | pattern << 64 | pattern << 96
}
