//! Messages in, frames out (RFC 6455 section 6.1).

#![forbid(unsafe_code)]

use super::mask_keys::random;
use super::message::{self, Prepared};
use super::{ConfigFlag, Connection, Role, State, buffers};
use crate::close::Close;
use crate::deflate::Direction;
use crate::error::Error;
use crate::frame::{FIN, Header, MAX_HEADER_LEN, Opcode};
use crate::mask::{self, unmask};
use crate::shared::Shared;
use crate::utf8::Validator;

/// What a message that is sent in pieces needs to be remembered of it.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// What it is, until its last piece was sent.
    message: Option<Opcode>,
    is_compressed: bool,
    text: Validator,
}

/// Whether to compress a message, if both ends agreed that messages may be compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compress {
    /// From the config's [`super::Settings::deflate_min_len`] on, if that makes it shorter; what is sent in pieces always.
    #[default]
    IfShorter,
    /// Not, for instance because it has a secret next to what an attacker chose (RFC 7692 section 8).
    Never,
    /// However short it is, and even if that makes it longer.
    Always,
}

impl Connection {
    /// Puts a whole message into the output as one frame, text or binary; or a ping or a pong, whose payload has at most
    /// 125 bytes. Pings are answered without it, unless the config has [`ConfigFlag::ManualPong`].
    ///
    /// Returns how many bytes of output wait; 0 if the connection is over, whoever ended it: then nothing is sent any more.
    /// What answers messages that came together with the end can still be sent until the output is taken, and a pong
    /// while the peer's close frame is awaited.
    ///
    /// # Errors
    ///
    /// [`Error::NotOpenYet`]; [`Error::OutputFull`] if more waits than [`super::Settings::high_water_len`];
    /// [`Error::MessageNotFinished`]; [`Error::SendNotData`], [`Error::SendInvalidUtf8`], [`Error::BuildOversizedControl`];
    /// [`Error::OutOfMemory`] or [`Error::NoRandomness`]. Nothing is put into the output then.
    pub fn send(&mut self, opcode: Opcode, payload: &[u8]) -> Result<usize, Error> {
        self.send_as(opcode, payload, Compress::IfShorter, false)
    }

    /// As [`Connection::send`], with a say in whether the message is compressed, and whether there is `more` of it: then
    /// this is a piece, which becomes a frame of its own (RFC 6455 section 5.4).
    ///
    /// All pieces of a message are sent with its opcode, the last one without `more`; text may be cut anywhere. Control
    /// frames may be sent between them, other messages not. Of `compress` that of the first piece counts.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`]; [`Error::SendUnknownBits`] for a ping or pong with either;
    /// [`Error::MessageNotFinished`] if the opcode is not that of the pieces before.
    pub fn send_as(&mut self, opcode: Opcode, payload: &[u8], compress: Compress, more: bool) -> Result<usize, Error> {
        let is_data = matches!(opcode, Opcode::Text | Opcode::Binary);
        if !is_data && (more || compress != Compress::IfShorter) {
            return Err(Error::SendUnknownBits);
        }
        match opcode {
            Opcode::Ping | Opcode::Pong => return self.send_control(opcode, payload),
            _ if !is_data => return Err(Error::SendNotData),
            _ if !self.can_send()? => return Ok(0),
            _ if more || self.writer.message.is_some() => self.put_piece(opcode, payload, compress, more)?,
            _ => self.put_message(opcode, payload, compress)?,
        }
        Ok(self.waiting())
    }

    fn send_control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<usize, Error> {
        let is_late_pong = opcode == Opcode::Pong && self.state == State::Closing;
        if !is_late_pong && !self.can_send()? {
            return Ok(0);
        }
        self.put_frame(FIN, opcode, payload)?;
        Ok(self.waiting())
    }

    #[inline]
    fn put_message(&mut self, opcode: Opcode, payload: &[u8], compress: Compress) -> Result<(), Error> {
        let is_worth_it = |direction: &Direction| self.settings.compresses(compress, payload.len(), direction.takeover);
        let skips_utf8 = self.settings.has(ConfigFlag::SkipUtf8);
        if let Some(direction) = self.compressing().filter(is_worth_it) {
            message::check(opcode, payload, skips_utf8)?;
            if self.put_compressed(direction, opcode, payload, true, compress == Compress::IfShorter)? {
                return Ok(());
            }
        }
        let mut text = Validator::default();
        self.put(
            self.header(FIN, opcode, payload),
            payload,
            (opcode == Opcode::Text && !skips_utf8).then_some(&mut text),
        )
    }

    fn put_piece(&mut self, opcode: Opcode, payload: &[u8], compress: Compress, more: bool) -> Result<(), Error> {
        if self.writer.message.is_some_and(|begun| begun != opcode) {
            return Err(Error::MessageNotFinished);
        }
        let mut text = self.writer.text;
        if opcode == Opcode::Text && !self.settings.has(ConfigFlag::SkipUtf8) {
            let pushed = text.push(payload);
            if pushed.is_err() || !more && !text.is_complete() {
                return Err(Error::SendInvalidUtf8);
            }
        }
        let is_first = self.writer.message.is_none();
        let on_the_wire = if is_first { opcode } else { Opcode::Continuation };
        let is_compressed = if is_first { compress != Compress::Never } else { self.writer.is_compressed };
        match self.compressing().filter(|_| is_compressed) {
            Some(direction) => {
                self.put_compressed(direction, on_the_wire, payload, !more, false)?;
            }
            None => self.put_frame(if more { 0 } else { FIN }, on_the_wire, payload)?,
        }
        self.writer = if more { Writer { message: Some(opcode), is_compressed, text } } else { Writer::default() };
        Ok(())
    }

