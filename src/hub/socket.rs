//! Writing to a socket.

#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, IoSlice};

use socket2::Socket;

/// Without a signal that would end the process if the peer is gone. Where there is no such flag, sockets have it.
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
))]
const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL;
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
)))]
const SEND_FLAGS: i32 = 0;

/// Writes from several places, and returns how much; 0 if the socket takes nothing for now.
///
/// # Errors
///
/// That the peer is gone.
pub(super) fn send(socket: &Socket, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        let sent = match parts {
            [one] => socket.send_with_flags(one, SEND_FLAGS),
            _ => socket.send_vectored_with_flags(parts, SEND_FLAGS),
        };
        match sent {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            sent => return sent,
        }
    }
}
