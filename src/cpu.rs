//! What this CPU can do, asked once.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

/// Which instructions may be used. Each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// What every CPU of the target has: SSE2 on x86-64, NEON on `AArch64`.
    Baseline = 1,
    /// AVX2, on x86-64.
    Avx2 = 2,
    /// AVX-512 F and BW, on x86-64.
    Avx512 = 3,
}

impl Level {
    const ALL: [Self; 3] = [Self::Baseline, Self::Avx2, Self::Avx512];
}

/// The number of a level; [`UNKNOWN`] until somebody asks.
static LEVEL: AtomicU8 = AtomicU8::new(UNKNOWN);

const UNKNOWN: u8 = 0;

/// The highest level that may be used.
#[must_use]
#[inline]
pub fn level() -> Level {
    // Relaxed: nothing else is published with it, and two threads that ask the CPU at once get the same answer.
    match LEVEL.load(Ordering::Relaxed) {
        UNKNOWN => lower_to(Level::Avx512),
        number if number == Level::Avx512 as u8 => Level::Avx512,
        number if number == Level::Avx2 as u8 => Level::Avx2,
        _ => Level::Baseline,
    }
}

/// For tests: makes `highest` the highest level that may be used in this process, or the CPU's own if that is lower.
/// Returns which it is.
///
/// Results are the same at every level, so other threads may be at work meanwhile.
#[cold]
pub fn lower_to(highest: Level) -> Level {
    let level = highest.min(of_this_cpu());
    LEVEL.store(level as u8, Ordering::Relaxed);
    level
}

/// For tests: calls `test` at each level that this CPU has, the lowest first. Other threads that want the same wait.
pub fn at_each_level(mut test: impl FnMut(Level)) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    // Poisoned by a test that failed, which leaves nothing half done.
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for level in Level::ALL {
        if lower_to(level) == level {
            test(level);
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn of_this_cpu() -> Level {
    if !is_x86_feature_detected!("avx2") {
        Level::Baseline
    } else if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
        Level::Avx512
    } else {
        Level::Avx2
    }
}

#[cfg(not(target_arch = "x86_64"))]
const fn of_this_cpu() -> Level {
    Level::Baseline
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_is_used_in_turn_and_the_last_is_the_cpus_own() {
        let mut levels = Vec::new();
        at_each_level(|at| {
            assert_eq!(level(), at);
            levels.push(at);
        });
        assert_eq!(levels.first(), Some(&Level::Baseline));
        assert!(levels.is_sorted());
        assert_eq!(levels.last(), Some(&of_this_cpu()));
    }
}
