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

/// Takes the value that was not used the longest, if the pool is full: till then there is room for another.
pub(crate) fn take_oldest_if_full<T>(pool: &'static LocalKey<Pool<T>>) -> Option<T> {
    take_at(pool, |unused, max| (unused.len() >= max).then_some(0))
}

fn take_at<T>(pool: &'static LocalKey<Pool<T>>, find: impl FnOnce(&[T], usize) -> Option<usize>) -> Option<T> {
    let taken = pool.try_with(|pool| {
        let mut unused = pool.unused.try_borrow_mut().ok()?;
        let at = find(&unused, pool.max)?;
        Some(unused.remove(at))
    });
    taken.ok().flatten()
}

/// Gives a value back; the one that was not used the longest makes room. It is dropped while the thread ends, or if there
/// is no memory for its place.
pub(crate) fn give<T>(pool: &'static LocalKey<Pool<T>>, value: T) {
    let dropped = pool.try_with(|pool| {
        let mut unused = pool.unused.try_borrow_mut().ok()?;
        let oldest = if unused.len() >= pool.max { Some(unused.remove(0)) } else { None };
        if unused.try_reserve(1).is_ok() {
            unused.push(value);
        }
        oldest
    });
    drop(dropped);
}

/// Drops all values that nobody uses.
pub(crate) fn clear<T>(pool: &'static LocalKey<Pool<T>>) {
    let dropped =
        pool.try_with(|pool| pool.unused.try_borrow_mut().ok().map(|mut unused| std::mem::take(&mut *unused)));
    drop(dropped);
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
        assert_eq!(take_oldest_if_full(&NUMBERS), Some(2));
        assert_eq!(take_oldest_if_full(&NUMBERS), None);
        give(&NUMBERS, 2);
        assert_eq!(take(&NUMBERS, |number| number % 2 == 0), Some(2));
        assert_eq!(take(&NUMBERS, |&number| number == 1), None);
        assert_eq!(take(&NUMBERS, |_| true), Some(4));
        std::thread::spawn(|| assert_eq!(take(&NUMBERS, |_| true), None)).join().unwrap();
        clear(&NUMBERS);
        assert_eq!(take(&NUMBERS, |_| true), None);
    }
}
