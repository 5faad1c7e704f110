//! The opening handshake of a connection, on both sides (RFC 6455 section 4).

#![forbid(unsafe_code)]

use super::mask_keys::random;
use super::{Config, ConfigFlag, Connection, Event, EventKind, Role, State, append};
use crate::deflate::Parameters;
use crate::error::Error;
use crate::handshake::{
    self, Extra, HeadReader, KEY_LEN, Request, Response, write_acceptance, write_refusal, write_request, write_response,
};

const EXTENSIONS: &str = "Sec-WebSocket-Extensions";

/// What is needed only until the connection is open.
#[derive(Debug, Default)]
pub(super) struct Opening {
    subprotocols: Vec<String>,
    origins: Vec<String>,
    /// Fields that the application adds to the request or the response.
    extra: Extra,
    reader: HeadReader,
    /// The head as far as it has been received.
    head: Vec<u8>,
    is_complete: bool,
    /// Frames that came before the application had answered the request.
    early: Vec<u8>,
    /// The key that a client has sent.
    key: Option<[u8; KEY_LEN]>,
}

impl Opening {
    pub(super) fn new(config: &Config) -> Self {
        Self { subprotocols: config.subprotocols.clone(), origins: config.origins.clone(), ..Self::default() }
    }

    /// The head, if all of it has come.
    pub(super) fn into_head(self) -> Vec<u8> {
        if self.is_complete { self.head } else { Vec::new() }
    }

    pub(super) fn write_refusal(&self, error: Error, out: &mut Vec<u8>) {
        write_refusal(error, &self.extra, out);
    }
}

