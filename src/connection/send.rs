//! Messages in, frames out (RFC 6455 section 6.1).

#![forbid(unsafe_code)]

use super::mask_keys::random;
use super::{ConfigFlag, Connection, Role, State, append};
use crate::close::Close;
use crate::error::Error;
use crate::frame::{FIN, Header, MAX_CONTROL_PAYLOAD_LEN, MAX_HEADER_LEN, Opcode};
use crate::mask::unmask;
use crate::utf8::{self, Validator};

/// What a message that is sent in pieces needs to be remembered of it.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// What it is, until its last piece was sent.
    message: Option<Opcode>,
    text: Validator,
}

impl Connection {
    /// Puts a whole message, text or binary, into the output as one frame.
    ///
    /// # Errors
    ///
    /// [`Error::SendNotData`], [`Error::SendInvalidUtf8`], [`Error::MessageNotFinished`], [`Error::OutputFull`], or
    /// [`Error::WrongState`] unless the connection is open. Nothing is put into the output then.
    pub fn send(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), Error> {
        self.check_open()?;
        if self.writer.message.is_some() {
            return Err(Error::MessageNotFinished);
        }
        if !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(Error::SendNotData);
        }
        let is_text = opcode == Opcode::Text && !self.settings.has(ConfigFlag::SkipUtf8);
        if is_text && utf8::check(payload) != Ok(payload.len()) {
            return Err(Error::SendInvalidUtf8);
        }
        self.put_limited_frame(true, opcode, payload)
    }

    /// Puts a piece of a message into the output, as a frame of its own (RFC 6455 section 5.4). All pieces of a message
    /// are sent with its opcode; text may be cut anywhere. Control frames may be sent between them, other messages not.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`]; [`Error::MessageNotFinished`] if the opcode is not that of the pieces before.
    pub fn send_piece(&mut self, opcode: Opcode, payload: &[u8], last: bool) -> Result<(), Error> {
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
        let on_the_wire = if self.writer.message.is_some() { Opcode::Continuation } else { opcode };
        self.put_limited_frame(last, on_the_wire, payload)?;
        self.writer = if last { Writer::default() } else { Writer { message: Some(opcode), text } };
        Ok(())
    }

    /// Puts a ping with a payload of at most 125 bytes into the output.
    ///
    /// # Errors
    ///
    /// [`Error::BuildOversizedControl`], [`Error::OutputFull`], or [`Error::WrongState`] unless the connection is open.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.check_open()?;
        self.put_limited_frame(true, Opcode::Ping, payload)
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
        self.put_limited_frame(true, Opcode::Pong, payload)
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
        self.put_frame(true, Opcode::Close, &payload)?;
        self.state = State::Closing;
        Ok(())
    }

    /// Open, or only just not: what answers messages that came together with the end can still be sent.
    fn check_open(&self) -> Result<(), Error> {
        if self.state == State::Open || self.farewell.is_some() { Ok(()) } else { Err(Error::WrongState) }
    }

    fn put_limited_frame(&mut self, fin: bool, opcode: Opcode, payload: &[u8]) -> Result<(), Error> {
        let frame_len = self.header(fin, opcode, payload).encoded_len().saturating_add(payload.len());
        if self.waiting().saturating_add(frame_len) as u64 > self.settings.max_output_len {
            return Err(Error::OutputFull);
        }
        self.put_frame(fin, opcode, payload)
    }

    /// The header of a frame; a client's still with a masking key of zeroes.
    fn header(&self, fin: bool, opcode: Opcode, payload: &[u8]) -> Header {
        let mask_key = if self.role == Role::Client { Some([0; 4]) } else { None };
        let first_byte = if fin { FIN } else { 0 };
        Header { mask_key, payload_len: payload.len() as u64, ..Header::with_first_byte(first_byte, opcode) }
    }

    /// Puts a frame into the output, however much waits there: for answers, of which the peer gets one at a time.
    pub(super) fn put_frame(&mut self, fin: bool, opcode: Opcode, payload: &[u8]) -> Result<(), Error> {
        if opcode.is_control() && payload.len() as u64 > MAX_CONTROL_PAYLOAD_LEN {
            return Err(Error::BuildOversizedControl);
        }
        let mut header = self.header(fin, opcode, payload);
        if let Some(key) = &mut header.mask_key {
            *key = random()?;
        }
        let mut head = [0; MAX_HEADER_LEN];
        let head_len = header.build(&mut head)?;
        let buffers = self.buffers();
        buffers.reuse_sent();
        let output = &mut buffers.output;
        output.try_reserve(head_len.saturating_add(payload.len())).map_err(|_| Error::OutOfMemory)?;
        output.extend(head.iter().take(head_len));
        let at = output.len();
        append(output, payload)?;
        if let (Some(key), Some(place)) = (header.mask_key, output.get_mut(at..)) {
            unmask(place, key, 0);
        }
        Ok(())
    }
}
