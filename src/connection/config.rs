//! What an application can choose, and the limits.

#![forbid(unsafe_code)]

use std::cell::RefCell;

use super::{Compress, Role};
use crate::deflate::{MAX_WINDOW_BITS, MIN_COMPRESSION_WINDOW_BITS, Parameters};
use crate::error::Error;
use crate::handshake::{self, is_field_name};
use crate::shared::Shared;

thread_local! {
    /// Those of the thread's connection that was made last: most have the same.
    static LAST: RefCell<Option<Shared<Settings>>> = const { RefCell::new(None) };
}

/// What an application can choose; the default is strict, and right for most. What each field means says
/// [`crate::ffi::wsframe_config`], which has the same.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Subprotocols that a server prefers, or a client offers.
    pub subprotocols: Vec<String>,
    /// The Origins a server accepts; every request, with or without one, if there are none.
    pub origins: Vec<String>,
    /// With [`ConfigFlag::StartOpen`]: the Sec-WebSocket-Extensions of the response.
    pub extensions: Option<String>,
    /// With [`ConfigFlag::StartOpen`]: the subprotocol that was agreed on.
    pub subprotocol: Option<String>,
    /// With [`ConfigFlag::StartOpen`]: the target of the request.
    pub target: Option<String>,
    /// Numbers and switches, which an open connection keeps.
    pub settings: Settings,
}

/// The part of a [`Config`] that an open connection keeps. See [`crate::ffi::wsframe_config`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The longest message, in bytes.
    pub max_message_len: u64,
    /// The longest frame of a message, in bytes of payload.
    pub max_frame_len: u64,
    /// The longest message that came compressed, in bytes of what comes out.
    pub max_inflated_len: u64,
    /// With more output than this waiting no message is taken.
    pub high_water_len: u64,
    /// The most frames of one message.
    pub max_fragments: u32,
    /// The longest head of a request or response, in bytes.
    pub max_head_len: u32,
    /// The most fields of a head; itself at most 1000.
    pub max_head_fields: u32,
    /// How long the opening handshake may take, in milliseconds.
    pub handshake_timeout_ms: u32,
    /// How long the peer may take for the closing handshake, in milliseconds.
    pub close_timeout_ms: u32,
    /// After how long a silence a ping is sent, and then how long the peer may be silent still, in milliseconds.
    pub ping_interval_ms: u32,
    /// [`ConfigFlag`].
    pub flags: u32,
    /// The shortest message that is compressed unasked, in bytes; 0 stands for 64, or 256 without a context.
    pub deflate_min_len: u32,
    /// How hard to compress: 1 to 9.
    pub deflate_level: u8,
    /// How far back a server's messages may refer, as a power of two: 9 to 15. 0 stands for 12, or for a client for what
    /// the server likes.
    pub server_max_window_bits: u8,
    /// The same for a client's messages; 0 stands for 12.
    pub client_max_window_bits: u8,
}

/// Stands for no limit of time, in a config and in [`super::Output::wait_ms`].
pub const NEVER: u32 = u32::MAX;

/// Below this it is not worth the time to compress: with a context, and without.
const MIN_DEFLATE_LEN: [u32; 2] = [64, 256];
/// What a connection keeps for each direction is so many bytes, as a power of two.
const DEFAULT_WINDOW_BITS: u8 = 12;

/// Bits of a config's flags. Each of the last four lets a peer break one rule.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigFlag {
    /// A server that answers each request itself: a request becomes WSFRAME_EVENT_REQUEST, which waits for
    /// wsframe_connection_accept() or wsframe_connection_respond(), and plain HTTP WSFRAME_EVENT_HTTP, which waits for
    /// wsframe_connection_respond(). Without it the library answers.
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

/// All of them.
const KNOWN_FLAGS: u32 = {
    use ConfigFlag::{
        AcceptAnyCloseCode, AcceptAnyMask, AcceptLongLengths, Ask, ClientNoContextTakeover, Deflate, ManualPong,
        Pieces, ServerNoContextTakeover, SkipUtf8, StartOpen,
    };
    Ask as u32
        | Pieces as u32
        | ManualPong as u32
        | StartOpen as u32
        | Deflate as u32
        | ServerNoContextTakeover as u32
        | ClientNoContextTakeover as u32
        | AcceptAnyMask as u32
        | AcceptLongLengths as u32
        | SkipUtf8 as u32
        | AcceptAnyCloseCode as u32
};
/// A head is read with a table of as many places as it may have fields.
const MAX_HEAD_FIELDS: u32 = 1000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_message_len: 16 << 20,
            max_frame_len: 16 << 20,
            max_inflated_len: 1 << 20,
            high_water_len: 1 << 20,
            max_fragments: 65_536,
            max_head_len: 16 << 10,
            max_head_fields: 100,
            handshake_timeout_ms: 10_000,
            close_timeout_ms: 5_000,
            ping_interval_ms: 30_000,
            flags: 0,
            deflate_min_len: 0,
            deflate_level: 6,
            server_max_window_bits: 0,
            client_max_window_bits: 0,
        }
    }
}

