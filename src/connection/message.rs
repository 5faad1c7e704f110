//! Messages that are prepared once and sent on many connections.

#![forbid(unsafe_code)]

use super::{Compress, Config, ConfigFlag, Connection, Role};
use crate::deflate::{Compressor, Direction};
use crate::error::Error;
use crate::frame::{FIN, Opcode, RSV1};
use crate::memory::copied;
use crate::shared::Shared;
use crate::utf8;

/// From this length on a prepared message is lent: a shorter one is copied for less than a write of its own costs.
const LENT_LEN: usize = 16 << 10;

/// A message that is checked and compressed once, and may then be sent on many connections, also from several threads. What
/// is long is not copied there: they share it until it is written.
#[derive(Debug)]
pub struct Message(Shared<Prepared>);

/// What the connections share.
#[derive(Debug)]
pub(super) struct Prepared {
    opcode: Opcode,
    payload: Vec<u8>,
    /// If that is shorter.
    compressed: Option<Vec<u8>>,
    /// The window that the compressed payload takes, as a power of two.
    window_bits: u8,
}

impl Message {
    /// Prepares a message, text or binary, for connections with this config. Without [`ConfigFlag::Deflate`] it is not
    /// compressed, and else as [`Connection::send_as`] would.
    ///
    /// # Errors
    ///
    /// [`Error::SendNotData`], [`Error::SendInvalidUtf8`], that the config is wrong, or [`Error::OutOfMemory`].
    pub fn new(opcode: Opcode, payload: &[u8], compress: Compress, config: &Config) -> Result<Self, Error> {
        config.check()?;
        let settings = &config.settings.for_role(Role::Server);
        check(opcode, payload, settings.has(ConfigFlag::SkipUtf8))?;
        let window_bits = settings.server_max_window_bits.min(settings.client_max_window_bits);
        let mut message = Prepared { opcode, payload: copied(payload)?, compressed: None, window_bits };
        if settings.has(ConfigFlag::Deflate) && settings.compresses(compress, payload.len(), false) {
            let direction = Direction { takeover: false, window_bits };
            let compressed = Compressor::default().compress(direction, settings.deflate_level, payload, true)?;
            if compress == Compress::Always || compressed.bytes().len() < payload.len() {
                message.compressed = Some(copied(compressed.bytes())?);
            }
            compressed.discard();
        }
        Ok(Self(Shared::new(message)?))
    }
}

impl Prepared {
    /// One of the two payloads.
    pub(super) fn payload(&self, is_compressed: bool) -> &[u8] {
        self.compressed.as_ref().filter(|_| is_compressed).unwrap_or(&self.payload)
    }

    /// Whether the other end understands the compressed payload.
    fn is_understood(&self, direction: Direction) -> bool {
        let is_in_window = self.payload.len() <= 1 << direction.window_bits;
        self.compressed.is_some() && (is_in_window || self.window_bits <= direction.window_bits)
    }
}

impl Connection {
    /// Puts a prepared message into the output, compressed if it is and both ends agreed on it. Returns as
    /// [`Connection::send`].
    ///
    /// # Errors
    ///
    /// [`Error::MessageNotFinished`], [`Error::OutputFull`], [`Error::NotOpenYet`], [`Error::OutOfMemory`] or
    /// [`Error::NoRandomness`].
    pub fn send_message(&mut self, message: &Message) -> Result<usize, Error> {
        if !self.can_send_whole()? {
            return Ok(0);
        }
        let prepared = &message.0;
        let direction = self.outgoing().filter(|direction| prepared.is_understood(*direction));
        let bits = if direction.is_some() { FIN | RSV1 } else { FIN };
        let payload = prepared.payload(direction.is_some());
        // A client has a masking key of its own for each connection.
        if self.role == Role::Server && payload.len() >= LENT_LEN {
            self.put_lent(bits, prepared.opcode, prepared.clone(), direction.is_some())?;
        } else {
            self.put_frame(bits, prepared.opcode, payload)?;
        }
        if let Some(direction) = direction {
            self.compressor()?.keep_foreign(direction, &prepared.payload);
        }
        Ok(self.waiting())
    }
}

/// Checks a message that is to be sent on many connections.
///
/// # Errors
///
/// [`Error::SendNotData`] or [`Error::SendInvalidUtf8`].
#[cfg_attr(not(unix), allow(dead_code, reason = "there is no hub"))]
pub(crate) fn check_message(opcode: Opcode, payload: &[u8]) -> Result<(), Error> {
    check(opcode, payload, false)
}

/// Checks what is to be sent as a whole message.
pub(super) fn check(opcode: Opcode, payload: &[u8], skip_utf8: bool) -> Result<(), Error> {
    match opcode {
        Opcode::Text if !skip_utf8 && utf8::check(payload) != Ok(payload.len()) => Err(Error::SendInvalidUtf8),
        Opcode::Text | Opcode::Binary => Ok(()),
        _ => Err(Error::SendNotData),
    }
}
