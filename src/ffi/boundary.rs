//! Where C's pointers become Rust's borrows, and Rust's results C's return values. No other file of `ffi` does either.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::ptr::NonNull;
use std::slice;

use libc::{c_void, ptrdiff_t, size_t};

use crate::error::Error;
use crate::guard::guarded;
use crate::memory::Boxed;

thread_local! {
    /// Why the thread's last call failed that did.
    static LAST_ERROR: Cell<Option<Error>> = const { Cell::new(None) };
}

/// Turns a result into the one return value of the C API: a count, or the number of the failure's code.
#[inline]
pub(super) fn returned(result: Result<usize, Error>) -> ptrdiff_t {
    match result.map(ptrdiff_t::try_from) {
        Ok(Ok(count)) => count,
        Ok(Err(_)) => failed(Error::LengthOutOfRange),
        Err(error) => failed(error),
    }
}

#[cold]
#[inline(never)]
fn failed(error: Error) -> ptrdiff_t {
    // Nothing is to be dropped, so there is a place as long as the thread runs.
    let _ = LAST_ERROR.try_with(|last| last.set(Some(error)));
    error.code() as ptrdiff_t
}

/// Why the thread's last call failed that did.
pub(super) fn last_error() -> Option<Error> {
    LAST_ERROR.try_with(Cell::get).ok().flatten()
}

/// Borrows the `len` bytes at `data`.
///
/// # Safety
///
/// If `data` is not NULL, `len` bytes can be read there, and nothing writes to them for as long as `'a`: the caller of
/// the exported function promises that until it returns.
#[inline]
pub(super) unsafe fn bytes<'a>(data: *const c_void, len: size_t) -> Result<&'a [u8], Error> {
    Ok(match checked(data.cast_mut(), len)? {
        // SAFETY: not NULL, no longer than an object can be, and the caller promises the rest.
        Some(data) => unsafe { slice::from_raw_parts(data.as_ptr(), len) },
        None => &[],
    })
}

/// Borrows the `len` bytes at `data` to write there.
///
/// # Safety
///
/// If `data` is not NULL, `len` bytes can be written there, and nothing else reads or writes them for as long as `'a`:
/// the caller of the exported function promises that until it returns.
#[inline]
pub(super) unsafe fn bytes_mut<'a>(data: *mut c_void, len: size_t) -> Result<&'a mut [u8], Error> {
    Ok(match checked(data, len)? {
        // SAFETY: not NULL, no longer than an object can be, and the caller promises the rest.
        Some(data) => unsafe { slice::from_raw_parts_mut(data.as_ptr(), len) },
        None => &mut [],
    })
}

/// Borrows an input and an output of which neither may reach into the other.
///
/// # Safety
///
/// As for [`bytes`] and [`bytes_mut`]; that the two share no byte is checked here.
#[inline]
pub(super) unsafe fn bytes_and_out<'a>(
    input: *const c_void,
    input_len: size_t,
    out: *mut c_void,
    out_len: size_t,
) -> Result<(&'a [u8], &'a mut [u8]), Error> {
    apart(input, input_len, out, out_len)?;
    // SAFETY: the caller promises that the bytes can be read.
    let input = unsafe { bytes(input, input_len) }?;
    // SAFETY: the caller promises that the bytes can be written; they are not those of `input`.
    let out = unsafe { bytes_mut(out, out_len) }?;
    Ok((input, out))
}

/// Checks that an input and an output share no byte.
#[inline]
pub(super) fn apart(input: *const c_void, input_len: size_t, out: *const c_void, out_len: size_t) -> Result<(), Error> {
    let (start, out_start) = (input.addr(), out.addr());
    let overlap = start < out_start.saturating_add(out_len) && out_start < start.saturating_add(input_len);
    if overlap && input_len > 0 && out_len > 0 { Err(Error::BuffersOverlap) } else { Ok(()) }
}

