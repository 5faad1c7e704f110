//! Letting clients in: as many as there is a place for.

#![forbid(unsafe_code)]

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use mio::net::{TcpListener, UnixListener};
use mio::unix::SourceFd;
use mio::{Interest, Token};
use socket2::{Domain, SockRef, Socket};

use super::address::Address;
use super::slots::{self, Flags, NO_LISTENER};
use super::tls::Identity;
use super::{Hub, LISTENERS, MAX_LISTENERS};
use crate::connection::{Config, Connection, Role};
use crate::error::Error;
use crate::memory::Boxed;

/// How many clients one poll lets in by one listener, so that those who are inside have their turn.
const ACCEPTED: usize = 64;
/// For how long nobody is let in when the system does not let it, unless somebody leaves.
const REST_MS: u64 = 1000;

/// How a hub listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// Other sockets may listen at the same port, in other processes, too: each gets a part of the clients (SO_REUSEPORT).
    pub reuse_port: bool,
    /// Clients come by a proxy, which says in front of their bytes where they are (PROXY protocol, version 1 or 2). Who comes
    /// without is turned away: anybody could say so.
    pub is_proxied: bool,
    /// Who has too much waiting to take what is published is ended, instead of not getting it.
    pub drops_slow: bool,
}

/// A socket that listens.
#[derive(Debug)]
pub(super) struct Listener {
    door: Door,
    /// 0 for a Unix socket.
    port: u16,
    pub(super) listening: Listening,
    /// If it speaks TLS.
    identity: Option<Identity>,
    /// What is chosen for its connections.
    pub(super) config: Config,
    /// Whether somebody may be waiting.
    pub(super) is_ready: bool,
    /// When to try again, if the system had no place.
    pub(super) rests_until: Option<u64>,
}

#[derive(Debug)]
enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Door {
    /// The next client, and where it is.
    fn accept(&self) -> io::Result<(Socket, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (socket, address) = listener.accept()?;
                let socket = Socket::from(OwnedFd::from(socket));
                // What is written is what there is to say: waiting for more would only be a delay.
                let _ = socket.set_tcp_nodelay(true);
                Ok((socket, Some(address.ip())))
            }
            Self::Unix(listener) => Ok((Socket::from(OwnedFd::from(listener.accept()?.0)), None)),
        }
    }

    fn fd(&self) -> i32 {
        match self {
            Self::Tcp(listener) => listener.as_raw_fd(),
            Self::Unix(listener) => listener.as_raw_fd(),
        }
    }
}

impl Hub {
    /// Listens at an address: `127.0.0.1:8080`, `[::]:8080`, which takes IPv4 as well, or `unix:/run/chat.socket`. Port 0
    /// lets the system choose. Returns the port, 0 for a Unix socket. All connections that come by it have this config.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidAddress`]; that the config is wrong; [`Error::HubStopped`]; [`Error::ListenFailed`];
    /// [`Error::OutOfMemory`].
    pub fn listen(&mut self, address: &str, listening: Listening, config: Config) -> Result<u16, Error> {
        self.owner.check()?;
        let address = Address::parse(address)?;
        self.check_listening(&config)?;
        self.open(address.listen(listening.reuse_port)?, listening, config).map_err(|_| Error::ListenFailed)
    }

    /// Whether there can be another listener with this config, of which what is wrong shows now, and not with the first client.
    pub(super) fn check_listening(&self, config: &Config) -> Result<(), Error> {
        drop(Connection::new(Role::Server, config)?);
        match self.stopping {
            Some(_) => Err(Error::HubStopped),
            None if self.listeners.len() >= MAX_LISTENERS => Err(Error::OutOfMemory),
            None => Ok(()),
        }
    }

    /// Lets clients in by a socket that listens. Returns its port, 0 if it is a Unix socket.
    pub(super) fn open(&mut self, fd: OwnedFd, listening: Listening, config: Config) -> io::Result<u16> {
        let address = SockRef::from(&fd).local_addr()?;
        let door = match address.domain() {
            Domain::UNIX => Door::Unix(UnixListener::from(fd)),
            _ => Door::Tcp(TcpListener::from(fd)),
        };
        let token = Token(LISTENERS.saturating_add(self.listeners.len()));
        self.listeners.try_reserve(1).map_err(|_| ErrorKind::OutOfMemory)?;
        self.poll.registry().register(&mut SourceFd(&door.fd()), token, Interest::READABLE)?;
        let port = address.as_socket().map_or(0, |address| address.port());
        self.listeners.push(Listener {
            door,
            port,
            listening,
            identity: None,
            config,
            is_ready: true,
            rests_until: None,
        });
        Ok(port)
    }

    /// From now on TLS is spoken by those who listen at a port, with these certificates, the server's own first, and its
    /// private key, in PEM. A second call changes them for clients that are let in from now on.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidCertificate`], [`Error::NoListener`], [`Error::NoTls`]; [`Error::HubForked`],
    /// [`Error::HubOfOtherThread`].
    pub fn set_certificate(&mut self, port: u16, chain: &[u8], key: &[u8]) -> Result<(), Error> {
        self.owner.check()?;
        let identity = Identity::read(chain, key)?;
        let mut found = Err(Error::NoListener);
        for listener in self.listeners.iter_mut().filter(|listener| listener.port == port && port != 0) {
            listener.identity = Some(identity.clone());
            found = Ok(());
        }
        found
    }

