//! Frames in, events out (RFC 6455 sections 5 and 6.2).

#![forbid(unsafe_code)]

use std::ops::Range;

use super::{ConfigFlag, Connection, Event, EventFlag, EventKind, Farewell, Role, Settings, State, buffers};
use crate::close::{self, Close};
use crate::error::Error;
use crate::frame::{ControlPayload, FIN, Header, MAX_HEADER_LEN, Opcode};
use crate::mask::unmask;
use crate::utf8::Validator;

/// With more output than this waiting, only the last ping is answered (RFC 6455 section 5.5.3).
const MUCH_OUTPUT: usize = 64 << 10;

/// How far the bytes of the peer have been understood.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The start of a header that is not complete.
    partial: [u8; MAX_HEADER_LEN],
    partial_len: u8,
    /// Whether the message has not had an event yet.
    at_first: bool,
    /// The frame whose payload is being received.
    frame: Option<Frame>,
    /// What the message is of which frames have come, but not the last.
    message: Option<Opcode>,
    /// How many frames of it have come.
    fragments: u32,
    text: Validator,
    /// Whether its first frame had RSV1.
    pub(super) is_compressed: bool,
    /// How long it is so far: by the headers, or as inflated.
    pub(super) message_len: u64,
}

/// A frame whose header is understood.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    fin: bool,
    mask_key: Option<[u8; 4]>,
    /// How much of the payload has come.
    received: u64,
    payload_len: u64,
}

