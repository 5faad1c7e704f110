//! Where the system has no timer that is a descriptor.

#![forbid(unsafe_code)]

use std::io;

use mio::{Registry, Token};

/// There is none.
#[derive(Debug)]
pub(super) enum Alarm {}

impl Alarm {
    pub(super) fn new(_: &Registry, _: Token) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn set(&mut self, _: Option<u64>) {}

    pub(super) fn set_ms(&mut self, _: u64) {}
}
