//! The opening handshake of a connection, on both sides (RFC 6455 section 4).

#![forbid(unsafe_code)]

use super::buffers;
use super::mask_keys::random;
use super::{Config, ConfigFlag, Connection, Event, EventKind, Role, State};
use crate::deflate::Parameters;
use crate::error::Error;
use crate::handshake::{
    self, Extra, HeadReader, KEY_LEN, Request, Response, lower_version, write_acceptance, write_refusal, write_request,
    write_response,
};
use crate::memory::{append, collected, copied_text};

const EXTENSIONS: &str = "Sec-WebSocket-Extensions";
/// With what TLS begins, and no head: the type of a record (RFC 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 22;
/// How many bytes of frames may come before the application has answered the request.
const MAX_EARLY_LEN: usize = 64 << 10;

/// What is needed only until the connection is open.
#[derive(Debug, Default)]
pub(super) struct Opening {
    subprotocols: Vec<String>,
    origins: Vec<String>,
    /// Fields that the application adds to the request or the response.
    extra: Extra,
    reader: HeadReader,
    /// The head as far as it has been received.
    pub(super) head: Vec<u8>,
    is_complete: bool,
    /// How long the interim responses before it were.
    interim_len: usize,
    /// What came behind the head: frames that wait for the application's answer to the request, or the content of the
    /// response that refused a client.
    pub(super) early: Vec<u8>,
    /// The key that a client has sent.
    key: Option<[u8; KEY_LEN]>,
}

impl Opening {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let copied = |list: &[String]| collected(list.iter().map(|name| copied_text(name).map(String::from)));
        Ok(Self { subprotocols: copied(&config.subprotocols)?, origins: copied(&config.origins)?, ..Self::default() })
    }

    /// How many bytes are held of what was received.
    pub(super) fn held_len(&self) -> usize {
        self.head.len().saturating_add(self.early.len())
    }

    /// What a client was answered, if all of the head has come.
    pub(super) fn answered(self) -> Self {
        if self.is_complete { self } else { Self::default() }
    }

    pub(super) fn write_refusal(&self, error: Error, out: &mut Vec<u8>) -> Result<(), Error> {
        write_refusal(error, &self.extra, out)
    }
}

/// What is to be done without although the config has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Without {
    /// Nothing.
    #[default]
    Nothing,
    /// permessage-deflate.
    Deflate,
}

