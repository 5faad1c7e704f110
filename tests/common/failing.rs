//! An allocator that counts, and that can be told to fail: once, at the n-th allocation of the library's calls, or whenever
//! these want more memory than they have, from the n-th time on.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::null_mut;

thread_local! {
    /// How many bytes this thread has allocated.
    pub(crate) static ALLOCATED: Cell<usize> = const { Cell::new(0) };
    /// How many allocations from now the one is that fails; 0 for none.
    static FAILS_IN: Cell<usize> = const { Cell::new(0) };
    /// With [`fail_from`]: how many bytes the calls have given back since, and can have again.
    static GIVEN_BACK: Cell<Option<usize>> = const { Cell::new(None) };
    /// Whether a call of the library is running: what a test allocates itself does not fail.
    static IS_ARMED: Cell<bool> = const { Cell::new(false) };
}

/// Makes the n-th allocation from now fail that a call of the library asks for. 0 takes that back.
pub(crate) fn fail_in(n: usize) {
    FAILS_IN.set(n);
    GIVEN_BACK.set(None);
}

/// Makes all allocations fail from the n-th on for which what was given back is not enough.
pub(crate) fn fail_from(n: usize) {
    FAILS_IN.set(n);
    GIVEN_BACK.set(Some(0));
}

/// Whether it has failed, since it was told to.
pub(crate) fn has_failed() -> bool {
    FAILS_IN.get() == 0
}

/// Whether a call of the library is running.
pub(crate) fn is_armed() -> bool {
    IS_ARMED.get()
}

/// Makes a call of the library.
pub(crate) fn armed<T>(call: impl FnOnce() -> T) -> T {
    IS_ARMED.set(true);
    let result = call();
    IS_ARMED.set(false);
    result
}

/// Whether an allocation of `size` bytes more fails.
fn fails(size: usize) -> bool {
    if !IS_ARMED.get() {
        return false;
    }
    if let Some(left) = GIVEN_BACK.get().and_then(|given_back| given_back.checked_sub(size)) {
        GIVEN_BACK.set(Some(left));
        return false;
    }
    let left = FAILS_IN.get();
    FAILS_IN.set(left.saturating_sub(1));
    left == 1 || left == 0 && GIVEN_BACK.get().is_some()
}

fn give_back(size: usize) {
    if let Some(given_back) = GIVEN_BACK.get().filter(|_| IS_ARMED.get()) {
        GIVEN_BACK.set(Some(given_back.saturating_add(size)));
    }
}

struct Failing;

#[global_allocator]
static FAILING: Failing = Failing;

// SAFETY: the system's allocator does it all, or nothing is allocated.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if fails(layout.size()) {
            return null_mut();
        }
        ALLOCATED.set(ALLOCATED.get().saturating_add(layout.size()));
        // SAFETY: as the caller guarantees.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        give_back(layout.size());
        // SAFETY: as the caller guarantees.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > layout.size() && fails(size.saturating_sub(layout.size())) {
            return null_mut();
        }
        give_back(layout.size().saturating_sub(size));
        ALLOCATED.set(ALLOCATED.get().saturating_add(size));
        // SAFETY: as the caller guarantees.
        unsafe { System.realloc(place, layout, size) }
    }
}
