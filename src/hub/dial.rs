//! A client's connection that is on its way.

#![forbid(unsafe_code)]

use socket2::SockAddr;

use crate::error::Error;

/// What is needed until TCP is there.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) host: Box<str>,
    pub(super) target: Box<str>,
    /// Whose certificate the server is to show, if it is to show any.
    pub(super) secure: Option<Box<str>>,
    /// Whether the request is in the output.
    pub(super) is_asked: bool,
    /// The addresses that are still to be tried, the next one last.
    pub(super) addresses: Vec<SockAddr>,
    /// Until when the one has time that is being tried.
    pub(super) until: Option<u64>,
    /// What became of the last.
    pub(super) failure: Error,
}