impl Config {
    /// What a server answers to the value of a request's Sec-WebSocket-Extensions, if anything.
    ///
    /// # Errors
    ///
    /// [`Error::MalformedExtensions`], [`Error::OutOfMemory`], or that the config is wrong.
    pub fn answer_extensions(&self, offers: &[u8]) -> Result<Option<String>, Error> {
        self.check()?;
        let Some(wanted) = self.settings.for_role(Role::Server).deflate() else { return Ok(None) };
        Ok(handshake::accept_offer([offers].into_iter(), wanted)?.map(|(_, answer)| answer))
    }

    /// Checks what the types cannot say.
    pub(super) fn check(&self) -> Result<(), Error> {
        let settings = &self.settings;
        let are_windows = [settings.server_max_window_bits, settings.client_max_window_bits]
            .iter()
            .all(|bits| *bits == 0 || (MIN_COMPRESSION_WINDOW_BITS..=MAX_WINDOW_BITS).contains(bits));
        let mut names = self.subprotocols.iter().chain(&self.subprotocol);
        match () {
            () if !names.all(|name| is_field_name(name.as_bytes())) => Err(Error::ConfigSubprotocol),
            () if !self.origins.iter().all(|origin| is_origin(origin)) => Err(Error::ConfigOrigin),
            () if settings.flags & !KNOWN_FLAGS != 0 => Err(Error::ConfigFlag),
            () if settings.max_head_fields > MAX_HEAD_FIELDS => Err(Error::ConfigHeadFields),
            () if !(1..=9).contains(&settings.deflate_level) => Err(Error::ConfigDeflateLevel),
            () if !are_windows => Err(Error::ConfigWindowBits),
            () => Ok(()),
        }
    }
}

/// What the connections of a thread that have these settings share.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub(super) fn shared(settings: Settings) -> Result<Shared<Settings>, Error> {
    let known = LAST.try_with(|last| last.try_borrow().ok()?.clone()).ok().flatten();
    if let Some(known) = known.filter(|known| **known == settings) {
        return Ok(known);
    }
    let new = Shared::new(settings)?;
    remember(Some(new.clone()));
    Ok(new)
}

/// Forgets what no connection of the thread shares any more.
pub(super) fn forget_shared() {
    remember(None);
}

fn remember(settings: Option<Shared<Settings>>) {
    // There is no place while the thread ends.
    let _ = LAST.try_with(|last| last.try_borrow_mut().map(|mut last| *last = settings));
}

/// Whether a browser may send this as an Origin (RFC 6454 section 6.2): else nobody would ever get in.
fn is_origin(origin: &str) -> bool {
    if origin == "null" {
        return true;
    }
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let is_of = |c: char| c.is_ascii_graphic() && !c.is_ascii_uppercase() && !"/?#@*\\".contains(c);
    let default_port = match scheme {
        "http" | "ws" => Some(":80"),
        "https" | "wss" => Some(":443"),
        _ => None,
    };
    let has_default_port = default_port.is_some_and(|port| authority.ends_with(port));
    let are_there = !scheme.is_empty() && (!authority.is_empty() || scheme == "file");
    are_there && scheme.chars().chain(authority.chars()).all(is_of) && !has_default_port
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
        let [with_context, alone] = MIN_DEFLATE_LEN;
        let min_len = match self.deflate_min_len {
            0 if takeover => with_context,
            0 => alone,
            min_len => min_len,
        };
        match compress {
            Compress::IfShorter => len as u64 >= min_len as u64,
            Compress::Never => false,
            Compress::Always => true,
        }
    }

    /// With what 0 stands for in one of the roles.
    #[must_use]
    pub(super) fn for_role(self, role: Role) -> Self {
        let or = |bits: u8, default| if bits == 0 { default } else { bits };
        // A client that asked for a window would be refused by the many servers that answer every offer alike.
        let of_server = if role == Role::Server { DEFAULT_WINDOW_BITS } else { MAX_WINDOW_BITS };
        Self {
            server_max_window_bits: or(self.server_max_window_bits, of_server),
            client_max_window_bits: or(self.client_max_window_bits, DEFAULT_WINDOW_BITS),
            max_inflated_len: self.max_inflated_len.min(self.max_message_len),
            ..self
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_one_that_a_browser_sends() {
        for origin in [
            "http://example.com",
            "https://example.com:8443",
            "http://example.com:443",
            "http://[::1]:8080",
            "null",
            "file://",
            "chrome-extension://abcdef",
            "https://xn--bcher-kva.example",
        ] {
            assert!(is_origin(origin), "{origin}");
        }
        for origin in [
            "*",
            "",
            "example.com",
            "https://Example.com",
            "HTTPS://example.com",
            "https://example.com/",
            "https://example.com:443",
            "http://example.com:80",
            "wss://example.com:443",
            "https://example.com/path",
            "https://*.example.com",
            "https://",
            "://example.com",
            "https://a b",
            "https://user@example.com",
        ] {
            assert!(!is_origin(origin), "{origin}");
        }
    }
}
