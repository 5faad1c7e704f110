//! Messages in, frames out (RFC 6455 section 6.1).

#![forbid(unsafe_code)]

use super::mask_keys::random;
use super::{ConfigFlag, Connection, Role, State, message};
use crate::close::Close;
use crate::deflate::Direction;
use crate::error::Error;
use crate::frame::{FIN, Header, MAX_HEADER_LEN, Opcode};
use crate::mask::{self, unmask};
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
    /// Puts a whole message, text or binary, into the output as one frame.
    ///
    /// # Errors
    ///
    /// [`Error::SendNotData`], [`Error::SendInvalidUtf8`], [`Error::MessageNotFinished`], [`Error::OutputFull`], or
    /// [`Error::WrongState`] unless the connection is open. Nothing is put into the output then.
    pub fn send(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), Error> {
        self.send_compressed(opcode, payload, Compress::IfShorter)
    }

    /// As [`Connection::send`], with a say in whether the message is compressed.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    pub fn send_compressed(&mut self, opcode: Opcode, payload: &[u8], compress: Compress) -> Result<(), Error> {
        self.check_whole()?;
        let is_worth_it = |direction: &Direction| self.settings.compresses(compress, payload.len(), direction.takeover);
        let compressing = self.compressing().filter(is_worth_it);
        if let Some(direction) = compressing {
            message::check(opcode, payload, self.settings.has(ConfigFlag::SkipUtf8))?;
            if self.put_compressed(direction, opcode, payload, true, compress == Compress::IfShorter)? {
                return Ok(());
            }
        }
        match opcode {
            Opcode::Text if !self.settings.has(ConfigFlag::SkipUtf8) => {
                self.put_unchecked_text(FIN, opcode, payload, &mut Validator::default())
            }
            Opcode::Text | Opcode::Binary => self.put_limited_frame(FIN, opcode, payload),
            _ => Err(Error::SendNotData),
        }
    }

    /// What was agreed on for the messages of this end, if it can compress them.
    fn compressing(&self) -> Option<Direction> {
        self.outgoing().filter(|direction| direction.can_compress())
    }

    /// Puts many messages into the output, as [`Connection::send_compressed`] does with each, and returns how many. Fewer
    /// than there are if there was no room for the next, or it cannot be sent: with it as the first the error shows.
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
        let mut sent = 0_usize;
        for payload in payloads {
            match self.send_compressed(opcode, payload, compress) {
                Ok(()) => sent = sent.saturating_add(1),
                Err(error) if sent == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    /// Puts a piece of a message into the output, as a frame of its own (RFC 6455 section 5.4). All pieces of a message
    /// are sent with its opcode; text may be cut anywhere. Control frames may be sent between them, other messages not.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`]; [`Error::MessageNotFinished`] if the opcode is not that of the pieces before.
    pub fn send_piece(&mut self, opcode: Opcode, payload: &[u8], last: bool) -> Result<(), Error> {
        self.send_piece_compressed(opcode, payload, last, Compress::IfShorter)
    }

    /// As [`Connection::send_piece`], with a say in whether the message is compressed: that of its first piece counts.
    ///
    /// # Errors
    ///
    /// As [`Connection::send_piece`].
    pub fn send_piece_compressed(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        last: bool,
        compress: Compress,
    ) -> Result<(), Error> {
        self.check_open()?;
        if !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(Error::SendNotData);
        }
        if self.writer.message.is_some_and(|begun| begun != opcode) {
            return Err(Error::MessageNotFinished);
        }
        let mut text = self.writer.text;
        if opcode == Opcode::Text && !self.settings.has(ConfigFlag::SkipUtf8) {
            let pushed = text.push(payload);
            if pushed.is_err() || last && !text.is_complete() {
                return Err(Error::SendInvalidUtf8);
            }
        }
        let is_first = self.writer.message.is_none();
        let on_the_wire = if is_first { opcode } else { Opcode::Continuation };
        let is_compressed = if is_first { compress != Compress::Never } else { self.writer.is_compressed };
        let direction = self.compressing().filter(|_| is_compressed);
        match direction {
            Some(direction) => {
                self.put_compressed(direction, on_the_wire, payload, last, false)?;
            }
            None => self.put_limited_frame(if last { FIN } else { 0 }, on_the_wire, payload)?,
        }
        self.writer = if last { Writer::default() } else { Writer { message: Some(opcode), is_compressed, text } };
        Ok(())
    }

    /// Puts a ping with a payload of at most 125 bytes into the output.
    ///
    /// # Errors
    ///
    /// [`Error::BuildOversizedControl`], [`Error::OutputFull`], or [`Error::WrongState`] unless the connection is open.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.check_open()?;
        self.put_limited_frame(FIN, Opcode::Ping, payload)
    }

    /// Puts a pong with a payload of at most 125 bytes into the output. Pings are answered without it, unless the config
    /// has [`ConfigFlag::ManualPong`].
    ///
    /// # Errors
    ///
    /// As [`Connection::ping`], but a pong may be sent while the peer's close frame is awaited.
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), Error> {
        if self.state != State::Closing {
            self.check_open()?;
        }
        self.put_limited_frame(FIN, Opcode::Pong, payload)
    }

    /// Puts a close frame into the output; nothing more can be sent then. `code` is a close code, or
    /// [`crate::close::NO_STATUS`] for a frame without one; `reason` is UTF-8 of at most 123 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::SendInvalidCloseCode`], [`Error::SendLongCloseReason`], [`Error::SendInvalidUtf8`], or
    /// [`Error::WrongState`] unless the connection is open.
    pub fn close(&mut self, code: u16, reason: &[u8]) -> Result<(), Error> {
        if self.state != State::Open {
            return Err(Error::WrongState);
        }
        let payload = Close { code, reason }.build()?;
        self.put_frame(FIN, Opcode::Close, &payload)?;
        self.state = State::Closing;
        Ok(())
    }

    /// Open, or only just not: what answers messages that came together with the end can still be sent.
    fn check_open(&self) -> Result<(), Error> {
        if self.state == State::Open || self.farewell.is_some() { Ok(()) } else { Err(Error::WrongState) }
    }

    /// A whole message may be sent.
    pub(super) fn check_whole(&self) -> Result<(), Error> {
        self.check_open()?;
        if self.writer.message.is_some() { Err(Error::MessageNotFinished) } else { Ok(()) }
    }

    /// Puts a frame with these of the bits FIN and RSV1 into the output, if the config has room for it.
    pub(super) fn put_limited_frame(&mut self, bits: u8, opcode: Opcode, payload: &[u8]) -> Result<(), Error> {
        let header = self.header(bits, opcode, payload);
        self.check_room(&header, payload)?;
        self.put(header, payload, None)
    }

    /// As [`Connection::put_limited_frame`], for what is still to be checked as a part of `text`.
    fn put_unchecked_text(
        &mut self,
        bits: u8,
        opcode: Opcode,
        payload: &[u8],
        text: &mut Validator,
    ) -> Result<(), Error> {
        let header = self.header(bits, opcode, payload);
        self.check_room(&header, payload)?;
        self.put(header, payload, Some(text))
    }

    fn check_room(&self, header: &Header, payload: &[u8]) -> Result<(), Error> {
        let frame_len = header.encoded_len().saturating_add(payload.len());
        let is_full = self.waiting().saturating_add(frame_len) as u64 > self.settings.max_output_len;
        if is_full { Err(Error::OutputFull) } else { Ok(()) }
    }

    /// The header of a frame; a client's still with a masking key of zeroes.
    fn header(&self, bits: u8, opcode: Opcode, payload: &[u8]) -> Header {
        let mask_key = if self.role == Role::Client { Some([0; 4]) } else { None };
        Header { mask_key, payload_len: payload.len() as u64, ..Header::with_first_byte(bits, opcode) }
    }

    /// Puts a frame into the output, however much waits there: for answers, of which the peer gets one at a time.
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
        let buffers = self.buffers();
        buffers.reuse_sent();
        let output = &mut buffers.output;
        output.try_reserve(MAX_HEADER_LEN.saturating_add(payload.len())).map_err(|_| Error::OutOfMemory)?;
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
}
