//! Connections that the hub makes: as a client, without waiting for anybody.

#![forbid(unsafe_code)]

use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Interest, Token};
use socket2::{Domain, SockAddr, Socket, Type};

use super::Hub;
use super::address::Address;
use super::dial::Dial;
use super::resolver::Found;
use super::slots::{Flags, NO_LISTENER, Slot};
use super::url::Url;
use crate::connection::{Config, Connection, NEVER, Role};
use crate::error::Error;
use crate::handshake::check_destination;
use crate::memory::{Boxed, copied_text};

impl Hub {
    /// Makes a client's connection to `ws://host:port/path` or `wss://...`, and returns its id at once. Its opening handshake's end is an
    /// event: [`crate::connection::EventKind::Open`], `Error` if the server refuses, `Gone` if nobody could be reached. A name
    /// is looked up by threads of the hub's. With `address`, as [`Hub::listen`] has them, that is connected to, and the URL
    /// says only what is asked for there.
    ///
    /// Until the next poll fields can be added to the request by [`Hub::connection`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUrl`], [`Error::InvalidHost`], [`Error::InvalidTarget`], [`Error::InvalidAddress`];
    /// that the config is wrong; [`Error::HubStopped`]; [`Error::HubForked`], [`Error::HubOfOtherThread`];
    /// [`Error::OutOfMemory`].
    pub fn connect(&mut self, url: &str, address: Option<&str>, config: &Config) -> Result<u64, Error> {
        self.owner.check()?;
        if self.stopping.is_some() {
            return Err(Error::HubStopped);
        }
        let url = Url::parse(url)?;
        let target = target_of(url.target)?;
        check_destination(url.host.as_bytes(), target.as_bytes())?;
        if url.is_secure {
            // That it can be done shows now.
            self.trust.begin(url.name)?;
        }
        let addresses = match address {
            Some(address) => vec_of_one(Address::parse(address)?.socket_address()?)?,
            None => match url.name.parse() {
                Ok(ip) => vec_of_one(std::net::SocketAddr::new(ip, url.port).into())?,
                Err(_) => Vec::new(),
            },
        };
        let name = if addresses.is_empty() { Some(copied_text(url.name)?) } else { None };
        let dial = Dial {
            host: copied_text(url.host)?,
            target,
            secure: if url.is_secure { Some(copied_text(url.name)?) } else { None },
            is_asked: false,
            addresses,
            until: None,
            failure: Error::ResolveFailed,
        };
        let dial = Boxed::new(dial)?;
        let connection = Connection::new(Role::Client, config)?;
        let index = self.insert(connection, None, NO_LISTENER)?;
        if let Err(error) = self.begin_to_dial(index, dial) {
            self.slots.remove(index);
            return Err(error);
        }
        let id = self.slots.id(index);
        match name {
            Some(name) => {
                if let Err(error) = self.resolver.begin(id, name, url.port, &self.waker) {
                    self.slots.remove(index);
                    return Err(error);
                }
            }
            None => self.try_next(index),
        }
        self.touch(index);
        Ok(id)
    }

    fn begin_to_dial(&mut self, index: u32, dial: Boxed<Dial>) -> Result<(), Error> {
        let slot = self.slots.get_mut(index).ok_or(Error::OutOfMemory)?;
        slot.rare()?.dial = Some(dial);
        slot.flags.set(Flags::REPORTED.or(Flags::DIALING));
        Ok(())
    }

    /// Takes what threads have found of names.
    pub(super) fn take_found(&mut self) {
        while let Some(Found { id, addresses }) = self.resolver.next_found(&self.waker) {
            let Some(index) = self.slots.find(id) else { continue };
            let Some(dial) = self.slots.get_mut(index).and_then(Slot::dial) else { continue };
            if dial.addresses.try_reserve_exact(addresses.len()).is_ok() {
                dial.addresses.extend(addresses.into_iter().rev().map(SockAddr::from));
            }
            self.try_next(index);
        }
    }

