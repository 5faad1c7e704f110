//! NEON: 16 bytes at a time, on every `AArch64`.

use std::arch::aarch64::{uint8x16_t, vdupq_n_u32, veorq_u8, vld1q_u8, vmaxvq_u8, vorrq_u8, vreinterpretq_u8_u32};
use std::mem::transmute;

use super::kernel::{Key, Simd};

/// Needs no proof.
#[derive(Clone, Copy)]
pub(super) struct Neon;

impl Simd<16> for Neon {
    type Vector = uint8x16_t;

    #[inline(always)]
    fn repeat(self, key: Key) -> uint8x16_t {
        // SAFETY: this file is compiled only for targets that have NEON.
        let words = unsafe { vdupq_n_u32(key.word()) };
        // SAFETY: as above.
        unsafe { vreinterpretq_u8_u32(words) }
    }

    #[inline(always)]
    fn load(self, bytes: &[u8; 16]) -> uint8x16_t {
        // SAFETY: this file is compiled only for targets that have NEON; the 16 bytes are borrowed, at any alignment.
        unsafe { vld1q_u8(bytes.as_ptr()) }
    }

    #[inline(always)]
    fn bytes(self, vector: uint8x16_t) -> [u8; 16] {
        // SAFETY: both are 16 bytes, of which each may have any value.
        unsafe { transmute::<uint8x16_t, [u8; 16]>(vector) }
    }

    #[inline(always)]
    fn xor(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        // SAFETY: this file is compiled only for targets that have NEON.
        unsafe { veorq_u8(a, b) }
    }

    #[inline(always)]
    fn or(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        // SAFETY: this file is compiled only for targets that have NEON.
        unsafe { vorrq_u8(a, b) }
    }

    #[inline(always)]
    fn is_ascii(self, vector: uint8x16_t) -> bool {
        // SAFETY: this file is compiled only for targets that have NEON.
        let highest = unsafe { vmaxvq_u8(vector) };
        highest.is_ascii()
    }
}
