//! SSE2: 16 bytes at a time, on every x86-64.
//!
//! Not left to the compiler: it makes vectors of a long loop over words, but mostly not of a few words in a row.

use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi32, _mm_xor_si128};
use std::mem::transmute;

use super::kernel::{Key, Simd};

/// Needs no proof.
#[derive(Clone, Copy)]
pub(super) struct Sse2;

impl Simd<16> for Sse2 {
    type Vector = __m128i;

    #[inline(always)]
    fn repeat(self, key: Key) -> __m128i {
        // SAFETY: every x86-64 has SSE2.
        unsafe { _mm_set1_epi32(key.word().cast_signed()) }
    }

    #[inline(always)]
    fn load(self, bytes: &[u8; 16]) -> __m128i {
        // SAFETY: every x86-64 has SSE2; the 16 bytes are borrowed, at any alignment.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn bytes(self, vector: __m128i) -> [u8; 16] {
        // SAFETY: both are 16 bytes, of which each may have any value.
        unsafe { transmute::<__m128i, [u8; 16]>(vector) }
    }

    #[inline(always)]
    fn xor(self, a: __m128i, b: __m128i) -> __m128i {
        // SAFETY: every x86-64 has SSE2.
        unsafe { _mm_xor_si128(a, b) }
    }

    #[inline(always)]
    fn or(self, a: __m128i, b: __m128i) -> __m128i {
        // SAFETY: every x86-64 has SSE2.
        unsafe { _mm_or_si128(a, b) }
    }

    #[inline(always)]
    fn is_ascii(self, vector: __m128i) -> bool {
        // SAFETY: every x86-64 has SSE2.
        let highest_bits = unsafe { _mm_movemask_epi8(vector) };
        highest_bits == 0
    }
}