    /// Begins to connect to the next address there is.
    fn try_next(&mut self, index: u32) {
        let Self { poll, slots, .. } = self;
        let Some(slot) = slots.get_mut(index) else { return };
        let Some(dial) = slot.rare.as_mut().and_then(|rare| rare.dial.as_mut()) else { return };
        slot.socket = None;
        while let Some(address) = dial.addresses.pop() {
            let both = Interest::READABLE | Interest::WRITABLE;
            let begun = begin(&address).and_then(|socket| {
                poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), Token(index as usize), both)?;
                Ok(socket)
            });
            match begun {
                Ok(socket) => {
                    slot.socket = Some(socket);
                    slot.flags.set(Flags::BLOCKED);
                    dial.until = None;
                    return self.touch(index);
                }
                Err(error) => dial.failure = failure(&error),
            }
        }
        let failure = dial.failure;
        self.give_up(index, failure);
    }

    /// The system says that something has become of an attempt to connect.
    pub(super) fn note_dialed(&mut self, index: u32) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Slot { socket: Some(socket), rare: Some(rare), .. } = slot else { return };
        let Some(dial) = &mut rare.dial else { return };
        let outcome = match socket.take_error() {
            Ok(None) => socket.peer_addr().map(|_| ()),
            Ok(Some(error)) | Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => {
                let name = rare.dial.take().and_then(|dial| dial.into_inner().secure);
                if let Some(name) = name {
                    match self.trust.begin(&name).and_then(Boxed::new) {
                        Ok(tls) => slot.tls = Some(tls),
                        Err(error) => return self.give_up(index, error),
                    }
                }
                slot.flags.clear(Flags::DIALING.or(Flags::BLOCKED));
                slot.flags.set(Flags::READABLE);
                self.end_turn(index);
            }
            Err(error) if error.kind() == ErrorKind::NotConnected => {}
            Err(error) => {
                dial.failure = failure(&error);
                self.try_next(index);
            }
        }
    }

    /// Ends a turn of a connection that is not there yet: puts the request where it waits, and looks at the time.
    pub(super) fn end_dial_turn(&mut self, index: u32) {
        let now_ms = self.now_ms;
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Slot { connection: Some(connection), rare: Some(rare), .. } = slot else { return };
        let Some(dial) = &mut rare.dial else { return };
        if !dial.is_asked {
            dial.is_asked = true;
            match connection.request(dial.host.as_bytes(), dial.target.as_bytes()) {
                // By the application, in words of its own.
                Ok(_) | Err(Error::RequestedBefore) => {}
                Err(error) => connection.give_up(error),
            }
        }
        let wait_ms = connection.output(0, now_ms).map_or(0, |output| output.wait_ms);
        if wait_ms == 0 {
            return self.end(index);
        }
        // Each address gets its part of the time, so that one at which nobody answers does not take all of it.
        let parts = u64::try_from(dial.addresses.len()).unwrap_or(u64::MAX).saturating_add(1);
        let until =
            *dial.until.get_or_insert(now_ms.saturating_add(u64::from(wait_ms).checked_div(parts).unwrap_or_default()));
        if slot.socket.is_some() && until <= now_ms && parts > 1 {
            dial.failure = Error::ConnectFailed;
            return self.try_next(index);
        }
        if wait_ms != NEVER {
            self.wheel.set(&mut self.slots, index, until.min(now_ms.saturating_add(wait_ms.into())));
        }
    }
}

/// Begins to connect a socket.
fn begin(address: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(address.domain(), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if address.domain() != Domain::UNIX {
        // As for clients that are let in.
        let _ = socket.set_tcp_nodelay(true);
    }
    match socket.connect(address) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(socket),
        connected => connected.map(|()| socket),
    }
}

fn failure(error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::NotFound => Error::ConnectRefused,
        _ => Error::ConnectFailed,
    }
}

/// Path and query as a request has them.
fn target_of(path: &str) -> Result<Box<str>, Error> {
    if path.starts_with('/') {
        return copied_text(path);
    }
    let mut target = String::new();
    target.try_reserve_exact(path.len().saturating_add(1)).map_err(|_| Error::OutOfMemory)?;
    target.push('/');
    target.push_str(path);
    Ok(target.into_boxed_str())
}

fn vec_of_one(address: SockAddr) -> Result<Vec<SockAddr>, Error> {
    let mut one = Vec::new();
    one.try_reserve_exact(1).map_err(|_| Error::OutOfMemory)?;
    one.push(address);
    Ok(one)
}