impl Connection {
    /// Adds a field to the request of a client or the response of a server, before either is written. To a connection that
    /// is over nothing is added.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidField`], [`Error::TooLateForField`] or [`Error::OutOfMemory`].
    pub fn add_field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        if self.is_over() {
            return Ok(());
        }
        let opening = self.opening.as_mut().filter(|opening| opening.key.is_none()).ok_or(Error::TooLateForField)?;
        opening.extra.add(name, value)
    }

    /// Puts a client's request into the output (RFC 6455 section 4.1). `host` is the value of the Host field, `target`
    /// the path and query. Returns how many bytes of output wait; 0 if the connection is over.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidHost`], [`Error::InvalidTarget`], [`Error::NotAClient`], [`Error::RequestedBefore`],
    /// [`Error::NoRandomness`] or [`Error::OutOfMemory`].
    pub fn request(&mut self, host: &[u8], target: &[u8]) -> Result<usize, Error> {
        if self.role != Role::Client {
            return Err(Error::NotAClient);
        }
        if self.is_over() {
            return Ok(0);
        }
        let opening = self.opening.as_mut().filter(|opening| opening.key.is_none()).ok_or(Error::RequestedBefore)?;
        let key = handshake::key(random()?);
        let offer = self.settings.deflate().map(handshake::offer).transpose()?;
        let out = buffers::of(&mut self.buffers)?.output.bytes();
        write_request(host, target, &key, &opening.subprotocols, offer.as_deref(), &opening.extra, out)?;
        opening.key = Some(key);
        Ok(self.waiting())
    }

    /// Lets in the client of a [`EventKind::Request`] event. `subprotocol` is one that it offered; without one, the
    /// config's list decides. What the client has sent since becomes events, after [`EventKind::Open`]. If the connection is
    /// over meanwhile there are none.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSubprotocol`], [`Error::NothingAsked`], [`Error::NotAServer`] or [`Error::OutOfMemory`]; the request
    /// still waits then.
    pub fn accept(&mut self, subprotocol: Option<&str>, without: Without) -> Result<(), Error> {
        if self.is_over() {
            return self.begin_receiving(0).map(|_| ());
        }
        self.check_asked()?;
        self.begin_receiving(0)?;
        let opening = self.opening.take().ok_or(Error::NothingAsked)?;
        if let Err(error) = self.accept_head(&opening, subprotocol, without) {
            self.opening = Some(opening);
            return Err(error);
        }
        self.receive_frames_after(&opening.head, &opening.early);
        Ok(())
    }

    /// Answers a [`EventKind::Request`] or [`EventKind::Http`] event with an HTTP status from 200 to 599, the fields that
    /// were added, and a body, of which a request with HEAD is told the length only. The connection is then closed. Returns
    /// how many bytes of output wait; 0 if the connection is over meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidStatus`], [`Error::NothingAsked`], [`Error::NotAServer`] or [`Error::OutOfMemory`].
    pub fn respond(&mut self, status: u16, body: &[u8]) -> Result<usize, Error> {
        if !(200..=599).contains(&status) {
            return Err(Error::InvalidStatus);
        }
        if self.is_over() {
            return Ok(0);
        }
        self.check_asked()?;
        let opening = self.opening.as_ref().ok_or(Error::NothingAsked)?;
        let is_for_head = opening.head.starts_with(b"HEAD ");
        let output = &mut buffers::of(&mut self.buffers)?.output;
        write_response(status, &opening.extra, body, is_for_head, output.bytes())?;
        self.opening = None;
        self.state = State::Closed;
        Ok(self.waiting())
    }

    /// Whether nothing more is received or sent but what waits already.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Closed | State::Failed) && self.farewell.is_none()
    }

    fn check_asked(&self) -> Result<(), Error> {
        match self.role {
            Role::Client => Err(Error::NotAServer),
            Role::Server if self.state != State::Asked => Err(Error::NothingAsked),
            Role::Server => Ok(()),
        }
    }

    /// The target of the request, as a path and query: while it waits for an answer, and as long as its event is among
    /// [`Connection::events`]; or for good, if the config had it.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        match self.head() {
            Some(head) if self.role == Role::Server => handshake::target_of(head),
            _ => self.agreed.as_ref()?.target.as_deref(),
        }
    }

    /// The names and values of the fields in the head of the request, or of the response for a client, in order; as long as
    /// [`Connection::target`] says.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.head().into_iter().flat_map(handshake::fields_of)
    }

    /// The value of the first field of this name, whatever its letters' case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn max_fields(&self) -> usize {
        usize::try_from(self.settings.max_head_fields).unwrap_or(usize::MAX)
    }

    fn head(&self) -> Option<&[u8]> {
        if let Some(opening) = self.opening.as_ref().filter(|_| self.state == State::Asked) {
            return Some(&opening.head);
        }
        let kinds = [EventKind::Request, EventKind::Http, EventKind::Open, EventKind::Error];
        let is_head = |event: &&Event| event.len > 0 && kinds.iter().any(|&kind| event.is(kind));
        self.events().iter().find(is_head).map(|event| event.data(self.data()))
    }

    /// Takes what belongs to the head from the start of `input`, and returns what follows it once the connection is open.
    pub(super) fn receive_head<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], Error> {
        let Some(mut opening) = self.opening.take() else { return Ok(input) };
        let result = self.read_head(&mut opening, input);
        // Kept for a refusal, too, which writes its fields.
        if self.state != State::Open || result.is_err() {
            self.opening = Some(opening);
        }
        result
    }

    fn read_head<'a>(&mut self, opening: &mut Opening, input: &'a [u8]) -> Result<&'a [u8], Error> {
        let mut input = input;
        while self.state == State::Connecting {
            let max_len = usize::try_from(self.settings.max_head_len).unwrap_or(usize::MAX);
            let room = max_len.saturating_sub(opening.head.len()).saturating_sub(opening.interim_len);
            // What is behind the limit is not looked at, so that it makes no difference how the bytes are cut.
            let within = input.get(..room).unwrap_or(input);
            if opening.head.is_empty() && within.first() == Some(&TLS_HANDSHAKE) {
                return Err(Error::TlsToPlain);
            }
            let Some(end) = opening.reader.push(within)? else {
                append(&mut opening.head, within)?;
                return if within.len() < input.len() { Err(Error::HeadTooLarge) } else { Ok(&[]) };
            };
            let (head, rest) = input.split_at_checked(end).unwrap_or((input, &[]));
            append(&mut opening.head, head)?;
            lower_version(&mut opening.head);
            opening.is_complete = true;
            input = rest;
            match self.role {
                Role::Server => self.judge_request(opening)?,
                Role::Client => self.judge_response(opening, rest)?,
            }
        }
        if self.state == State::Asked { self.keep_early(opening, input) } else { Ok(input) }
    }

    /// Keeps frames that came before the application has answered.
    fn keep_early<'a>(&mut self, opening: &mut Opening, input: &[u8]) -> Result<&'a [u8], Error> {
        if opening.early.len().saturating_add(input.len()) > MAX_EARLY_LEN {
            return Err(Error::TooMuchEarly);
        }
        append(&mut opening.early, input)?;
        Ok(&[])
    }

    fn judge_request(&mut self, opening: &mut Opening) -> Result<(), Error> {
        let request = Request::parse(&opening.head, self.max_fields())?;
        let asks = self.settings.has(ConfigFlag::Ask);
        if asks && !request.asks_for_upgrade() {
            self.put_head_event(EventKind::Http, &opening.head, &[])?;
            self.state = State::Asked;
            return Ok(());
        }
        let key = request.check(&opening.origins)?;
        if asks {
            // What would be refused is not asked about.
            self.negotiate(&request)?;
            self.put_head_event(EventKind::Request, &opening.head, &[])?;
            self.state = State::Asked;
            return Ok(());
        }
        self.put_head_event(EventKind::Open, &opening.head, &[])?;
        let accepted = self.accept_request(&request, key, opening, None, Without::Nothing);
        if accepted.is_err() {
            // It is not open.
            buffers::of(&mut self.buffers)?.drop_delivered();
        }
        accepted
    }

    /// Accepts the request whose head is kept.
    fn accept_head(&mut self, opening: &Opening, subprotocol: Option<&str>, without: Without) -> Result<(), Error> {
        let request = Request::parse(&opening.head, self.max_fields())?;
        // A plain HTTP request has no key, and cannot be accepted.
        let key = match request.check(&opening.origins) {
            Err(error) if error != Error::OutOfMemory => return Err(Error::NothingAsked),
            key => key?,
        };
        self.accept_request(&request, key, opening, subprotocol, without)
    }

    /// Puts the response into the output, and the connection is open.
    fn accept_request(
        &mut self,
        request: &Request<'_>,
        key: &[u8],
        opening: &Opening,
        subprotocol: Option<&str>,
        without: Without,
    ) -> Result<(), Error> {
        let subprotocol = match subprotocol {
            Some(name) if !request.offers_subprotocol(name) => return Err(Error::InvalidSubprotocol),
            Some(name) => Some(name),
            None => request.choose_subprotocol(&opening.subprotocols),
        };
        let (deflate, extensions) = match without {
            Without::Nothing => self.negotiate(request)?.unzip(),
            Without::Deflate => (None, None),
        };
        self.agree(subprotocol.map(copied_text).transpose()?, None)?;
        let out = buffers::of(&mut self.buffers)?.output.bytes();
        write_acceptance(key, subprotocol, extensions.as_deref(), &opening.extra, out)?;
        self.deflate = deflate;
        self.state = State::Open;
        Ok(())
    }

    /// What to agree to of the request's offers, and how to say it.
    fn negotiate(&self, request: &Request<'_>) -> Result<Option<(Parameters, String)>, Error> {
        let Some(wanted) = self.settings.deflate() else { return Ok(None) };
        handshake::accept_offer(request.fields.all(EXTENSIONS), wanted)
    }

    fn judge_response(&mut self, opening: &mut Opening, rest: &[u8]) -> Result<(), Error> {
        let response = Response::parse(&opening.head, self.max_fields())?;
        if response.is_interim() && opening.key.is_some() {
            opening.interim_len = opening.interim_len.saturating_add(opening.head.len());
            opening.head.clear();
            opening.is_complete = false;
            return Ok(());
        }
        // Whoever answers before it was asked does not know the key.
        let key = opening.key.ok_or(Error::InvalidAccept)?;
        if let Err(error) = response.check(&key, &opening.subprotocols) {
            self.close_code = response.status;
            append(&mut opening.early, rest.get(..MAX_EARLY_LEN).unwrap_or(rest))?;
            return Err(error);
        }
        let deflate = handshake::check_response(response.fields.all(EXTENSIONS), self.settings.deflate())?;
        let subprotocol = response.fields.list("Sec-WebSocket-Protocol").next();
        self.agree(subprotocol.map(copied_text).transpose()?, None)?;
        self.put_head_event(EventKind::Open, &opening.head, &[])?;
        self.deflate = deflate;
        self.state = State::Open;
        Ok(())
    }

    /// Adds an event whose data are a head, and what came behind it.
    pub(super) fn put_head_event(&mut self, kind: EventKind, head: &[u8], behind: &[u8]) -> Result<(), Error> {
        let buffers = buffers::of(&mut self.buffers)?;
        let begin = buffers.put_data(head)?.start;
        let end = buffers.put_data(behind)?.end;
        let event = Event::new(kind, begin, end.saturating_sub(begin));
        if kind == EventKind::Error { buffers.put_last_event(event) } else { buffers.put_event(event) }
    }
}
