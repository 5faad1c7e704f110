//! AVX2: 32 bytes at a time.

use std::arch::x86_64::{
    __m256i, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi32, _mm256_xor_si256,
};
use std::mem::transmute;

use super::kernel::{Key, Simd, unmask_groups};
use super::payload::Payload;
use crate::cpu::{Level, level};

/// The proof that the CPU has AVX2.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    #[inline]
    pub(super) fn detect() -> Option<Self> {
        (level() >= Level::Avx2).then_some(Self(()))
    }

    /// Unmasks a payload of at least 128 bytes. Returns whether it was ASCII.
    #[inline]
    pub(super) fn unmask(self, payload: impl Payload, key: Key) -> bool {
        // SAFETY: a value of this type proves that the CPU has AVX2.
        unsafe { unmask(self, payload, key) }
    }
}

impl Simd<32> for Avx2 {
    type Vector = __m256i;

    #[inline(always)]
    fn repeat(self, key: Key) -> __m256i {
        // SAFETY: a value of this type proves that the CPU has AVX2.
        unsafe { _mm256_set1_epi32(key.word().cast_signed()) }
    }

    #[inline(always)]
    fn load(self, bytes: &[u8; 32]) -> __m256i {
        // SAFETY: a value of this type proves that the CPU has AVX2; the 32 bytes are borrowed, at any alignment.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn bytes(self, vector: __m256i) -> [u8; 32] {
        // SAFETY: both are 32 bytes, of which each may have any value.
        unsafe { transmute::<__m256i, [u8; 32]>(vector) }
    }

    #[inline(always)]
    fn xor(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: a value of this type proves that the CPU has AVX2.
        unsafe { _mm256_xor_si256(a, b) }
    }

    #[inline(always)]
    fn or(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: a value of this type proves that the CPU has AVX2.
        unsafe { _mm256_or_si256(a, b) }
    }

    #[inline(always)]
    fn is_ascii(self, vector: __m256i) -> bool {
        // SAFETY: a value of this type proves that the CPU has AVX2.
        let highest_bits = unsafe { _mm256_movemask_epi8(vector) };
        highest_bits == 0
    }
}

#[target_feature(enable = "avx2")]
fn unmask(simd: Avx2, payload: impl Payload, key: Key) -> bool {
    unmask_groups::<_, 32, 4>(simd, payload, key)
}
