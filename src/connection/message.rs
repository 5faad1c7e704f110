//! Messages that are prepared once and sent on many connections.

#![forbid(unsafe_code)]

use super::{Compress, Config, ConfigFlag, Connection};
use crate::deflate::{Compressor, Direction};
use crate::error::Error;
use crate::frame::{FIN, Opcode, RSV1};
use crate::utf8;

/// A message that is checked and compressed once, and may then be sent on many connections, also from several threads.
#[derive(Debug)]
pub struct Message {
    opcode: Opcode,
    payload: Vec<u8>,
    /// If that is shorter.
    compressed: Option<Vec<u8>>,
    /// The window that the compressed payload takes, as a power of two.
    window_bits: u8,
}

impl Message {
    /// Prepares a message, text or binary, for connections with this config. Without [`ConfigFlag::Deflate`] it is not
    /// compressed, and else as [`Connection::send_compressed`] would.
    ///
    /// # Errors
    ///
    /// [`Error::SendNotData`], [`Error::SendInvalidUtf8`], [`Error::InvalidConfig`] or [`Error::OutOfMemory`].
    pub fn new(opcode: Opcode, payload: &[u8], compress: Compress, config: &Config) -> Result<Self, Error> {
        config.check()?;
        let settings = &config.settings;
        check(opcode, payload, settings.has(ConfigFlag::SkipUtf8))?;
        let window_bits = settings.server_max_window_bits.min(settings.client_max_window_bits);
        let mut message = Self { opcode, payload: copied(payload)?, compressed: None, window_bits };
        if settings.has(ConfigFlag::Deflate) && settings.compresses(compress, payload.len(), false) {
            let direction = Direction { takeover: false, window_bits };
            let compressed = Compressor::default().compress(direction, settings.deflate_level, payload, true)?;
            if compress == Compress::Always || compressed.bytes().len() < payload.len() {
                message.compressed = Some(copied(compressed.bytes())?);
            }
            compressed.discard();
        }
        Ok(message)
    }

    /// The payload that the other end understands, without a context.
    fn compressed_for(&self, direction: Option<Direction>) -> Option<(Direction, &[u8])> {
        let (direction, compressed) = (direction?, self.compressed.as_deref()?);
        let is_in_window = self.payload.len() <= 1 << direction.window_bits;
        (is_in_window || self.window_bits <= direction.window_bits).then_some((direction, compressed))
    }
}

impl Connection {
    /// Puts a prepared message into the output, compressed if it is and both ends agreed on it.
    ///
    /// # Errors
    ///
    /// [`Error::MessageNotFinished`], [`Error::OutputFull`], or [`Error::WrongState`] unless the connection is open.
    pub fn send_message(&mut self, message: &Message) -> Result<(), Error> {
        self.check_whole()?;
        let Some((direction, compressed)) = message.compressed_for(self.outgoing()) else {
            return self.put_limited_frame(FIN, message.opcode, &message.payload);
        };
        self.put_limited_frame(FIN | RSV1, message.opcode, compressed)?;
        self.compressor().keep_foreign(direction, &message.payload);
        Ok(())
    }
}

fn copied(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| Error::OutOfMemory)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// Checks what is to be sent as a whole message.
pub(super) fn check(opcode: Opcode, payload: &[u8], skip_utf8: bool) -> Result<(), Error> {
    match opcode {
        Opcode::Text if !skip_utf8 && utf8::check(payload) != Ok(payload.len()) => Err(Error::SendInvalidUtf8),
        Opcode::Text | Opcode::Binary => Ok(()),
        _ => Err(Error::SendNotData),
    }
}