    /// Trusts these certificates, in PEM, to say who a server is, beside those that the system trusts.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidCertificate`], [`Error::NoTls`]; [`Error::HubForked`], [`Error::HubOfOtherThread`].
    pub fn trust(&mut self, certificates: &[u8]) -> Result<(), Error> {
        self.owner.check()?;
        self.trust.add(certificates)
    }

    /// Listens no more.
    pub(super) fn close_listeners(&mut self) {
        for listener in self.listeners.drain(..) {
            // One that was adopted may be open elsewhere.
            let _ = self.poll.registry().deregister(&mut SourceFd(&listener.door.fd()));
        }
    }

    /// When somebody is to be let in who waits already: `Some(0)` for at once.
    pub(super) fn next_accept_ms(&self) -> Option<u64> {
        let is_full = self.slots.len() >= self.limits.max_connections;
        let waiting = self.listeners.iter().filter(|listener| listener.is_ready && !is_full);
        waiting.map(|listener| listener.rests_until.unwrap_or_default()).min()
    }

    /// Somebody has left, and there is a place.
    pub(super) fn end_rests(&mut self) {
        for listener in &mut self.listeners {
            listener.rests_until = None;
        }
    }

    /// Lets in those who wait.
    pub(super) fn accept_waiting(&mut self) {
        for number in 0..self.listeners.len() {
            self.accept_at(number);
        }
    }

    fn accept_at(&mut self, number: usize) {
        for _ in 0..ACCEPTED {
            let is_full = self.slots.len() >= self.limits.max_connections;
            let Some(listener) = self.listeners.get_mut(number) else { return };
            let rests = listener.rests_until.is_some_and(|until| self.now_ms < until);
            if !listener.is_ready || rests || is_full {
                return;
            }
            listener.rests_until = None;
            match listener.door.accept() {
                Ok((socket, address)) => {
                    if self.let_in(socket, address, number).is_err() {
                        self.stats.refused = self.stats.refused.saturating_add(1);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => listener.is_ready = false,
                // The client has gone meanwhile, or a signal came: the next one.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                // There is no descriptor or memory left, or somebody has shut the socket down.
                Err(_) => {
                    listener.rests_until = Some(self.now_ms.saturating_add(REST_MS));
                    self.stats.accept_pauses = self.stats.accept_pauses.saturating_add(1);
                }
            }
        }
    }

    fn let_in(&mut self, socket: Socket, address: Option<IpAddr>, number: usize) -> Result<(), Error> {
        let listener = self.listeners.get(number).ok_or(Error::HubStopped)?;
        let listening = listener.listening;
        let connection = Connection::new(Role::Server, &listener.config)?;
        let tls = listener.identity.as_ref().map(Identity::begin).transpose()?;
        let tls = tls.map(Boxed::new).transpose()?;
        let index = self.insert(connection, Some(socket), u16::try_from(number).unwrap_or(NO_LISTENER))?;
        if let Some(slot) = self.slots.get_mut(index) {
            slot.tls = tls;
        }
        if listening.is_proxied {
            if let Some(slot) = self.slots.get_mut(index) {
                slot.flags.set(Flags::PROXIED);
            }
        } else if let Some(address) = address
            && !self.hosts.admit(index, address, self.limits.max_per_address)
        {
            self.end(index);
            return Err(Error::TooManyOfAddress);
        }
        self.stats.accepted = self.stats.accepted.saturating_add(1);
        self.end_turn(index);
        Ok(())
    }

    /// Gives a connection a slot, and waits for what comes on its socket if it has one already.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`], also if the system has none.
    pub(super) fn insert(
        &mut self,
        connection: Connection,
        socket: Option<Socket>,
        listener: u16,
    ) -> Result<u32, Error> {
        if self.slots.is_full() {
            self.make_room()?;
        }
        let fd = socket.as_ref().map(AsRawFd::as_raw_fd);
        let index = self.slots.insert(connection, socket, listener).ok_or(Error::OutOfMemory)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        if let Some(fd) = fd
            && self.poll.registry().register(&mut SourceFd(&fd), Token(index as usize), both).is_err()
        {
            self.slots.remove(index);
            return Err(Error::OutOfMemory);
        }
        if let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.socket.is_some()) {
            // Something comes soon, often it is there already.
            slot.flags.set(Flags::READABLE);
        }
        Ok(index)
    }

    /// Makes room for more slots wherever a slot can wait for something, and then the slots: without the room there is none.
    fn make_room(&mut self) -> Result<(), Error> {
        let len = self.slots.capacity().saturating_add(slots::CHUNK);
        self.ready.try_reserve(len.saturating_sub(self.ready.len())).map_err(|_| Error::OutOfMemory)?;
        self.touched.try_reserve(len.saturating_sub(self.touched.len())).map_err(|_| Error::OutOfMemory)?;
        self.slots.grow()
    }
}
