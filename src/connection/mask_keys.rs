//! A client's masking keys: fresh and unpredictable for every frame (RFC 6455 section 5.3).

#![forbid(unsafe_code)]

use std::cell::RefCell;

use crate::error::Error;
use crate::fork::process_number;

/// How many random bytes are fetched at a time: one call of the operating system for 256 keys.
const FETCHED: usize = 1 << 10;

/// Random bytes that no frame has used.
struct Unused {
    bytes: [u8; FETCHED],
    /// Where the unused ones begin.
    at: usize,
    /// The process that fetched them: after a fork the child must not use them again.
    process: u64,
}

thread_local! {
    // Shared by the connections of a thread, so that an idle one holds none.
    static UNUSED: RefCell<Unused> = const { RefCell::new(Unused { bytes: [0; FETCHED], at: FETCHED, process: 0 }) };
}

/// Fresh random bytes.
///
/// # Errors
///
/// [`Error::NoRandomness`].
pub(super) fn random<const N: usize>() -> Result<[u8; N], Error> {
    UNUSED.with_borrow_mut(|unused| {
        let process = process_number(unused.process);
        let left = unused.bytes.get(unused.at..).unwrap_or_default();
        if unused.process != process || left.len() < N {
            getrandom::fill(&mut unused.bytes).map_err(|_| Error::NoRandomness)?;
            unused.at = 0;
            unused.process = process;
        }
        let left = unused.bytes.get_mut(unused.at..).unwrap_or_default();
        let taken = left.first_chunk_mut().ok_or(Error::NoRandomness)?;
        unused.at = unused.at.saturating_add(N);
        // Whoever reads this memory later finds no key that was sent.
        Ok(std::mem::replace(taken, [0; N]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_do_not_repeat() {
        let keys: HashSet<[u8; 4]> = (0..1000).map(|_| random().unwrap()).collect();
        assert!(keys.len() > 995, "{} of 1000 differ", keys.len());
    }
}
