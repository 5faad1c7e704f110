//! Panics, of which it cannot be shown everywhere that there are none: what has panicked is never used again, and nothing else
//! notices.

#![forbid(unsafe_code)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, UnwindSafe, catch_unwind};

use crate::error::Error;

/// Runs a call, and turns a panic into an error.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, Error> + UnwindSafe) -> Result<T, Error> {
    catch_unwind(call).unwrap_or_else(panicked)
}

#[cold]
fn panicked<T>(payload: Box<dyn Any + Send>) -> Result<T, Error> {
    // Dropping the payload could panic in its turn; what that one leaves is leaked.
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(payload)));
    std::mem::forget(dropped);
    Err(Error::Panicked)
}

/// Puts what is harmless in the place of what panicked, and drops that under a guard of its own: it may panic as well.
#[cold]
pub(crate) fn bury<T>(place: &mut T, harmless: T) {
    let panicked = std::mem::replace(place, harmless);
    let _ = guarded(AssertUnwindSafe(|| {
        drop(panicked);
        Ok(())
    }));
}
