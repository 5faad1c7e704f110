//! An allocator that counts, and that can be told to fail: once, at the n-th allocation of the library's calls.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::null_mut;

thread_local! {
    /// How many bytes this thread has allocated.
    pub(crate) static ALLOCATED: Cell<usize> = const { Cell::new(0) };
    /// How many allocations from now the one is that fails; 0 for none.
    static FAILS_IN: Cell<usize> = const { Cell::new(0) };
    /// Whether a call of the library is running: what a test allocates itself does not fail.
    static IS_ARMED: Cell<bool> = const { Cell::new(false) };
}

/// Makes the n-th allocation from now fail that a call of the library asks for. 0 takes that back.
pub(crate) fn fail_in(n: usize) {
    FAILS_IN.set(n);
}

/// Whether it has failed, since [`fail_in`].
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

fn fails() -> bool {
    let left = FAILS_IN.get();
    if left == 0 || !IS_ARMED.get() {
        return false;
    }
    FAILS_IN.set(left - 1);
    left == 1
}

struct Failing;

#[global_allocator]
static FAILING: Failing = Failing;

// SAFETY: the system's allocator does it all, or nothing is allocated.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if fails() {
            return null_mut();
        }
        ALLOCATED.set(ALLOCATED.get().saturating_add(layout.size()));
        // SAFETY: as the caller guarantees.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as the caller guarantees.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if fails() {
            return null_mut();
        }
        ALLOCATED.set(ALLOCATED.get().saturating_add(size));
        // SAFETY: as the caller guarantees.
        unsafe { System.realloc(place, layout, size) }
    }
}
