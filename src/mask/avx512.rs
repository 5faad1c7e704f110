//! AVX-512: 64 bytes at a time. Whole vectors only: masked stores would make short payloads three times slower.

use std::arch::x86_64::{
    __m512i, _mm512_loadu_si512, _mm512_movepi8_mask, _mm512_or_si512, _mm512_set1_epi32, _mm512_xor_si512,
};
use std::mem::transmute;

use super::kernel::{Key, Simd, unmask_groups};
use super::payload::Payload;
use crate::cpu::{Level, level};

/// The proof that the CPU has AVX-512.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    #[inline]
    pub(super) fn detect() -> Option<Self> {
        (level() >= Level::Avx512).then_some(Self(()))
    }

    /// Unmasks a payload of at least 256 bytes. Returns whether it was ASCII.
    #[inline]
    pub(super) fn unmask(self, payload: impl Payload, key: Key) -> bool {
        // SAFETY: a value of this type proves that the CPU has AVX-512.
        unsafe { unmask(self, payload, key) }
    }
}

impl Simd<64> for Avx512 {
    type Vector = __m512i;

    #[inline(always)]
    fn repeat(self, key: Key) -> __m512i {
        // SAFETY: a value of this type proves that the CPU has AVX-512.
        unsafe { _mm512_set1_epi32(key.word().cast_signed()) }
    }

    #[inline(always)]
    fn load(self, bytes: &[u8; 64]) -> __m512i {
        // SAFETY: a value of this type proves that the CPU has AVX-512; the 64 bytes are borrowed, at any alignment.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn bytes(self, vector: __m512i) -> [u8; 64] {
        // SAFETY: both are 64 bytes, of which each may have any value.
        unsafe { transmute::<__m512i, [u8; 64]>(vector) }
    }

    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: a value of this type proves that the CPU has AVX-512.
        unsafe { _mm512_xor_si512(a, b) }
    }

    #[inline(always)]
    fn or(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: a value of this type proves that the CPU has AVX-512.
        unsafe { _mm512_or_si512(a, b) }
    }

    #[inline(always)]
    fn is_ascii(self, vector: __m512i) -> bool {
        // SAFETY: a value of this type proves that the CPU has AVX-512.
        let highest_bits = unsafe { _mm512_movepi8_mask(vector) };
        highest_bits == 0
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn unmask(simd: Avx512, payload: impl Payload, key: Key) -> bool {
    unmask_groups::<_, 64, 4>(simd, payload, key)
}
