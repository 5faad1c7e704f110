//! A value that several owners share, in memory that may be refused: `Arc::new` would end the process.

use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use crate::error::Error;
use crate::memory::Boxed;

/// One of the owners. The value is dropped with the last of them, in whatever thread that is.
pub(crate) struct Shared<T>(NonNull<Owned<T>>);

struct Owned<T> {
    value: T,
    owners: AtomicUsize,
}

// SAFETY: an owner lends the value and may drop it, from whatever thread it is in.
unsafe impl<T: Send + Sync> Send for Shared<T> {}
// SAFETY: as above; a shared owner can be cloned, and the clone be sent elsewhere.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Moves a value to where it can be shared.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(crate) fn new(value: T) -> Result<Self, Error> {
        Ok(Self(Boxed::new(Owned { value, owners: AtomicUsize::new(1) })?.leak()))
    }

    fn owned(&self) -> &Owned<T> {
        // SAFETY: made by new() and not freed, as this owner is counted.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        // Relaxed, as in Arc: whoever clones has an owner already. There are never more owners than there is memory for
        // them, so the count does not wrap.
        self.owned().owners.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.owned().value
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Release and Acquire, as in Arc: what other owners did with the value happens before it is dropped.
        if self.owned().owners.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            // SAFETY: leaked by new(), and this was the last owner.
            drop(unsafe { Boxed::from_leaked(self.0) });
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// Says when it is dropped.
    struct Counted<'a>(&'a AtomicUsize);

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_last_owner_drops_the_value_once() {
        let dropped = AtomicUsize::new(0);
        let first = Shared::new(Counted(&dropped)).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                let mine = first.clone();
                scope.spawn(move || {
                    for _ in 0..100 {
                        assert_eq!((*mine.clone()).0.load(Ordering::Relaxed), 0);
                    }
                });
            }
        });
        assert_eq!(dropped.load(Ordering::Relaxed), 0);
        drop(first);
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    }
}
