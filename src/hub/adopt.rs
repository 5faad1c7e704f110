//! Sockets that somebody else has opened.

#![forbid(unsafe_code)]

use std::io::{self, ErrorKind};
use std::os::fd::{BorrowedFd, OwnedFd};

use socket2::{Socket, Type};

use super::Hub;
use super::Listening;
use super::address::BACKLOG;
use super::slots::{Flags, NO_LISTENER};
use crate::connection::{Config, Connection, Role};
use crate::error::Error;

/// What an adopted socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopted {
    /// One that listens, at this port; 0 for a Unix socket.
    Listener(u16),
    /// One that is connected: the id of its connection.
    Connection(u64),
}

impl Hub {
    /// Serves a socket that somebody else has opened: one that listens, as a service manager passes it on, or one that is
    /// connected. The hub makes a descriptor of its own for it. A client whose config does not say that it is open already is to
    /// send its request, by [`Hub::connection`].
    ///
    /// # Errors
    ///
    /// [`Error::AdoptFailed`] if it is no socket of a stream, or one that listens is to be a client's; that the config is wrong;
    /// [`Error::HubStopped`]; [`Error::HubForked`], [`Error::HubOfOtherThread`]; [`Error::OutOfMemory`].
    pub fn adopt(
        &mut self,
        fd: BorrowedFd<'_>,
        role: Role,
        listening: Listening,
        config: Config,
    ) -> Result<Adopted, Error> {
        self.owner.check()?;
        self.check_listening(&config)?;
        let socket = fd.try_clone_to_owned().and_then(stream).map_err(|_| Error::AdoptFailed)?;
        match socket.peer_addr() {
            Ok(_) => self.adopt_connected(socket, role, &config).map(Adopted::Connection),
            // It makes no difference to one that listens already.
            Err(error) if error.kind() == ErrorKind::NotConnected && role == Role::Server => {
                let opened = socket.listen(BACKLOG).and_then(|()| self.open(socket.into(), listening, config));
                opened.map(Adopted::Listener).map_err(|_| Error::AdoptFailed)
            }
            Err(_) => Err(Error::AdoptFailed),
        }
    }

    fn adopt_connected(&mut self, socket: Socket, role: Role, config: &Config) -> Result<u64, Error> {
        let index = self.insert(Connection::new(role, config)?, Some(socket), NO_LISTENER)?;
        if let Some(slot) = self.slots.get_mut(index) {
            slot.flags.set(Flags::REPORTED);
        }
        self.touch(index);
        self.queue(index);
        Ok(self.slots.id(index))
    }
}

/// A socket of a stream, which does not block from now on.
fn stream(fd: OwnedFd) -> io::Result<Socket> {
    let socket = Socket::from(fd);
    if socket.r#type()? != Type::STREAM {
        return Err(ErrorKind::InvalidInput.into());
    }
    socket.set_nonblocking(true)?;
    // A Unix socket has no such thing.
    let _ = socket.set_tcp_nodelay(true);
    Ok(socket)
}
