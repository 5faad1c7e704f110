//! What an application can choose, and the limits.

#![forbid(unsafe_code)]

use crate::error::Error;
use crate::handshake::is_field_name;

/// What an application can choose; the default is strict, and right for most.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Subprotocols: a server answers with the first of them that the client offers, a client offers them all.
    pub subprotocols: Vec<String>,
    /// The Origins a server accepts; every request, with or without one, if there are none.
    pub origins: Vec<String>,
    /// Numbers and switches, which an open connection keeps.
    pub settings: Settings,
}

/// The part of a [`Config`] that an open connection keeps.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The longest message, in bytes.
    pub max_message_len: u64,
    /// The longest frame of a message, in bytes of payload.
    pub max_frame_len: u64,
    /// How many bytes of output may wait, headers included; 0 stands for twice `max_message_len`, so that the answer to the
    /// longest message always finds room.
    pub max_output_len: u64,
    /// The most frames of one message.
    pub max_fragments: u32,
    /// The longest head of a request or response, in bytes.
    pub max_head_len: u32,
    /// The most fields of a head; itself at most 1000.
    pub max_head_fields: u32,
    /// How long the opening handshake may take, in milliseconds.
    pub handshake_timeout_ms: u32,
    /// How long the peer may take to answer a close frame, in milliseconds.
    pub close_timeout_ms: u32,
    /// After how long a silence a ping is sent, and after how long without any answer the peer is given up, in
    /// milliseconds.
    pub ping_interval_ms: u32,
    /// [`ConfigFlag`].
    pub flags: u32,
}

/// Bits of a config's flags. Each of the last four lets a peer break one rule.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigFlag {
    /// A server that accepts or refuses each request itself: a request becomes a REQUEST event, which waits for
    /// wsframe_connection_accept() or wsframe_connection_refuse(), and plain HTTP an HTTP event, which waits for
    /// wsframe_connection_refuse(). Without it the library answers.
    Ask = 0x01,
    /// Messages are delivered in pieces as they arrive, text cut between characters, instead of whole.
    Pieces = 0x02,
    /// Pings are not answered by the library.
    ManualPong = 0x04,
    /// The connection starts open: somebody else has done the opening handshake.
    StartOpen = 0x08,
    /// A server accepts frames that are not masked, a client frames that are.
    AcceptAnyMask = 0x100,
    /// Lengths need not be in their shortest form.
    AcceptLongLengths = 0x200,
    /// Text is not checked to be UTF-8, neither received nor sent.
    SkipUtf8 = 0x400,
    /// Every close code from 1000 to 4999 is accepted but 1005, 1006 and 1015, which stand for no close frame.
    AcceptAnyCloseCode = 0x800,
}

const KNOWN_FLAGS: u32 = 0xF0F;
/// A head is read with a table of as many places as it may have fields.
const MAX_HEAD_FIELDS: u32 = 1000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_message_len: 16 << 20,
            max_frame_len: 16 << 20,
            max_output_len: 0,
            max_fragments: 65_536,
            max_head_len: 16 << 10,
            max_head_fields: 100,
            handshake_timeout_ms: 10_000,
            close_timeout_ms: 5_000,
            ping_interval_ms: 30_000,
            flags: 0,
        }
    }
}

impl Config {
    /// Checks what the types cannot say.
    pub(super) fn check(&self) -> Result<(), Error> {
        let are_tokens = self.subprotocols.iter().all(|name| is_field_name(name.as_bytes()));
        let are_known = self.settings.flags & !KNOWN_FLAGS == 0;
        let fits = self.settings.max_head_fields <= MAX_HEAD_FIELDS;
        if are_tokens && are_known && fits { Ok(()) } else { Err(Error::InvalidConfig) }
    }
}

impl Settings {
    /// Whether a switch is on.
    #[must_use]
    #[inline]
    pub const fn has(&self, flag: ConfigFlag) -> bool {
        self.flags & flag as u32 != 0
    }
}
