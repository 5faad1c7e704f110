//! CPU time.

use std::fs::read_to_string;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};

/// This program's own.
pub fn own_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// That of all threads of a process, by its line in /proc, in ticks of ten milliseconds.
pub fn time_of(pid: u32) -> Result<Duration, String> {
    let path = format!("/proc/{pid}/stat");
    let line = read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    // The name of the program, in parentheses, may have spaces in it. utime and stime are the 14th and 15th word.
    let mut words = line.rsplit(')').next().unwrap_or("").split_whitespace().skip(11);
    let mut ticks = || words.next().and_then(|word| word.parse::<u64>().ok()).ok_or(format!("{path}: {line:?}"));
    Ok(Duration::from_secs_f64((ticks()? + ticks()?) as f64 / clock_ticks_per_second() as f64))
}
