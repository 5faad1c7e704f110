//! Masking and unmasking of a payload, which are the same act (RFC 6455 section 5.3).
//!
//! Masking keeps a client's bytes from looking like HTTP to proxies on the way. It hides nothing: the key travels in
//! the same frame.

#![deny(unsafe_code)]

#[allow(unsafe_code)]
mod append;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx512;
mod kernel;
#[cfg(all(target_arch = "aarch64", target_feature = "neon", target_endian = "little"))]
#[allow(unsafe_code)]
mod neon;
mod payload;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod sse2;
#[cfg(test)]
mod tests;
mod words;

use crate::error::Error;
use append::append;
use kernel::{Key, unmask_ends, unmask_groups};
use payload::{Copied, Payload};
use words::Words;

/// Sixteen bytes at a time, without asking what the CPU can do.
#[cfg(target_arch = "x86_64")]
const BASELINE: sse2::Sse2 = sse2::Sse2;
#[cfg(all(target_arch = "aarch64", target_feature = "neon", target_endian = "little"))]
const BASELINE: neon::Neon = neon::Neon;
#[cfg(not(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon", target_endian = "little")
)))]
const BASELINE: Words = Words;

/// Masks or unmasks `data` in place.
///
/// `offset` is the position of `data` in the payload, for a payload that is worked on piece by piece: 0 for its start.
#[inline]
pub fn unmask(data: &mut [u8], key: [u8; 4], offset: usize) {
    run(data, Key::at(key, offset));
}

/// Masks or unmasks `input` into `out`; as [`unmask`], but the input stays as it is.
///
/// # Errors
///
/// [`Error::LengthsDiffer`] if `out` is not as long as `input`; it is then unchanged.
#[inline]
pub fn unmask_copy(input: &[u8], key: [u8; 4], offset: usize, out: &mut [u8]) -> Result<(), Error> {
    let payload = Copied::new(input, out).ok_or(Error::LengthsDiffer)?;
    run(payload, Key::at(key, offset));
    Ok(())
}

/// Masks or unmasks `input` to the end of `kept`; as [`unmask_copy`], but memory is made for it. Without a key the bytes
/// are appended as they are.
///
/// # Errors
///
/// [`Error::OutOfMemory`] if there is no memory for it; `kept` is then unchanged.
#[inline]
pub fn append_unmasked(kept: &mut Vec<u8>, input: &[u8], key: Option<[u8; 4]>, offset: usize) -> Result<(), Error> {
    append_and_test(kept, input, key, offset).map(|_| ())
}

/// As [`unmask`]. Returns whether the unmasked bytes are ASCII, which costs next to nothing.
#[inline]
pub(crate) fn unmask_and_test(data: &mut [u8], key: [u8; 4], offset: usize) -> bool {
    run(data, Key::at(key, offset))
}

/// As [`append_unmasked`]. Returns whether the unmasked bytes are ASCII.
#[inline]
pub(crate) fn append_and_test(
    kept: &mut Vec<u8>,
    input: &[u8],
    key: Option<[u8; 4]>,
    offset: usize,
) -> Result<bool, Error> {
    append(kept, input, Key::at(key.unwrap_or_default(), offset))
}

/// Whether `data` is ASCII: unmasked with no key and written nowhere.
#[inline]
pub(crate) fn is_ascii(data: &[u8]) -> bool {
    run(data, Key::at([0; 4], 0))
}

/// Unmasks a payload by what suits its length, and returns whether the result is ASCII.
#[inline]
fn run(payload: impl Payload, key: Key) -> bool {
    let len = payload.len();
    if len < 16 {
        if len >= 8 {
            unmask_ends::<_, 8, 1>(Words, payload, key)
        } else if len >= 4 {
            unmask_ends::<_, 4, 1>(Words, payload, key)
        } else if len >= 2 {
            unmask_ends::<_, 2, 1>(Words, payload, key)
        } else {
            unmask_ends::<_, 1, 1>(Words, payload, key)
        }
    } else if len < 32 {
        unmask_ends::<_, 16, 1>(BASELINE, payload, key)
    } else if len < 64 {
        unmask_ends::<_, 16, 2>(BASELINE, payload, key)
    } else if len < 128 {
        unmask_ends::<_, 16, 4>(BASELINE, payload, key)
    } else {
        run_long(payload, key)
    }
}

/// Unmasks a payload that is worth asking what the CPU can do: of at least 128 bytes.
#[inline(always)]
fn run_long(payload: impl Payload, key: Key) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        if payload.len() >= 256
            && let Some(simd) = avx512::Avx512::detect()
        {
            return simd.unmask(payload, key);
        }
        if let Some(simd) = avx2::Avx2::detect() {
            return simd.unmask(payload, key);
        }
    }
    unmask_groups::<_, 16, 4>(BASELINE, payload, key)
}
