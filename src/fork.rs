//! Whether this process is a fork of the one that remembers: without a system call to ask.
//!
//! The kernel wipes a page of memory in every child, whatever way it was forked: by `fork`, by a bare `clone`, and in
//! nested PID namespaces, where a child may have its parent's number. What is read there is a number that changes with
//! every fork.

#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of the last process that had one, which a forked one inherits.
#[cfg(target_os = "linux")]
static LAST: AtomicU64 = AtomicU64::new(0);

/// The number of this process: never 0, and not that of any process that it was forked from.
#[cfg(target_os = "linux")]
#[inline]
pub(crate) fn process_number(before: u64) -> u64 {
    let Some(number) = page() else { return u64::from(std::process::id()) };
    match number.load(Ordering::Relaxed) {
        0 => begin(number, before),
        number => number,
    }
}

/// Numbers a process that has none yet: the first of all, or one that was just forked. `before` is what the thread
/// that asks was told before the fork, and it is the only one that the child has.
#[cfg(target_os = "linux")]
#[cold]
fn begin(number: &AtomicU64, before: u64) -> u64 {
    let next = before.max(LAST.load(Ordering::Relaxed)).wrapping_add(1).max(1);
    // Of several threads of a new process one is the first.
    match number.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => {
            LAST.store(next, Ordering::Relaxed);
            next
        }
        Err(number) => number,
    }
}

/// A number on a page that the kernel wipes in a child; `None` where it cannot, before Linux 4.14.
#[cfg(target_os = "linux")]
#[inline]
fn page() -> Option<&'static AtomicU64> {
    use std::ptr::null_mut;
    use std::sync::atomic::AtomicPtr;

    static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(null_mut());

    #[cold]
    fn map() -> *mut AtomicU64 {
        const LEN: usize = 4096;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping, which touches no other.
        let page = unsafe { libc::mmap(null_mut(), LEN, access, kind, -1, 0) };
        if page == libc::MAP_FAILED {
            return null_mut();
        }
        // SAFETY: the page that was just mapped.
        if unsafe { libc::madvise(page, LEN, libc::MADV_WIPEONFORK) } != 0 {
            // SAFETY: the same, and nobody knows of it.
            unsafe { libc::munmap(page, LEN) };
            return null_mut();
        }
        // Two threads may map one at a time; the second is given back.
        match PAGE.compare_exchange(null_mut(), page.cast(), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => page.cast(),
            Err(other) => {
                // SAFETY: the page that was just mapped, and nobody knows of it.
                unsafe { libc::munmap(page, LEN) };
                other
            }
        }
    }

    let known = PAGE.load(Ordering::Acquire);
    let page = if known.is_null() { map() } else { known };
    // SAFETY: NULL, or a page that is never unmapped, aligned, and zeroed by the kernel, which is a number too.
    unsafe { page.as_ref() }
}

/// The number of this process.
#[cfg(not(target_os = "linux"))]
#[inline]
pub(crate) fn process_number(_before: u64) -> u64 {
    u64::from(std::process::id())
}
