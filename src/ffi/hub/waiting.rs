//! Hub: what else a program waits for.

use std::panic::AssertUnwindSafe;

use libc::{c_int, ptrdiff_t};

use super::super::boundary::returned;
use super::super::handles::{on_hub, waker_of, wsframe_hub};
use crate::error::Error;
use crate::guard::guarded;
use crate::hub::Hub;

/// Sets a timer of the application's: when in_ms milliseconds are over wsframe_hub_poll() has a WSFRAME_EVENT_TIMER with this
/// number, which may be any, once. If there is a timer with the number already it is moved; WSFRAME_NEVER stops it.
///
/// Returns 0.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL; WSFRAME_ERROR_STATE as wsframe_hub_connection(); WSFRAME_ERROR_MEMORY.
///
/// # Safety
///
/// hub is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_timer(hub: *mut wsframe_hub, number: u64, in_ms: u32) -> ptrdiff_t {
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, |hub| hub.timer(number, in_ms).map(|()| 0)) })
}

/// Watches a descriptor of the application's in the same loop: a pipe, or the socket of a database. While what flags say can be
/// done with it, WSFRAME_WATCH_READ, _WRITE or both, each wsframe_hub_poll() has a WSFRAME_EVENT_READY for it; also when it has
/// ended or is broken. A second call changes what it is watched for. With 0 it is watched no longer, which is to be said before
/// it is closed.
///
/// Returns 0.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL, fd is less than 0 or flags has an unknown bit; WSFRAME_ERROR_IO if the system
/// cannot wait for it, as for a file, of which errno says why; WSFRAME_ERROR_STATE as wsframe_hub_connection();
/// WSFRAME_ERROR_MEMORY.
///
/// # Safety
///
/// hub is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_watch(hub: *mut wsframe_hub, fd: c_int, flags: u32) -> ptrdiff_t {
    let call = |hub: &mut Hub| {
        if fd < 0 {
            return Err(Error::NoDescriptor);
        }
        let flags = u8::try_from(flags).map_err(|_| Error::UnknownBits)?;
        hub.watch(fd, flags).map(|()| 0)
    };
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, call) })
}

/// Returns a descriptor that can be read from when wsframe_hub_poll() with timeout_ms 0 has something to do, what was sent and
/// what is due included: for a program that has a loop already. Wait for it there, and then poll. Do not read from it or close
/// it; it lives as long as the hub. A poll takes a little longer from the first call of this function on.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL; WSFRAME_ERROR_IO if the system has no descriptor for it, or no timer that is one:
/// it has to be Linux; WSFRAME_ERROR_STATE as wsframe_hub_subscribe().
///
/// # Safety
///
/// hub is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_fd(hub: *mut wsframe_hub) -> ptrdiff_t {
    // SAFETY: the caller guarantees a live handle.
    returned(unsafe { on_hub(hub, |hub| usize::try_from(hub.fd()?).map_err(|_| Error::HubFailed)) })
}

/// Makes wsframe_hub_poll() return that is waiting, or else the next one. This function may be called from any thread, at any time
/// while the hub lives: it is how other threads say that they have left something to be sent.
///
/// Returns 0.
///
/// Errors: WSFRAME_ERROR_ARGUMENT if hub is NULL; WSFRAME_ERROR_STATE after a fork; WSFRAME_ERROR_IO if the system refuses.
///
/// # Safety
///
/// hub is a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsframe_hub_wake(hub: *const wsframe_hub) -> ptrdiff_t {
    // SAFETY: the caller guarantees a live handle.
    let call = || unsafe { waker_of(hub) }?.wake().map(|()| 0);
    returned(guarded(AssertUnwindSafe(call)))
}
