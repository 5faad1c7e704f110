//! Compressed messages of a connection (RFC 7692 section 7.2).

#![forbid(unsafe_code)]

use super::{Connection, Role, buffers};
use crate::deflate::{Compressor, Decompressor, Direction};
use crate::error::Error;
use crate::frame::{FIN, Opcode, RSV1};
use crate::memory::Boxed;

/// What both directions need to remember between messages.
#[derive(Debug, Default)]
pub(super) struct Contexts {
    compressor: Compressor,
    decompressor: Decompressor,
}

impl Contexts {
    fn is_empty(&self) -> bool {
        self.compressor.is_empty() && self.decompressor.is_empty()
    }
}

impl Connection {
    /// What was agreed on for the messages of this end.
    pub(super) fn outgoing(&self) -> Option<Direction> {
        self.deflate.map(|agreed| if self.role == Role::Server { agreed.server() } else { agreed.client() })
    }

    fn incoming(&self) -> Result<Direction, Error> {
        let agreed = self.deflate.ok_or(Error::ReservedBits)?;
        Ok(if self.role == Role::Server { agreed.client() } else { agreed.server() })
    }

    /// Unmasks a part of a compressed payload and keeps what comes out of it with what came before.
    pub(super) fn inflate(&mut self, part: &[u8], mask: Option<([u8; 4], usize)>) -> Result<(), Error> {
        let direction = self.incoming()?;
        self.with_decompressor(|decompressor, max_streams, sink| {
            decompressor.push(direction, part, mask, max_streams, sink)
        })
    }

    pub(super) fn finish_inflating(&mut self) -> Result<(), Error> {
        let direction = self.incoming()?;
        self.with_decompressor(|decompressor, _, sink| decompressor.finish(direction, sink))
    }

    /// Calls with the decompressor, how many streams a message may have, and where to put what comes out.
    fn with_decompressor(
        &mut self,
        call: impl FnOnce(&mut Decompressor, u32, &mut dyn FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Self { contexts, buffers, reader, settings, .. } = self;
        let buffers = buffers::of(buffers)?;
        let mut sink = |inflated: &[u8]| {
            let room = usize::try_from(settings.max_inflated_len.saturating_sub(reader.message_len));
            // What is behind the limit is not looked at, so that it makes no difference how the bytes are cut.
            let within = inflated.get(..room.unwrap_or(usize::MAX)).unwrap_or(inflated);
            reader.message_len = reader.message_len.saturating_add(within.len() as u64);
            buffers.grow_inflated(within)?;
            if let Some(text) = reader.checked_text(settings) {
                text.push(within)?;
            }
            if within.len() < inflated.len() { Err(Error::InflatedTooBig) } else { Ok(()) }
        };
        call(&mut of(contexts)?.decompressor, settings.max_fragments, &mut sink)
    }

    /// Puts a message, or a piece of one, into the output compressed; a whole one only if that is shorter, unless it
    /// has to be. Returns whether it did.
    pub(super) fn put_compressed(
        &mut self,
        direction: Direction,
        opcode: Opcode,
        piece: &[u8],
        last: bool,
        only_if_shorter: bool,
    ) -> Result<bool, Error> {
        let level = self.settings.deflate_level;
        let compressed = self.compressor()?.compress(direction, level, piece, last)?;
        if only_if_shorter && compressed.bytes().len() >= piece.len() {
            compressed.discard();
            return Ok(false);
        }
        let rsv1 = if opcode == Opcode::Continuation { 0 } else { RSV1 };
        let fin = if last { FIN } else { 0 };
        match self.put_frame(fin | rsv1, opcode, compressed.bytes()) {
            Ok(()) => {
                self.compressor()?.keep(compressed, direction, piece, last);
                Ok(true)
            }
            Err(error) => {
                compressed.discard();
                Err(error)
            }
        }
    }

    pub(super) fn compressor(&mut self) -> Result<&mut Compressor, Error> {
        Ok(&mut of(&mut self.contexts)?.compressor)
    }

    /// Gives back the memory of contexts that have nothing to remember, or nothing to remember it for.
    pub(super) fn release_contexts(&mut self) {
        let is_over = self.is_over();
        self.contexts.take_if(|contexts| is_over || contexts.is_empty());
    }
}

/// The contexts in `slot`, which has them from now on.
fn of(slot: &mut Option<Boxed<Contexts>>) -> Result<&mut Contexts, Error> {
    if slot.is_none() {
        *slot = Some(Boxed::new(Contexts::default())?);
    }
    slot.as_deref_mut().ok_or(Error::OutOfMemory)
}