impl Connection {
    /// Adds a field to the request of a client or the response of a server, before either is written.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidField`], or [`Error::WrongState`] if it is too late.
    pub fn add_field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        let opening = self.opening.as_mut().filter(|opening| opening.key.is_none()).ok_or(Error::WrongState)?;
        opening.extra.add(name, value)
    }

    /// Does without permessage-deflate although the config has it: a server for the client whose request it is about to
    /// answer, a client that has not asked yet.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`] if it is too late.
    pub fn decline_deflate(&mut self) -> Result<(), Error> {
        self.opening.as_ref().filter(|opening| opening.key.is_none()).ok_or(Error::WrongState)?;
        self.settings.flags &= !(ConfigFlag::Deflate as u32);
        Ok(())
    }

    /// Puts a client's request into the output (RFC 6455 section 4.1). `host` is the value of the Host field, `target`
    /// the path and query.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`], [`Error::NoRandomness`], or [`Error::WrongState`] for a server or a second request.
    pub fn request(&mut self, host: &[u8], target: &[u8]) -> Result<(), Error> {
        let opening = self.opening.as_mut().filter(|opening| opening.key.is_none()).ok_or(Error::WrongState)?;
        if self.role != Role::Client {
            return Err(Error::WrongState);
        }
        let key = handshake::key(random()?);
        let mut request = Vec::new();
        let offer = self.settings.deflate().map(handshake::offer);
        write_request(host, target, &key, &opening.subprotocols, offer.as_deref(), &opening.extra, &mut request)?;
        opening.key = Some(key);
        self.buffers().output.extend(request);
        Ok(())
    }

    /// Lets in the client of a [`EventKind::Request`] event. `subprotocol` is one that it offered; without one, the
    /// config's list decides. What the client has sent since becomes events, after [`EventKind::Open`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSubprotocol`], or [`Error::WrongState`] if no request waits.
    pub fn accept(&mut self, subprotocol: Option<&str>) -> Result<(), Error> {
        if self.state != State::Asked {
            return Err(Error::WrongState);
        }
        let opening = self.opening.take().ok_or(Error::WrongState)?;
        if let Err(error) = self.accept_head(&opening, subprotocol) {
            self.opening = Some(opening);
            return Err(error);
        }
        self.receive_frames_after(&opening.head, &opening.early);
        Ok(())
    }

    /// Answers a [`EventKind::Request`] or [`EventKind::Http`] event with an HTTP status from 200 to 599, the fields that
    /// were added, and a body. The connection is then closed.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidStatus`], or [`Error::WrongState`] if no request waits.
    pub fn refuse(&mut self, status: u16, body: &[u8]) -> Result<(), Error> {
        if self.state != State::Asked {
            return Err(Error::WrongState);
        }
        if !(200..=599).contains(&status) {
            return Err(Error::InvalidStatus);
        }
        let opening = self.opening.take().ok_or(Error::WrongState)?;
        write_response(status, &opening.extra, body, &mut self.buffers().output);
        self.state = State::Closed;
        Ok(())
    }

    /// The target of the request whose event is among [`Connection::events`].
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        Request::parse(self.head()?, self.max_fields()).ok().map(|request| request.target)
    }

    /// The first field of this name in the head whose event is among [`Connection::events`].
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        let head = self.head()?;
        match self.role {
            Role::Server => Request::parse(head, self.max_fields()).ok()?.fields.all(name).next(),
            Role::Client => Response::parse(head, self.max_fields()).ok()?.fields.all(name).next(),
        }
    }

    fn max_fields(&self) -> usize {
        usize::try_from(self.settings.max_head_fields).unwrap_or(usize::MAX)
    }

    fn head(&self) -> Option<&[u8]> {
        let kinds = [EventKind::Request, EventKind::Http, EventKind::Open, EventKind::Error];
        let is_head = |event: &&Event| event.length > 0 && kinds.iter().any(|&kind| event.is(kind));
        self.events().iter().find(is_head).map(|event| event.data(self.data()))
    }

    /// Takes what belongs to the head from the start of `input`, and returns what follows it once the connection is open.
    pub(super) fn receive_head<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], Error> {
        let Some(mut opening) = self.opening.take() else { return Ok(input) };
        let result = self.read_head(&mut opening, input);
        // Kept for a refusal, too, which writes its fields.
        if !matches!(self.state, State::Open) {
            self.opening = Some(opening);
        }
        result
    }

    fn read_head<'a>(&mut self, opening: &mut Opening, input: &'a [u8]) -> Result<&'a [u8], Error> {
        if self.state == State::Asked {
            return self.keep_early(opening, input);
        }
        let max_len = usize::try_from(self.settings.max_head_len).unwrap_or(usize::MAX);
        let room = max_len.saturating_sub(opening.head.len());
        // What is behind the limit is not looked at, so that it makes no difference how the bytes are cut.
        let within = input.get(..room).unwrap_or(input);
        let Some(end) = opening.reader.push(within)? else {
            append(&mut opening.head, within)?;
            return if within.len() < input.len() { Err(Error::HeadTooLarge) } else { Ok(&[]) };
        };
        let (head, rest) = input.split_at_checked(end).unwrap_or((input, &[]));
        append(&mut opening.head, head)?;
        opening.is_complete = true;
        match self.role {
            Role::Server => self.judge_request(opening)?,
            Role::Client => self.judge_response(opening)?,
        }
        if self.state == State::Asked { self.keep_early(opening, rest) } else { Ok(rest) }
    }

    /// Keeps frames that came before the application has answered; no more than a head may be long.
    fn keep_early<'a>(&mut self, opening: &mut Opening, input: &[u8]) -> Result<&'a [u8], Error> {
        let max_len = usize::try_from(self.settings.max_head_len).unwrap_or(usize::MAX);
        if opening.early.len().saturating_add(input.len()) > max_len {
            return Err(Error::HeadTooLarge);
        }
        append(&mut opening.early, input)?;
        Ok(&[])
    }

    fn judge_request(&mut self, opening: &mut Opening) -> Result<(), Error> {
        let request = Request::parse(&opening.head, self.max_fields())?;
        let asks = self.settings.has(ConfigFlag::Ask);
        if asks && !request.asks_for_upgrade() {
            self.state = State::Asked;
            self.put_head_event(EventKind::Http, &opening.head);
            return Ok(());
        }
        let key = request.check(&opening.origins)?;
        if asks {
            // What would be refused is not asked about.
            self.negotiate(&request)?;
            self.state = State::Asked;
            self.put_head_event(EventKind::Request, &opening.head);
            return Ok(());
        }
        self.accept_request(&request, key, opening, None)?;
        self.put_head_event(EventKind::Open, &opening.head);
        Ok(())
    }

    /// Accepts the request whose head is kept.
    fn accept_head(&mut self, opening: &Opening, subprotocol: Option<&str>) -> Result<(), Error> {
        let request = Request::parse(&opening.head, self.max_fields())?;
        // A plain HTTP request has no key, and cannot be accepted.
        let key = request.check(&opening.origins).map_err(|_| Error::WrongState)?;
        self.accept_request(&request, key, opening, subprotocol)
    }

    /// Puts the response into the output, and the connection is open.
    fn accept_request(
        &mut self,
        request: &Request<'_>,
        key: &[u8],
        opening: &Opening,
        subprotocol: Option<&str>,
    ) -> Result<(), Error> {
        let subprotocol = match subprotocol {
            Some(name) if !request.offers_subprotocol(name) => return Err(Error::InvalidSubprotocol),
            Some(name) => Some(name),
            None => request.choose_subprotocol(&opening.subprotocols),
        };
        let (deflate, extensions) = self.negotiate(request)?.unzip();
        write_acceptance(key, subprotocol, extensions.as_deref(), &opening.extra, &mut self.buffers().output)?;
        self.deflate = deflate;
        self.subprotocol = subprotocol.map(Box::from);
        self.state = State::Open;
        Ok(())
    }

    /// What to agree to of the request's offers, and how to say it.
    fn negotiate(&self, request: &Request<'_>) -> Result<Option<(Parameters, String)>, Error> {
        let Some(wanted) = self.settings.deflate() else { return Ok(None) };
        handshake::accept_offer(request.fields.all(EXTENSIONS), wanted)
    }

    fn judge_response(&mut self, opening: &mut Opening) -> Result<(), Error> {
        let response = Response::parse(&opening.head, self.max_fields())?;
        // Whoever answers before it was asked does not know the key.
        let key = opening.key.ok_or(Error::InvalidAccept)?;
        response.check(&key, &opening.subprotocols)?;
        self.deflate = handshake::check_response(response.fields.all(EXTENSIONS), self.settings.deflate())?;
        self.subprotocol = response.fields.list("Sec-WebSocket-Protocol").next().map(Box::from);
        self.state = State::Open;
        self.put_head_event(EventKind::Open, &opening.head);
        Ok(())
    }

    pub(super) fn put_head_event(&mut self, kind: EventKind, head: &[u8]) {
        let buffers = self.buffers();
        let offset = buffers.data.len();
        buffers.data.extend(head);
        buffers.message = buffers.data.len()..buffers.data.len();
        buffers.events.push(Event::new(kind, offset, head.len()));
    }
}
