//! Where TLS was not built in: nobody can begin with it.

#![forbid(unsafe_code)]

use std::io::{self, IoSlice};

use socket2::Socket;

use crate::error::Error;

/// What there is no value of.
#[derive(Clone, Debug)]
enum Never {}

#[derive(Clone, Debug)]
pub(super) struct Identity {
    never: Never,
}

impl Identity {
    pub(super) fn read(_chain: &[u8], _key: &[u8]) -> Result<Self, Error> {
        Err(Error::NoTls)
    }

    pub(super) fn begin(&self) -> Result<Tls, Error> {
        match self.never {}
    }
}

#[derive(Debug, Default)]
pub(super) struct Trust;

impl Trust {
    pub(super) fn add(&mut self, _pem: &[u8]) -> Result<(), Error> {
        Err(Error::NoTls)
    }

    pub(super) fn begin(&mut self, _name: &str) -> Result<Tls, Error> {
        Err(Error::NoTls)
    }
}

#[derive(Debug)]
pub(super) struct Tls {
    pub(super) failure: Option<Error>,
    never: Never,
}

impl Tls {
    pub(super) fn read(&mut self, _socket: &Socket, _room: &mut [u8]) -> io::Result<usize> {
        match self.never {}
    }

    pub(super) fn write(&mut self, _parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.never {}
    }

    pub(super) fn flush(&mut self, _socket: &Socket) -> io::Result<bool> {
        match self.never {}
    }

    pub(super) fn is_flushed(&self) -> bool {
        match self.never {}
    }

    pub(super) fn close(&mut self, _socket: &Socket) {
        match self.never {}
    }
}