    /// What was agreed on for the messages of this end, if it can compress them.
    #[inline]
    fn compressing(&self) -> Option<Direction> {
        self.outgoing().filter(|direction| direction.can_compress())
    }

    /// Puts many messages into the output, as [`Connection::send_as`] does with each, and returns how many. Fewer than there
    /// are if more waits already than [`super::Settings::high_water_len`], or the next cannot be sent: with it as the
    /// first the error shows. 0 if the connection is over.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`], if that is what becomes of the first message.
    pub fn send_many<'a>(
        &mut self,
        opcode: Opcode,
        payloads: impl Iterator<Item = &'a [u8]>,
        compress: Compress,
    ) -> Result<usize, Error> {
        if !self.can_send_whole()? {
            return Ok(0);
        }
        let mut sent = 0_usize;
        for payload in payloads {
            match self.send_as(opcode, payload, compress, false) {
                Ok(0) => break,
                Ok(_) => sent = sent.saturating_add(1),
                Err(error) if sent == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    /// Puts a close frame into the output; nothing more can be sent then. `code` is a close code, or
    /// [`crate::close::NO_STATUS`] for a frame without one; `reason` is UTF-8 of at most 123 bytes.
    ///
    /// Returns how many bytes of output wait; 0 if the connection is over.
    ///
    /// # Errors
    ///
    /// [`Error::SendInvalidCloseCode`], [`Error::SendLongCloseReason`], [`Error::SendInvalidUtf8`],
    /// [`Error::NotOpenYet`], [`Error::OutOfMemory`] or [`Error::NoRandomness`].
    pub fn close(&mut self, code: u16, reason: &[u8]) -> Result<usize, Error> {
        let payload = Close { code, reason }.build()?;
        match self.state {
            State::Connecting | State::Asked => Err(Error::NotOpenYet),
            State::Open => {
                self.put_frame(FIN, Opcode::Close, payload.bytes())?;
                self.state = State::Closing;
                Ok(self.waiting())
            }
            State::Closing | State::Closed | State::Failed => Ok(0),
        }
    }

    /// Whether something can be sent: the connection is open, or only just not any more, and what answers messages that
    /// came together with the end can still be sent.
    #[inline]
    fn can_send(&self) -> Result<bool, Error> {
        match self.state {
            State::Connecting | State::Asked => return Err(Error::NotOpenYet),
            State::Closing => return Ok(false),
            State::Closed | State::Failed if self.farewell.is_none() => return Ok(false),
            State::Open | State::Closed | State::Failed => {}
        }
        if self.waiting() as u64 > self.settings.high_water_len { Err(Error::OutputFull) } else { Ok(true) }
    }

    /// As [`Connection::can_send`], for a whole message.
    pub(super) fn can_send_whole(&self) -> Result<bool, Error> {
        let can_send = self.can_send()?;
        if can_send && self.writer.message.is_some() { Err(Error::MessageNotFinished) } else { Ok(can_send) }
    }

    /// The header of a frame; a client's still with a masking key of zeroes.
    #[inline]
    pub(super) fn header(&self, bits: u8, opcode: Opcode, payload: &[u8]) -> Header {
        let mask_key = if self.role == Role::Client { Some([0; 4]) } else { None };
        Header { mask_key, payload_len: payload.len() as u64, ..Header::with_first_byte(bits, opcode) }
    }

    /// Puts a frame with these of the bits FIN and RSV1 into the output, however much waits there.
    pub(super) fn put_frame(&mut self, bits: u8, opcode: Opcode, payload: &[u8]) -> Result<(), Error> {
        self.put(self.header(bits, opcode, payload), payload, None)
    }

    /// Puts a frame into the output, with its masking key, and checks it on the way if it is `text`.
    fn put(&mut self, mut header: Header, payload: &[u8], text: Option<&mut Validator>) -> Result<(), Error> {
        if let Some(key) = &mut header.mask_key {
            *key = random()?;
        }
        let mut head = [0; MAX_HEADER_LEN];
        let head_len = header.build(&mut head)?;
        let buffers = buffers::of(&mut self.buffers)?;
        let output = buffers.output.room(MAX_HEADER_LEN.saturating_add(payload.len()))?;
        let begin = output.len();
        // All of it, which takes two instructions, and then less.
        output.extend_from_slice(&head);
        output.truncate(begin.saturating_add(head_len));
        let Some(text) = text else { return mask::append_unmasked(output, payload, header.mask_key, 0) };
        let at = output.len();
        let checked = text.append_unmasked(output, payload, None, 0);
        if checked.is_err() || header.fin && !text.is_complete() {
            output.truncate(begin);
            return Err(Error::SendInvalidUtf8);
        }
        if let (Some(key), Some(placed)) = (header.mask_key, output.get_mut(at..)) {
            unmask(placed, key, 0);
        }
        Ok(())
    }

    /// Puts the header of a server's frame into the output, and behind it the payload of a prepared message, without a copy.
    pub(super) fn put_lent(
        &mut self,
        bits: u8,
        opcode: Opcode,
        message: Shared<Prepared>,
        is_compressed: bool,
    ) -> Result<(), Error> {
        let header = self.header(bits, opcode, message.payload(is_compressed));
        let mut head = [0; MAX_HEADER_LEN];
        let head_len = header.build(&mut head)?;
        let output = &mut buffers::of(&mut self.buffers)?.output;
        let own = output.room(head_len)?;
        let begin = own.len();
        own.extend_from_slice(head.get(..head_len).unwrap_or_default());
        let lent = output.lend(message, is_compressed);
        if lent.is_err() {
            output.bytes().truncate(begin);
        }
        lent
    }
}
