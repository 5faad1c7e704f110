//! Unmasks to the end of a `Vec`, whose spare memory has no value yet.

use super::kernel::Key;
use super::payload::Copied;
use super::run;
use crate::error::Error;

/// Appends the unmasked `input` to `kept`. Returns whether it was ASCII.
#[inline]
pub(super) fn append(kept: &mut Vec<u8>, input: &[u8], key: Key) -> Result<bool, Error> {
    kept.try_reserve(input.len()).map_err(|_| Error::OutOfMemory)?;
    let spare = kept.spare_capacity_mut().get_mut(..input.len());
    let payload = spare.and_then(|out| Copied::new(input, out)).ok_or(Error::OutOfMemory)?;
    let is_ascii = run(payload, key);
    let len = kept.len().saturating_add(input.len());
    // SAFETY: the spare memory begins behind the bytes that kept has, and run() has written as many of it as input has.
    unsafe { kept.set_len(len) };
    Ok(is_ascii)
}
