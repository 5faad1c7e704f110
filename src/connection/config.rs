//! What an application can choose, and the limits.

#![forbid(unsafe_code)]

use super::Compress;
use crate::deflate::{MAX_WINDOW_BITS, MIN_COMPRESSION_WINDOW_BITS, Parameters};
use crate::error::Error;
use crate::handshake::{self, is_field_name};

/// What an application can choose; the default is strict, and right for most.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Subprotocols: a server answers with the first of them that the client offers, a client offers them all.
    pub subprotocols: Vec<String>,
    /// The Origins a server accepts; every request, with or without one, if there are none.
    pub origins: Vec<String>,
    /// With [`ConfigFlag::StartOpen`] and [`ConfigFlag::Deflate`]: the Sec-WebSocket-Extensions of the response, if it had
    /// one.
    pub extensions: Option<String>,
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
    /// With [`ConfigFlag::Deflate`], the shortest message that is compressed unasked, in bytes; 0 stands for 64, or 256
    /// for messages that are compressed on their own: below, the bytes that it saves are not worth the time.
    pub deflate_min_len: u32,
    /// How hard to compress: 1, the fastest, to 9, the smallest.
    pub deflate_level: u8,
    /// How far back a server's messages may refer, as a power of two: 9 to 15. That many bytes a connection keeps.
    pub server_max_window_bits: u8,
    /// The same for a client's messages.
    pub client_max_window_bits: u8,
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
    /// Messages may be compressed with permessage-deflate (RFC 7692), if the peer agrees. Do not compress secrets together
    /// with what an attacker chooses (section 8): how long the message gets tells him about both.
    Deflate = 0x10,
    /// Each message of the server is compressed on its own. It gets longer, and nothing is kept for it between messages.
    ServerNoContextTakeover = 0x20,
    /// The same for the messages of the client.
    ClientNoContextTakeover = 0x40,
    /// A server accepts frames that are not masked, a client frames that are.
    AcceptAnyMask = 0x100,
    /// Lengths need not be in their shortest form.
    AcceptLongLengths = 0x200,
    /// Text is not checked to be UTF-8, neither received nor sent.
    SkipUtf8 = 0x400,
    /// Every close code from 1000 to 4999 is accepted but 1005, 1006 and 1015, which stand for no close frame.
    AcceptAnyCloseCode = 0x800,
}

const KNOWN_FLAGS: u32 = 0xF7F;
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
            deflate_min_len: 0,
            deflate_level: 6,
            server_max_window_bits: 12,
            client_max_window_bits: 12,
        }
    }
}

impl Config {
    /// What a server answers to the value of a request's Sec-WebSocket-Extensions, if anything.
    ///
    /// # Errors
    ///
    /// [`Error::MalformedExtensions`] or [`Error::InvalidConfig`].
    pub fn answer_extensions(&self, offers: &[u8]) -> Result<Option<String>, Error> {
        self.check()?;
        let Some(wanted) = self.settings.deflate() else { return Ok(None) };
        Ok(handshake::accept_offer([offers].into_iter(), wanted)?.map(|(_, answer)| answer))
    }

    /// Checks what the types cannot say.
    pub(super) fn check(&self) -> Result<(), Error> {
        let are_tokens = self.subprotocols.iter().all(|name| is_field_name(name.as_bytes()));
        let are_known = self.settings.flags & !KNOWN_FLAGS == 0;
        let settings = &self.settings;
        let are_windows = [settings.server_max_window_bits, settings.client_max_window_bits]
            .iter()
            .all(|bits| (MIN_COMPRESSION_WINDOW_BITS..=MAX_WINDOW_BITS).contains(bits));
        let fits = settings.max_head_fields <= MAX_HEAD_FIELDS && (1..=9).contains(&settings.deflate_level);
        if are_tokens && are_known && are_windows && fits { Ok(()) } else { Err(Error::InvalidConfig) }
    }
}

impl Settings {
    /// Whether a switch is on.
    #[must_use]
    #[inline]
    pub const fn has(&self, flag: ConfigFlag) -> bool {
        self.flags & flag as u32 != 0
    }

    /// Whether a whole message of this length is to be compressed, with a context or on its own.
    pub(super) const fn compresses(&self, compress: Compress, len: usize, takeover: bool) -> bool {
        let min_len = match self.deflate_min_len {
            0 if takeover => 64,
            0 => 256,
            min_len => min_len,
        };
        match compress {
            Compress::IfShorter => len as u64 >= min_len as u64,
            Compress::Never => false,
            Compress::Always => true,
        }
    }

    /// What to agree on with the peer, if messages may be compressed.
    #[must_use]
    pub fn deflate(&self) -> Option<Parameters> {
        self.has(ConfigFlag::Deflate).then_some(Parameters {
            server_no_context_takeover: self.has(ConfigFlag::ServerNoContextTakeover),
            client_no_context_takeover: self.has(ConfigFlag::ClientNoContextTakeover),
            server_max_window_bits: self.server_max_window_bits,
            client_max_window_bits: self.client_max_window_bits,
        })
    }
}