/// Borrows the `count` records at `records` to write there.
///
/// # Safety
///
/// If `records` is not NULL, `count` of them can be written there, and nothing else reads or writes them for as long as
/// `'a`.
pub(super) unsafe fn places<'a, T: Copy>(records: *mut T, count: size_t) -> Result<&'a mut [T], Error> {
    let size = count.checked_mul(size_of::<T>()).ok_or(Error::LengthOutOfRange)?;
    Ok(match checked(records.cast(), size)? {
        // SAFETY: not NULL, no longer than an object can be, and the caller promises the rest.
        Some(records) => unsafe { slice::from_raw_parts_mut(records.cast().as_ptr(), count) },
        None => &mut [],
    })
}

/// Borrows the `count` numbers at `numbers`.
///
/// # Safety
///
/// `numbers` is NULL or points to `count` of them, and nothing writes to them for as long as `'a`.
#[inline]
pub(super) unsafe fn numbers<'a, T: Copy>(numbers: *const T, count: size_t) -> Result<&'a [T], Error> {
    let size = count.checked_mul(size_of::<T>()).ok_or(Error::LengthOutOfRange)?;
    Ok(match checked(numbers.cast_mut().cast(), size)? {
        // SAFETY: not NULL, no longer than an object can be, and the caller promises the rest.
        Some(numbers) => unsafe { slice::from_raw_parts(numbers.cast().as_ptr(), count) },
        None => &[],
    })
}

/// Borrows the `count` lengths at `lens`, and returns their sum.
///
/// # Safety
///
/// `lens` is NULL or points to `count` numbers, and nothing writes to them for as long as `'a`.
#[inline]
pub(super) unsafe fn lengths<'a>(lens: *const size_t, count: size_t) -> Result<(&'a [size_t], size_t), Error> {
    // SAFETY: as the caller promises.
    let lens = unsafe { numbers(lens, count) }?;
    let sum = lens.iter().try_fold(0, |sum: size_t, len| sum.checked_add(*len)).ok_or(Error::LengthOutOfRange)?;
    Ok((lens, sum))
}

/// What stands one behind the other in `bytes`, each as long as the next of the lengths says.
#[derive(Clone)]
pub(super) struct Pieces<'a> {
    bytes: &'a [u8],
    lens: slice::Iter<'a, size_t>,
}

impl<'a> Pieces<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8], lens: &'a [size_t]) -> Self {
        Self { bytes, lens: lens.iter() }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (piece, rest) = self.bytes.split_at_checked(*self.lens.next()?)?;
        self.bytes = rest;
        Some(piece)
    }
}

/// A handle for C, which [`freed`] takes back.
pub(super) fn leaked<T>(value: T) -> Result<*mut T, Error> {
    Ok(Boxed::new(value)?.leak().as_ptr())
}

/// Drops what a handle stands for. NULL does nothing.
///
/// # Safety
///
/// `handle` is NULL, or came from [`leaked`] and was not given to this function before.
pub(super) unsafe fn freed<T>(handle: *mut T) {
    let Some(handle) = NonNull::new(handle) else { return };
    let free = AssertUnwindSafe(|| {
        // SAFETY: as the caller guarantees.
        drop(unsafe { Boxed::from_leaked(handle) });
        Ok(0)
    });
    let _ = guarded(free);
}

/// The place of a record to read or write.
#[inline]
pub(super) fn place<T>(record: *const T) -> Result<NonNull<T>, Error> {
    NonNull::new(record.cast_mut()).ok_or(Error::NullPointer)
}

#[inline]
fn checked(data: *mut c_void, len: size_t) -> Result<Option<NonNull<u8>>, Error> {
    match NonNull::new(data.cast()) {
        _ if isize::try_from(len).is_err() => Err(Error::LengthOutOfRange),
        None if len > 0 => Err(Error::NullPointer),
        data => Ok(data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_behind_the_guard_is_an_internal_error() {
        assert_eq!(returned(guarded(|| panic!("injected"))), -5);
        assert_eq!(last_error(), Some(Error::Panicked));
        assert_eq!(guarded(|| Ok(28)), Ok(28));
    }

    #[test]
    fn a_count_that_does_not_fit_is_an_error() {
        assert_eq!(returned(Ok(usize::MAX)), -1);
    }
}
