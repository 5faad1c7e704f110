//! What the connections of a thread share: whoever needs one takes it, and gives it back.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::thread::LocalKey;

/// Values that nobody uses, the one that was used last at the end.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    unused: RefCell<Vec<T>>,
    max: usize,
}

impl<T> Pool<T> {
    /// An empty pool that keeps at most `max` values.
    pub(crate) const fn new(max: usize) -> Self {
        Self { unused: RefCell::new(Vec::new()), max }
    }
}

/// Takes the value that was used last among those that fit. There are none while the thread ends.
pub(crate) fn take<T>(pool: &'static LocalKey<Pool<T>>, fits: impl FnMut(&T) -> bool) -> Option<T> {
    take_at(pool, |unused, _| unused.iter().rposition(fits))
}

/// Takes the value that was not used the longest among those that fit, if the pool is full: till then there is room for
/// another.
pub(crate) fn take_if_full<T>(pool: &'static LocalKey<Pool<T>>, fits: impl FnMut(&T) -> bool) -> Option<T> {
    take_at(pool, |unused, max| unused.iter().position(fits).filter(|_| unused.len() >= max))
}

fn take_at<T>(pool: &'static LocalKey<Pool<T>>, find: impl FnOnce(&[T], usize) -> Option<usize>) -> Option<T> {
    let taken = pool.try_with(|pool| {
        let mut unused = pool.unused.try_borrow_mut().ok()?;
        let at = find(&unused, pool.max)?;
        Some(unused.remove(at))
    });
    taken.ok().flatten()
}

/// Gives a value back; the one that was not used the longest makes room. It is dropped while the thread ends.
pub(crate) fn give<T>(pool: &'static LocalKey<Pool<T>>, value: T) {
    let _ = pool.try_with(|pool| {
        if let Ok(mut unused) = pool.unused.try_borrow_mut() {
            if unused.len() >= pool.max {
                unused.remove(0);
            }
            unused.push(value);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    thread_local! {
        static NUMBERS: Pool<u32> = const { Pool::new(3) };
    }

    #[test]
    fn the_last_that_fits_is_taken_and_the_oldest_makes_room() {
        for number in 1..=4 {
            give(&NUMBERS, number);
        }
        assert_eq!(take_if_full(&NUMBERS, |_| true), Some(2));
        assert_eq!(take_if_full(&NUMBERS, |_| true), None);
        give(&NUMBERS, 2);
        assert_eq!(take(&NUMBERS, |number| number % 2 == 0), Some(2));
        assert_eq!(take(&NUMBERS, |&number| number == 1), None);
        assert_eq!(take(&NUMBERS, |_| true), Some(4));
        std::thread::spawn(|| assert_eq!(take(&NUMBERS, |_| true), None)).join().unwrap();
    }
}
