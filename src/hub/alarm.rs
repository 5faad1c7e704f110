//! A timer that makes the hub's descriptor readable when the hub has something to do, for whoever waits for it in a loop of
//! his own.

#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// The timer.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: OwnedFd,
    /// Whether it rings at once.
    is_ringing: bool,
}

impl Alarm {
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { timer, is_ringing: false })
    }

    /// Rings in so many milliseconds, or not.
    pub(super) fn set(&mut self, in_ms: Option<u64>) {
        self.is_ringing = false;
        match in_ms {
            Some(ms) => self.set_ms(ms),
            None => self.set_time(Timespec { tv_sec: 0, tv_nsec: 0 }),
        }
    }

    /// Rings in so many milliseconds; if it rings already, it goes on.
    pub(super) fn set_ms(&mut self, ms: u64) {
        if self.is_ringing {
            return;
        }
        self.is_ringing = ms == 0;
        let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
        let nanoseconds = i64::try_from(ms % 1000).unwrap_or_default().saturating_mul(1_000_000);
        // All zeroes would stop it.
        self.set_time(Timespec { tv_sec: seconds, tv_nsec: nanoseconds.max(1) });
    }

    fn set_time(&self, it_value: Timespec) {
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        // It is a timer, and the time is one: nothing can be wrong.
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value });
    }
}
