//! CPU time.

use std::fs::{read_dir, read_to_string};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// This program's own.
pub fn own_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// That of all threads that a process has, as the scheduler counts it: in nanoseconds, while /proc/PID/stat has ticks.
pub fn time_of(pid: u32) -> Result<Duration, String> {
    let path = format!("/proc/{pid}/task");
    let complain = |error| format!("{path}: {error}");
    let threads = read_dir(&path).map_err(complain)?.collect::<Result<Vec<_>, _>>().map_err(complain)?;
    // A thread may end meanwhile.
    let times = threads.iter().filter_map(|thread| read_to_string(thread.path().join("schedstat")).ok());
    let nanoseconds = times.map(|times| times.split(' ').next().and_then(|time| time.parse::<u64>().ok()));
    let sum = nanoseconds.sum::<Option<u64>>().filter(|&sum| sum > 0);
    sum.map(Duration::from_nanos).ok_or(format!("{path}: the system does not count the time of threads"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_process_has_that_of_its_threads() {
        while own_time() < Duration::from_millis(50) {}
        assert!(time_of(std::process::id()).unwrap() >= Duration::from_millis(20));
    }

    #[test]
    fn a_process_that_is_not_there_has_none() {
        time_of(u32::MAX).unwrap_err();
    }
}
