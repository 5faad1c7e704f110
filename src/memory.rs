//! Memory that may be refused: nothing here ends the process when there is none.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::error::Error;

/// One value on the heap, as a `Box`, which could not fail to be made.
#[derive(Debug)]
pub(crate) struct Boxed<T>(Box<[T; 1]>);

impl<T> Boxed<T> {
    /// Moves a value to the heap.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`]; the value is dropped then.
    pub(crate) fn new(value: T) -> Result<Self, Error> {
        let mut one = Vec::new();
        one.try_reserve_exact(1).map_err(|_| Error::OutOfMemory)?;
        one.push(value);
        one.into_boxed_slice().try_into().map(Self).map_err(|_| Error::OutOfMemory)
    }

    /// Moves the value back.
    pub(crate) fn into_inner(self) -> T {
        let [value] = *self.0;
        value
    }

    /// Leaves it to the caller to free the value, by [`Boxed::from_leaked`].
    pub(crate) fn leak(self) -> NonNull<T> {
        NonNull::from(Box::leak(self.0)).cast()
    }

    /// The opposite of [`Boxed::leak`].
    ///
    /// # Safety
    ///
    /// `leaked` came from [`Boxed::leak`], is not used any more, and was not given to this function before.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn from_leaked(leaked: NonNull<T>) -> Self {
        // SAFETY: as the caller guarantees; an array of one has the layout of its element.
        Self(unsafe { Box::from_raw(leaked.cast().as_ptr()) })
    }
}

impl<T> Deref for Boxed<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        let [value] = &*self.0;
        value
    }
}

impl<T> DerefMut for Boxed<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        let [value] = &mut *self.0;
        value
    }
}

/// Looks whether there is memory for what cannot be refused: who takes it at once after this finds it, unless another thread
/// was faster.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub(crate) fn look_for(len: usize) -> Result<(), Error> {
    let mut probe: Vec<u8> = Vec::new();
    probe.try_reserve_exact(len).map_err(|_| Error::OutOfMemory)?;
    drop(std::hint::black_box(probe));
    Ok(())
}

/// Appends bytes.
///
/// # Errors
///
/// [`Error::OutOfMemory`]; `kept` is then unchanged.
#[inline]
pub(crate) fn append(kept: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Error> {
    kept.try_reserve(bytes.len()).map_err(|_| Error::OutOfMemory)?;
    kept.extend_from_slice(bytes);
    Ok(())
}

/// Appends one value.
///
/// # Errors
///
/// [`Error::OutOfMemory`]; `kept` is then unchanged.
#[inline]
pub(crate) fn push<T>(kept: &mut Vec<T>, value: T) -> Result<(), Error> {
    kept.try_reserve(1).map_err(|_| Error::OutOfMemory)?;
    kept.push(value);
    Ok(())
}

/// A copy that takes no more memory than it has bytes.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub(crate) fn copied(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| Error::OutOfMemory)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// A copy of a text, for good.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub(crate) fn copied_text(text: &str) -> Result<Box<str>, Error> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len()).map_err(|_| Error::OutOfMemory)?;
    copy.push_str(text);
    Ok(copy.into_boxed_str())
}

/// So many times the same value.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub(crate) fn filled<T: Clone>(value: T, len: usize) -> Result<Vec<T>, Error> {
    let mut filled = Vec::new();
    filled.try_reserve_exact(len).map_err(|_| Error::OutOfMemory)?;
    filled.resize(len, value);
    Ok(filled)
}

/// So many values, each made anew.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
#[cfg_attr(not(unix), allow(dead_code, reason = "there is no hub"))]
pub(crate) fn filled_with<T>(make: impl FnMut() -> T, len: usize) -> Result<Vec<T>, Error> {
    let mut filled = Vec::new();
    filled.try_reserve_exact(len).map_err(|_| Error::OutOfMemory)?;
    filled.resize_with(len, make);
    Ok(filled)
}

/// The values of an iterator, of which each may have failed.
///
/// # Errors
///
/// The first error of the iterator, or [`Error::OutOfMemory`].
pub(crate) fn collected<T>(values: impl Iterator<Item = Result<T, Error>>) -> Result<Vec<T>, Error> {
    let mut all = Vec::new();
    for value in values {
        push(&mut all, value?)?;
    }
    Ok(all)
}
