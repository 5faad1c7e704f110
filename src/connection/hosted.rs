//! What a hub needs of its connections beyond what everybody does: it reads into a place of its own, and writes when it
//! likes to.

#![forbid(unsafe_code)]

use std::io::IoSlice;

use super::message;
use super::{Compress, ConfigFlag, Connection, Role, buffers};
use crate::error::Error;
use crate::frame::{FIN, MAX_HEADER_LEN, Opcode};

impl Connection {
    /// Whether all messages that come whole in the next bytes can be delivered in place. What came before, or is inflated,
    /// is delivered from the connection's own memory.
    #[inline]
    pub(crate) fn takes_in_place(&self) -> bool {
        self.opening.is_none() && self.deflate.is_none() && self.reader.is_between_messages() && !self.has_more()
    }

    /// Writes whose they are into the events.
    pub(crate) fn mark_events(&mut self, connection: u64) {
        if let Some(buffers) = &mut self.buffers {
            buffers.mark_events(connection);
        }
    }

    /// Takes the data of the events away, which stay where they are, and forgets the events. No message is half received.
    pub(crate) fn take_data(&mut self) -> Vec<u8> {
        self.buffers.as_mut().map_or_else(Vec::new, |buffers| buffers.take_data())
    }

    /// Says that the first `len` bytes of the output were written, without ending the turn: events and their data stay, and
    /// an answer to the peer's close frame waits.
    pub(crate) fn note_written(&mut self, len: usize) -> Result<(), Error> {
        self.sent(len)
    }

    /// Forgets what waits to be written: nobody takes it any more.
    pub(crate) fn abandon_output(&mut self) {
        if let Some(buffers) = &mut self.buffers {
            buffers.output.clear();
        }
    }

    /// How many bytes it holds: of what was received and is not complete, and of what waits to be written and is not shared.
    pub(crate) fn held_len(&self) -> usize {
        let opening = self.opening.as_ref().map_or(0, |opening| opening.held_len());
        self.buffers.as_ref().map_or(opening, |buffers| buffers.used_len().saturating_add(opening))
    }

    /// Says that it is not the peer's fault if nothing was heard of it: nobody has listened.
    pub(crate) const fn excuse_silence(&mut self) {
        self.clock.hear();
    }

    /// Whether text that comes or goes has to be UTF-8.
    pub(crate) fn checks_utf8(&self) -> bool {
        !self.settings.has(ConfigFlag::SkipUtf8)
    }

    pub(crate) fn is_server(&self) -> bool {
        self.role == Role::Server
    }

    /// With more than this waiting no message is taken.
    pub(crate) fn high_water_len(&self) -> usize {
        usize::try_from(self.settings.high_water_len).unwrap_or(usize::MAX)
    }

    /// As [`Connection::send_as`] with a whole message, which is no piece of one that is sent in pieces.
    pub(crate) fn send_whole(&mut self, opcode: Opcode, payload: &[u8], compress: Compress) -> Result<usize, Error> {
        if self.can_send_whole()? { self.send_as(opcode, payload, compress, false) } else { Ok(0) }
    }

    /// As [`Connection::send_as`] with a whole message, of which as much as possible is written from where it is, by `write`,
    /// which returns how many bytes it has. The rest is copied to the output. Returns `None`, and does nothing, if the
    /// message has to go by the output: something waits there, it has to be masked or may be compressed.
    pub(crate) fn send_direct(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        compress: Compress,
        is_checked: bool,
        write: impl FnOnce(&[IoSlice<'_>]) -> usize,
    ) -> Result<Option<usize>, Error> {
        let may_be_compressed = compress != Compress::Never && self.deflate.is_some();
        if self.role == Role::Client || may_be_compressed || self.waiting() > 0 {
            return Ok(None);
        }
        message::check(opcode, payload, is_checked || !self.checks_utf8())?;
        if !self.can_send_whole()? {
            return Ok(Some(0));
        }
        let mut head = [0; MAX_HEADER_LEN];
        let head_len = self.header(FIN, opcode, payload).build(&mut head)?;
        let head = head.get(..head_len).unwrap_or_default();
        let frame_len = head_len.saturating_add(payload.len());
        // Afterwards there has to be room for what was not written.
        let output = &mut buffers::of(&mut self.buffers)?.output;
        output.room(MAX_HEADER_LEN)?;
        let written = write(&[IoSlice::new(head), IoSlice::new(payload)]).min(frame_len);
        self.clock.note_sent(written);
        self.put_rest(head, payload, written)?;
        Ok(Some(frame_len))
    }

    fn put_rest(&mut self, head: &[u8], payload: &[u8], written: usize) -> Result<(), Error> {
        let rest_of_head = head.get(written..).unwrap_or_default();
        let rest = payload.get(written.saturating_sub(head.len())..).unwrap_or_default();
        let output = &mut buffers::of(&mut self.buffers)?.output;
        let place = output.room(rest_of_head.len().saturating_add(rest.len()))?;
        place.extend_from_slice(rest_of_head);
        place.extend_from_slice(rest);
        Ok(())
    }
}