/// The bytes that are being received.
pub(super) enum Input<'a> {
    Shared(&'a [u8]),
    /// They may be changed: what lies whole in them is unmasked there.
    InPlace(&'a mut [u8]),
}

impl Reader {
    /// Whether a message may begin with the next byte.
    pub(super) const fn is_between_messages(&self) -> bool {
        self.partial_len == 0 && self.frame.is_none() && self.message.is_none()
    }

    /// What checks the message, if it is text that has to be UTF-8.
    #[inline]
    pub(super) fn checked_text(&mut self, settings: &Settings) -> Option<&mut Validator> {
        let is_checked = self.message == Some(Opcode::Text) && !settings.has(ConfigFlag::SkipUtf8);
        is_checked.then_some(&mut self.text)
    }
}

impl Connection {
    /// Takes what was read from the peer, in pieces of any size. Afterwards [`Connection::events`] and
    /// [`Connection::data`] have what happened, and [`Connection::output`] what is to be answered.
    ///
    /// One call delivers no more than about 1 MiB beyond a single message, nor than 4,094 events: if there is more,
    /// [`Connection::has_more`] says so, and the next call, with or without new bytes, goes on.
    ///
    /// What the peer does wrong is no error of this call but the last event, after all that was valid before it. Whatever
    /// comes after that event, or after [`EventKind::Close`], is ignored.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`]; nothing was received then.
    pub fn receive(&mut self, input: &[u8]) -> Result<(), Error> {
        if !self.begin_receiving(input.len())? {
            return Ok(());
        }
        match self.receive_head(input) {
            Ok(rest) => self.receive_frames(&mut Input::Shared(rest)),
            Err(error) => self.fail(error),
        }
        Ok(())
    }

    /// As [`Connection::receive`], but `input` may be changed: payloads that lie whole in it are unmasked there, without a
    /// copy. Their events have the flag [`EventFlag::InPlace`], and their offsets count from the start of `input`.
    ///
    /// # Errors
    ///
    /// As [`Connection::receive`].
    pub fn receive_in_place(&mut self, input: &mut [u8]) -> Result<(), Error> {
        if self.opening.is_some() {
            return self.receive(input);
        }
        if self.begin_receiving(input.len())? {
            self.receive_frames(&mut Input::InPlace(input));
        }
        Ok(())
    }

    /// Whether there is more to deliver of what was received.
    #[must_use]
    #[inline]
    pub fn has_more(&self) -> bool {
        self.buffers.as_ref().is_some_and(|buffers| buffers.has_rest())
    }

    /// Delivers a head and the frames that came with it, after the application has accepted.
    pub(super) fn receive_frames_after(&mut self, head: &[u8], input: &[u8]) {
        let put = self.put_head_event(EventKind::Open, head, &[]);
        match put {
            Ok(()) => self.receive_frames(&mut Input::Shared(input)),
            Err(error) => self.fail(error),
        }
    }

    /// Forgets what was delivered, and returns whether anything is still received.
    pub(super) fn begin_receiving(&mut self, input_len: usize) -> Result<bool, Error> {
        // What belonged before the close frame has had its time.
        self.say_farewell();
        if matches!(self.state, State::Closed | State::Failed) {
            if let Some(buffers) = &mut self.buffers {
                buffers.drop_delivered();
            }
            return Ok(false);
        }
        let buffers = buffers::of(&mut self.buffers)?;
        buffers.prepare()?;
        buffers.drop_delivered();
        if input_len > 0 {
            self.clock.hear();
        }
        Ok(true)
    }

    fn receive_frames(&mut self, input: &mut Input<'_>) {
        if let Err(error) = self.receive_frames_of(input) {
            self.fail(error);
        }
        self.finish_receiving();
    }

    fn receive_frames_of(&mut self, input: &mut Input<'_>) -> Result<(), Error> {
        if self.has_more() {
            let buffers = buffers::of(&mut self.buffers)?;
            // It has to wait for what came before it.
            buffers.keep_rest(input.bytes())?;
            let (rest, at) = buffers.take_rest();
            let taken = self.take_frames(&mut Input::Shared(&rest), at);
            let end = *taken.as_ref().unwrap_or(&rest.len());
            buffers::of(&mut self.buffers)?.put_rest(rest, end);
            taken?;
        } else {
            let end = self.take_frames(input, 0)?;
            let rest = input.bytes().get(end..).unwrap_or_default();
            if !rest.is_empty() && self.receives_frames() {
                buffers::of(&mut self.buffers)?.keep_rest(rest)?;
            }
        }
        self.deliver_piece()
    }

    const fn receives_frames(&self) -> bool {
        matches!(self.state, State::Open | State::Closing)
    }

    /// Takes frames from the input at `at` on until it ends, or the batch is full, and returns where that was.
    fn take_frames(&mut self, input: &mut Input<'_>, at: usize) -> Result<usize, Error> {
        let mut at = at;
        while self.receives_frames() && !self.is_batch_full()? {
            at = self.receive_whole_messages(input, at)?;
            match self.receive_part(input, at)? {
                Some(used) => at = at.saturating_add(used),
                None => return Ok(input.bytes().len()),
            }
        }
        Ok(at)
    }

    fn is_batch_full(&mut self) -> Result<bool, Error> {
        let buffers = buffers::of(&mut self.buffers)?;
        Ok(if self.settings.has(ConfigFlag::Pieces) { buffers.is_full_of_pieces() } else { buffers.is_full() })
    }

    /// Takes a header, or what there is of a payload, from the input at `at`, and returns how many bytes that took;
    /// `None` if there is nothing left to take.
    fn receive_part(&mut self, input: &mut Input<'_>, at: usize) -> Result<Option<usize>, Error> {
        let rest = input.bytes().get(at..).unwrap_or_default();
        let Some(mut frame) = self.reader.frame else { return self.receive_header(rest) };
        let missing = usize::try_from(frame.payload_len.saturating_sub(frame.received)).unwrap_or(usize::MAX);
        let taken = missing.min(rest.len());
        let part = at..at.saturating_add(taken);
        if taken == missing && frame.received == 0 && self.receive_whole(input, part.clone(), frame)? {
            self.reader.frame = None;
            return Ok(Some(taken));
        }
        self.receive_payload(input.bytes().get(part).unwrap_or_default(), frame)?;
        frame.received = frame.received.saturating_add(taken as u64);
        self.reader.frame = if taken == missing { None } else { Some(frame) };
        if taken < missing {
            return Ok(None);
        }
        self.end_frame(frame)?;
        Ok(Some(taken))
    }

    /// Unmasks a payload where it is and delivers it, if the input may be changed and the payload is all of a message or
    /// of a control frame. Returns whether it did.
    fn receive_whole(&mut self, input: &mut Input<'_>, part: Range<usize>, frame: Frame) -> Result<bool, Error> {
        let is_message = frame.fin && frame.opcode != Opcode::Continuation && !self.reader.is_compressed;
        let is_whole = frame.opcode.is_control() || is_message;
        let Input::InPlace(input) = input else { return Ok(false) };
        let Some(payload) = input.get_mut(part.clone()).filter(|_| is_whole) else { return Ok(false) };
        if frame.opcode.is_control() {
            unmask_in_place(payload, frame.mask_key, None)?;
            self.end_control_frame(frame.opcode, payload, part.start, EventFlag::InPlace as u8)?;
            return Ok(true);
        }
        unmask_in_place(payload, frame.mask_key, self.reader.checked_text(&self.settings))?;
        self.end_message(part, EventFlag::InPlace as u8)?;
        Ok(true)
    }

    /// Takes a header from the start of `input` and returns how many of its bytes that took.
    fn receive_header(&mut self, input: &[u8]) -> Result<Option<usize>, Error> {
        let minimal = !self.settings.has(ConfigFlag::AcceptLongLengths);
        let reader = &mut self.reader;
        if reader.partial_len == 0
            && let Some((header, used)) = Header::read(input, minimal)?
        {
            self.begin_frame(header)?;
            return Ok(Some(used));
        }
        // The header is cut: its bytes are put together in a place of their own.
        let had = usize::from(reader.partial_len);
        let place = reader.partial.get_mut(had..).unwrap_or_default();
        let kept = place.len().min(input.len());
        for (place, &byte) in place.iter_mut().zip(input) {
            *place = byte;
        }
        let have = had.saturating_add(kept);
        match Header::read(reader.partial.get(..have).unwrap_or_default(), minimal)? {
            Some((header, header_len)) => {
                reader.partial_len = 0;
                self.begin_frame(header)?;
                Ok(Some(header_len.saturating_sub(had)))
            }
            None => {
                reader.partial_len = u8::try_from(have).unwrap_or_default();
                Ok(None)
            }
        }
    }

    fn begin_frame(&mut self, header: Header) -> Result<(), Error> {
        // RFC 6455 section 5.1.
        match (self.role, header.mask_key.is_some()) {
            _ if self.settings.has(ConfigFlag::AcceptAnyMask) => {}
            (Role::Server, false) => return Err(Error::Unmasked),
            (Role::Client, true) => return Err(Error::Masked),
            _ => {}
        }
        // On the first frame of a message, as agreed (RFC 7692 section 6).
        let may_be_compressed = self.deflate.is_some() && matches!(header.opcode, Opcode::Text | Opcode::Binary);
        if header.rsv1 && !may_be_compressed || header.rsv2 || header.rsv3 {
            return Err(Error::ReservedBits);
        }
        if !header.opcode.is_control() {
            self.begin_data_frame(header)?;
        }
        let Header { opcode, fin, mask_key, payload_len, .. } = header;
        self.reader.frame = Some(Frame { opcode, fin, mask_key, received: 0, payload_len });
        Ok(())
    }

    fn begin_data_frame(&mut self, header: Header) -> Result<(), Error> {
        let reader = &mut self.reader;
        match (header.opcode, reader.message) {
            (Opcode::Continuation, None) => return Err(Error::NothingToContinue),
            (Opcode::Continuation, Some(_)) => {}
            (_, Some(_)) => return Err(Error::MessageInterrupted),
            (opcode, None) => {
                reader.message = Some(opcode);
                reader.at_first = true;
                reader.fragments = 0;
                reader.is_compressed = header.rsv1;
                reader.message_len = 0;
                reader.text = Validator::default();
            }
        }
        reader.fragments = reader.fragments.saturating_add(1);
        // How long a compressed one is will be seen as it is inflated.
        if !reader.is_compressed {
            reader.message_len = reader.message_len.saturating_add(header.payload_len);
        }
        if reader.fragments > self.settings.max_fragments {
            return Err(Error::TooManyFragments);
        }
        if header.payload_len > self.settings.max_frame_len || reader.message_len > self.settings.max_message_len {
            return Err(Error::MessageTooBig);
        }
        Ok(())
    }

    /// Unmasks a part of a payload and keeps it with what has come before.
    fn receive_payload(&mut self, part: &[u8], frame: Frame) -> Result<(), Error> {
        let offset = usize::try_from(frame.received % 4).unwrap_or_default();
        let mask = frame.mask_key.map(|key| (key, offset));
        if frame.opcode.is_control() {
            return buffers::of(&mut self.buffers)?.grow_control(part, mask);
        }
        if self.reader.is_compressed {
            return self.inflate(part, mask);
        }
        let left = frame.payload_len.saturating_sub(frame.received).saturating_sub(part.len() as u64);
        let coming = frame.fin.then_some(left);
        let text = self.reader.checked_text(&self.settings);
        buffers::of(&mut self.buffers)?.grow_message(part, mask, text, coming)
    }

    fn end_frame(&mut self, frame: Frame) -> Result<(), Error> {
        if frame.opcode.is_control() {
            // Its answer goes into the same buffers.
            let (at, payload) = buffers::of(&mut self.buffers)?.end_control()?;
            return self.end_control_frame(frame.opcode, payload.bytes(), at, 0);
        }
        if !frame.fin {
            return Ok(());
        }
        if self.reader.is_compressed {
            self.finish_inflating()?;
        }
        let message = buffers::of(&mut self.buffers)?.end_message();
        self.end_message(message, 0)
    }

    fn end_message(&mut self, message: Range<usize>, place: u8) -> Result<(), Error> {
        if !self.reader.text.is_complete() {
            return Err(Error::InvalidUtf8);
        }
        self.put_message_event(message, EventFlag::Last as u8 | place)?;
        self.reader.message = None;
        Ok(())
    }

    /// Delivers a control frame whose payload is at `at`, and answers it.
    fn end_control_frame(&mut self, opcode: Opcode, payload: &[u8], at: usize, place: u8) -> Result<(), Error> {
        let event = |kind| Event { flags: place, ..Event::new(kind, at, payload.len()) };
        match opcode {
            Opcode::Close => self.end_with_close(payload, event(EventKind::Close)),
            Opcode::Ping => {
                #[cfg(feature = "inject-panic")]
                #[allow(clippy::panic)]
                if payload == b"inject a panic" {
                    panic!("injected");
                }
                buffers::of(&mut self.buffers)?.put_event(event(EventKind::Ping))?;
                self.answer_ping(payload)
            }
            _ => buffers::of(&mut self.buffers)?.put_event(event(EventKind::Pong)),
        }
    }

    /// Answers the peer's close frame with the same code, unless it is itself an answer (RFC 6455 section 5.5.1).
    fn end_with_close(&mut self, payload: &[u8], event: Event) -> Result<(), Error> {
        let is_allowed =
            if self.settings.has(ConfigFlag::AcceptAnyCloseCode) { close::is_no_stand_in } else { close::may_be_sent };
        let close = Close::parse_if(payload, is_allowed)?;
        let len = close.reason.len() as u64;
        let offset = event.offset.saturating_add(event.len).saturating_sub(len);
        buffers::of(&mut self.buffers)?.put_event(Event { close_code: close.code, offset, len, ..event })?;
        if self.state == State::Open {
            self.farewell = Some(Farewell { code: close.code });
        }
        self.close_code = close.code;
        self.state = State::Closed;
        Ok(())
    }

    fn answer_ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        // Until the peer's close frame has come (RFC 6455 section 5.5.2), after its own one too.
        if self.settings.has(ConfigFlag::ManualPong) || !self.receives_frames() {
            return Ok(());
        }
        let buffers = buffers::of(&mut self.buffers)?;
        if buffers.output.waiting() > MUCH_OUTPUT {
            buffers.unanswered = Some(ControlPayload::new(&[payload]));
            return Ok(());
        }
        self.put_frame(FIN, Opcode::Pong, payload)
    }

    /// Answers the ping that had to wait, if there is room now.
    pub(super) fn answer_last_ping(&mut self) -> Result<(), Error> {
        match &mut self.buffers {
            Some(buffers) if buffers.unanswered.is_some() && buffers.output.waiting() <= MUCH_OUTPUT => {
                match buffers.unanswered.take() {
                    Some(payload) => self.answer_ping(payload.bytes()),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Delivers what has come of a message that is not complete, if the application wants that.
    fn deliver_piece(&mut self) -> Result<(), Error> {
        if !self.receives_frames() || self.reader.message.is_none() || !self.settings.has(ConfigFlag::Pieces) {
            return Ok(());
        }
        let piece = buffers::of(&mut self.buffers)?.cut_piece(self.reader.text.cut_len());
        if piece.is_empty() { Ok(()) } else { self.put_message_event(piece, 0) }
    }

    fn put_message_event(&mut self, message: Range<usize>, flags: u8) -> Result<(), Error> {
        let kind = if self.reader.message == Some(Opcode::Text) { EventKind::Text } else { EventKind::Binary };
        let first = if std::mem::take(&mut self.reader.at_first) { EventFlag::First as u8 } else { 0 };
        let compressed = if self.reader.is_compressed { EventFlag::Compressed as u8 } else { 0 };
        let event = Event { flags: flags | first | compressed, ..Event::new(kind, message.start, message.len()) };
        buffers::of(&mut self.buffers)?.put_event(event)
    }

    /// Puts the payloads of control frames where their events can point to.
    fn finish_receiving(&mut self) {
        let Some(buffers) = &mut self.buffers else { return };
        if buffers.join_control().is_err() {
            buffers.drop_control();
            if self.receives_frames() {
                self.fail(Error::OutOfMemory);
            }
        }
        if !self.receives_frames()
            && let Some(buffers) = &mut self.buffers
        {
            // Nothing will complete it.
            buffers.drop_unfinished();
        }
    }
}

/// Unmasks a payload, or a part of one, where it is, and checks it if it is `text`.
#[inline]
pub(super) fn unmask_in_place(
    payload: &mut [u8],
    key: Option<[u8; 4]>,
    text: Option<&mut Validator>,
) -> Result<(), Error> {
    match (key, text) {
        (Some(key), Some(text)) => text.push_unmasked(payload, key, 0),
        (Some(key), None) => {
            unmask(payload, key, 0);
            Ok(())
        }
        (None, Some(text)) => text.push(payload),
        (None, None) => Ok(()),
    }
}

impl Input<'_> {
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(input) => input,
            Self::InPlace(input) => input,
        }
    }
}
