//! Where to listen, or to connect to.

#![forbid(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::error::Error;

/// How many clients may wait to be let in: as many as the system allows, which takes less for more.
pub(super) const BACKLOG: i32 = 4096;

/// Where to listen, or to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Address<'a> {
    Tcp(SocketAddr),
    Unix(&'a str),
}

impl<'a> Address<'a> {
    /// Reads `127.0.0.1:8080`, `[::1]:8080` or `unix:/run/chat.socket`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidAddress`].
    pub(super) fn parse(text: &'a str) -> Result<Self, Error> {
        match text.strip_prefix("unix:") {
            Some(path) if !path.is_empty() && !path.contains('\0') => Ok(Self::Unix(path)),
            Some(_) => Err(Error::InvalidAddress),
            None => text.parse().map(Self::Tcp).map_err(|_| Error::InvalidAddress),
        }
    }

    /// The same for the system.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidAddress`] for a path that is too long.
    pub(super) fn socket_address(self) -> Result<SockAddr, Error> {
        match self {
            Self::Tcp(address) => Ok(address.into()),
            Self::Unix(path) => SockAddr::unix(path).map_err(|_| Error::InvalidAddress),
        }
    }

    /// A socket that listens there, and does not block.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidAddress`] for a path that is too long; [`Error::ListenFailed`].
    pub(super) fn listen(self, reuse_port: bool) -> Result<OwnedFd, Error> {
        let listening = match self {
            Self::Tcp(address) => listen_tcp(address, reuse_port),
            Self::Unix(path) => listen_unix(&self.socket_address()?, Path::new(path)),
        };
        listening.map_err(|_| Error::ListenFailed)
    }
}

fn listen_tcp(address: SocketAddr, reuse_port: bool) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A port is free although connections of a server that has ended are still waiting there.
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // [::] takes IPv4 as well, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    begin(socket)
}

fn listen_unix(address: &SockAddr, path: &Path) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    match socket.bind(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_over(address, path) => {
            std::fs::remove_file(path)?;
            socket.bind(address)?;
        }
        bound => bound?,
    }
    begin(socket)
}

/// Whether the socket's file is that of a server which has ended: nobody listens there.
fn is_left_over(address: &SockAddr, path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    let is_refused = |socket: Socket| {
        socket.set_nonblocking(true)?;
        socket.connect(address)
    };
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None).and_then(is_refused);
    is_socket && probe.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn begin(socket: Socket) -> io::Result<OwnedFd> {
    socket.set_nonblocking(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_ip_or_a_path() {
        for text in ["127.0.0.1:0", "0.0.0.0:65535", "[::]:8080", "[::1]:0"] {
            assert_eq!(Address::parse(text), Ok(Address::Tcp(text.parse().unwrap())), "{text}");
        }
        assert_eq!(Address::parse("unix:/run/chat"), Ok(Address::Unix("/run/chat")));
        for text in ["", "127.0.0.1", "localhost:80", "::1:80", "127.0.0.1:65536", "unix:", "unix:a\0b", "ws://a:80"] {
            assert_eq!(Address::parse(text), Err(Error::InvalidAddress), "{text}");
        }
        let long = "x".repeat(200);
        assert_eq!(Address::Unix(&long).listen(false).map(drop), Err(Error::InvalidAddress), "no socket can have it");
    }
}
