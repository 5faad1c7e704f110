//! One WebSocket connection without I/O: bytes in, events out; messages in, bytes out (RFC 6455).
//!
//! ```
//! use wsframe::connection::{Config, Connection, EventKind, Role};
//! use wsframe::frame::Opcode;
//!
//! let mut connection = Connection::new(Role::Server, &Config::default())?;
//! # let read = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
//! #     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\
//! #     \x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
//! // What was read from the socket:
//! connection.receive(read)?;
//! for i in 0..connection.events().len() {
//!     let event = connection.events()[i];
//!     if event.is(EventKind::Text) {
//!         let text = event.data(connection.data()).to_vec();
//!         connection.send(Opcode::Text, &text)?;
//!     }
//! }
//! // What is to be written to it, how much of it was, and what time it is:
//! # let now_ms = 0;
//! let mut written = 0;
//! loop {
//!     let output = connection.output(written, now_ms)?;
//!     if output.bytes.is_empty() {
//!         break;
//!     }
//!     # assert!(output.bytes.ends_with(b"\x81\x05Hello"));
//!     written = output.bytes.len();
//! }
//! # Ok::<(), wsframe::error::Error>(())
//! ```

#![forbid(unsafe_code)]

mod buffers;
mod clock;
mod config;
mod deflate;
mod event;
#[cfg_attr(not(unix), allow(dead_code, reason = "there is no hub"))]
mod hosted;
mod large;
mod mask_keys;
mod message;
mod opening;
mod output;
mod receive;
mod send;
#[cfg(test)]
mod tests;
mod whole;

use crate::close::{self, NO_STATUS};
use crate::deflate::Parameters;
use crate::error::Error;
use crate::frame::{FIN, Opcode};
use crate::handshake;
use crate::memory::{Boxed, copied_text};
use crate::shared::Shared;
use buffers::Slot;
use clock::{Clock, Due};
pub use config::{Config, ConfigFlag, NEVER, Settings};
use deflate::Contexts;
pub use event::{Event, EventFlag, EventKind};
pub use message::Message;
#[cfg(unix)]
pub(crate) use message::check_message;
use opening::Opening;
pub use opening::Without;
pub use output::Lending;
use receive::Reader;
pub use send::Compress;
use send::Writer;

/// Which end of the connection this is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The end that was connected to.
    Server = 0,
    /// The end that connected.
    Client = 1,
}

/// How far a connection has come.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The opening handshake is not done.
    Connecting = 0,
    /// A request waits for the application's answer.
    Asked = 1,
    /// Messages go both ways.
    Open = 2,
    /// A close frame was sent; the peer's is awaited.
    Closing = 3,
    /// Both close frames were exchanged, or a request was answered with something else than 101. Nothing that still comes
    /// is looked at. A server closes TCP when the output is written, a client waits for the server to do so, but not
    /// forever.
    Closed = 4,
    /// The peer broke the rules, refused or was refused, had its time, or is gone. Close TCP when the output is written.
    Failed = 5,
}

/// One connection. See the module.
#[derive(Debug)]
pub struct Connection {
    /// Those of the config, which the connections of a thread share.
    settings: Shared<Settings>,
    role: Role,
    state: State,
    clock: Clock,
    reader: Reader,
    writer: Writer,
    /// The payload of the close frame that ends the output, until it is put there.
    farewell: Option<Farewell>,
    /// Why the connection failed.
    error: Option<Error>,
    /// That of the peer's close frame, or the HTTP status with which it refused; 0 until then.
    close_code: u16,
    /// Whether TCP has ended.
    is_gone: bool,
    /// What both ends agreed on, if messages may be compressed.
    deflate: Option<Parameters>,
    /// What else they agreed on, if anything.
    agreed: Option<Boxed<Agreed>>,
    /// Only once a message was compressed, and only as long as the next may refer to it.
    contexts: Option<Boxed<Contexts>>,
    /// Only until the connection is open.
    opening: Option<Boxed<Opening>>,
    /// Only while there is something in them: an idle connection has none.
    buffers: Slot,
}

/// What is kept of an opening handshake.
#[derive(Debug, Default)]
struct Agreed {
    /// The subprotocol that both ends speak.
    subprotocol: Option<Box<str>>,
    /// The target of a request that somebody else has read.
    target: Option<Box<str>>,
}

/// The close code that answers the peer, [`NO_STATUS`] for none.
#[derive(Clone, Copy, Debug)]
struct Farewell {
    code: u16,
}

/// What ends the turn of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output<'a> {
    /// What is to be written to the peer now, from one place; nothing if nothing waits.
    pub bytes: &'a [u8],
    /// In how many milliseconds at the latest [`Connection::output`] is to be called again: [`NEVER`] if nothing is due, 0
    /// if TCP is to be closed.
    pub wait_ms: u32,
}

impl Connection {
    /// A new connection. A server waits for a request, a client for [`Connection::request`].
    ///
    /// # Errors
    ///
    /// That the config is wrong, and how; [`Error::OutOfMemory`].
    pub fn new(role: Role, config: &Config) -> Result<Self, Error> {
        config.check()?;
        let settings = config::shared(config.settings.for_role(role))?;
        let mut connection = Self {
            settings,
            role,
            state: State::Connecting,
            clock: Clock::default(),
            reader: Reader::default(),
            writer: Writer::default(),
            farewell: None,
            error: None,
            close_code: 0,
            is_gone: false,
            deflate: None,
            agreed: None,
            contexts: None,
            opening: None,
            buffers: None,
        };
        if connection.settings.has(ConfigFlag::StartOpen) {
            connection.start_open(config)?;
        } else {
            connection.opening = Some(Boxed::new(Opening::new(config)?)?);
        }
        large::count_new();
        Ok(connection)
    }

    fn start_open(&mut self, config: &Config) -> Result<(), Error> {
        let extensions = config.extensions.as_deref().map(str::as_bytes).into_iter();
        let deflate = match self.role {
            Role::Server => handshake::read_own_response(extensions, self.settings.deflate()),
            Role::Client => handshake::check_response(extensions, self.settings.deflate()),
        };
        self.deflate = match deflate {
            Err(error) if error != Error::OutOfMemory => return Err(Error::ConfigExtensions),
            deflate => deflate?,
        };
        self.state = State::Open;
        let copied = |text: &Option<String>| text.as_deref().map(copied_text).transpose();
        self.agree(copied(&config.subprotocol)?, copied(&config.target)?)
    }

    fn agree(&mut self, subprotocol: Option<Box<str>>, target: Option<Box<str>>) -> Result<(), Error> {
        if subprotocol.is_some() || target.is_some() {
            self.agreed = Some(Boxed::new(Agreed { subprotocol, target })?);
        }
        Ok(())
    }

    /// How far the connection has come.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The events of the last call that received something.
    #[must_use]
    #[inline]
    pub fn events(&self) -> &[Event] {
        self.buffers.as_ref().map_or(&[], |buffers| buffers.events())
    }

    /// The data of these events.
    #[must_use]
    #[inline]
    pub fn data(&self) -> &[u8] {
        self.buffers.as_ref().map_or(&[], |buffers| buffers.data())
    }

    /// Ends a turn of the loop: says that the first `sent` bytes of the output were written, and what time it is, in
    /// milliseconds from any start that do not go back; and returns what is to be written now, and when to call again. To
    /// be called until there is nothing, or no more can be written, and when the time is over that it returned.
    ///
    /// It puts a ping into the output when the peer has been silent for long, gives the peer up that had its time, and
    /// gives back the memory of events and their data. After [`EventKind::Close`] or [`EventKind::Error`] the output ends
    /// with the close frame that answers it: what answers the messages before it has to be sent before this is called.
    ///
    /// # Errors
    ///
    /// [`Error::SentTooMuch`] if not so many bytes wait; nothing was done then.
    #[inline]
    pub fn output(&mut self, sent: usize, now_ms: u64) -> Result<Output<'_>, Error> {
        let wait_ms = self.end_turn(sent, now_ms)?;
        let bytes = self.buffers.as_ref().map_or(&[][..], |buffers| buffers.output.first());
        Ok(Output { bytes, wait_ms })
    }

    /// As [`Connection::output`], for hosts whose write takes all that it is given: what is lent counts as written, and lives
    /// until this is called again in the same thread, on whatever connection. Returns with it the time to wait, and
    /// whether more waits already behind it.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`]; it waits still then.
    pub fn take_output(&mut self, now_ms: u64) -> Result<(Lending, u32, bool), Error> {
        output::forget_taken();
        let mut wait_ms = self.end_turn(0, now_ms)?;
        let Some(buffers) = self.buffers.as_mut().filter(|buffers| !buffers.output.is_empty()) else {
            return Ok((Lending::of(&[]), wait_ms, false));
        };
        let lending = buffers.output.take()?;
        self.clock.note_sent(lending.len);
        let _ = self.answer_last_ping();
        let Some(buffers) = &self.buffers else { return Ok((lending, wait_ms, false)) };
        let is_more = !buffers.output.is_empty();
        if !is_more {
            wait_ms = self.end_turn(0, now_ms)?;
        }
        Ok((lending, wait_ms, is_more))
    }

    /// What the output consists of, in order: for one write from several places. [`Connection::output`] is told how much of
    /// it was written.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.buffers.iter().flat_map(|buffers| buffers.output.parts())
    }

    /// How many bytes of output wait to be written, as far as they are there already.
    #[must_use]
    #[inline]
    pub fn waiting(&self) -> usize {
        self.buffers.as_ref().map_or(0, |buffers| buffers.output.waiting())
    }

    /// Says that the first `len` bytes of the output were written.
    #[inline]
    fn sent(&mut self, len: usize) -> Result<(), Error> {
        if len == 0 {
            return Ok(());
        }
        let waiting = self.waiting();
        let Some(buffers) = self.buffers.as_mut().filter(|_| len <= waiting) else { return Err(Error::SentTooMuch) };
        buffers.output.advance(len);
        self.clock.note_sent(len);
        if len < waiting {
            // There was not room for all, but for some: the peer is slow, and alive.
            self.clock.hear();
        }
        // Only without memory, or a client without random bytes for its masking key, it cannot be answered.
        let _ = self.answer_last_ping();
        Ok(())
    }

    fn end_turn(&mut self, sent: usize, now_ms: u64) -> Result<u32, Error> {
        self.sent(sent)?;
        self.say_farewell();
        let due = self.tick(now_ms);
        self.release();
        large::look_at_clock(now_ms);
        Ok(match due {
            Due::Close => 0,
            Due::In(wait) => u32::try_from(wait).unwrap_or(NEVER),
        })
    }

    /// Gives back the memory of the events and their data, and all other memory that nothing is in.
    fn release(&mut self) {
        self.release_contexts();
        if let Some(buffers) = &mut self.buffers {
            buffers.drop_delivered();
            buffers::release(&mut self.buffers);
        }
    }

    /// Says that TCP has ended, by whatever end: there is one last event, [`EventKind::Gone`], and then no more. All memory
    /// but that of the event is given back.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`]; nothing was done then.
    pub fn gone(&mut self) -> Result<(), Error> {
        if self.is_gone {
            buffers::discard(&mut self.buffers);
            return Ok(());
        }
        let is_clean = self.state == State::Closed && self.close_code >= close::FIRST_CODE;
        let close_code = if is_clean { self.close_code } else { close::ABNORMAL };
        let error = self.error.map_or(0, |error| error.code() as i32);
        let last = buffers::with_one(Event { close_code, error, ..Event::new(EventKind::Gone, 0, 0) })?;
        buffers::discard(&mut self.buffers);
        self.buffers = Some(last);
        self.is_gone = true;
        if self.state != State::Closed {
            self.state = State::Failed;
        }
        self.farewell = None;
        self.forget();
        Ok(())
    }

    /// Why the connection failed, if it did.
    #[must_use]
    pub const fn error(&self) -> Option<Error> {
        self.error
    }

    /// The subprotocol that both ends speak, if they agreed on one.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.agreed.as_ref()?.subprotocol.as_deref()
    }

    /// What both ends agreed on, if messages may be compressed.
    #[must_use]
    pub const fn deflate(&self) -> Option<Parameters> {
        self.deflate
    }

    /// Ends the connection because of what the peer did, or because memory ran out, and says so in an event.
    #[cold]
    pub(crate) fn fail(&mut self, error: Error) {
        let (close_code, answer) = self.refusal(error);
        // A client may want to know what it was answered instead of 101.
        let put = self.put_head_event(EventKind::Error, &answer.head, &answer.early);
        if let Err(error) = put.or_else(|_| self.put_head_event(EventKind::Error, &[], &[])) {
            self.error = Some(error);
        }
        if let Some(event) = self.buffers.as_mut().and_then(|buffers| buffers.last_event()) {
            event.close_code = close_code;
            event.error = error.code() as i32;
        }
        self.error = Some(error);
        self.state = State::Failed;
        self.forget();
    }

    /// Ends the connection without a word to the peer, for instance because it had its time.
    #[cold]
    pub(crate) fn give_up(&mut self, error: Error) {
        self.error = Some(error);
        self.state = State::Failed;
        self.farewell = None;
        self.forget();
        buffers::discard(&mut self.buffers);
    }

    /// Forgets what is only needed while something is received.
    fn forget(&mut self) {
        self.opening = None;
        self.contexts = None;
        self.reader = Reader::default();
    }

    /// Puts the last frame into the output.
    #[inline]
    fn say_farewell(&mut self) {
        if self.farewell.is_some() {
            self.put_farewell();
        }
    }

    #[cold]
    fn put_farewell(&mut self) {
        let Some(Farewell { code }) = self.farewell else { return };
        let payload = code.to_be_bytes();
        let put = self.put_frame(FIN, Opcode::Close, if code == NO_STATUS { &[] } else { &payload });
        // Without memory it is tried again. Only a client without random bytes for its masking key cannot say it at all.
        if put != Err(Error::OutOfMemory) {
            self.farewell = None;
        }
    }

    /// Prepares what tells the peer of an error, and returns the close code or HTTP status that it has, and what a client
    /// was answered.
    fn refusal(&mut self, error: Error) -> (u16, Opening) {
        let opening = self.opening.take().map(Boxed::into_inner).unwrap_or_default();
        match (self.state, self.role) {
            (State::Connecting | State::Asked, Role::Server) => {
                // Without memory for it the client is told nothing.
                let written =
                    buffers::of(&mut self.buffers).and_then(|b| opening.write_refusal(error, b.output.bytes()));
                (if written.is_ok() { error.http_status() } else { 0 }, Opening::default())
            }
            (State::Connecting, Role::Client) => {
                let status = if error == Error::NotSwitching { self.close_code } else { 0 };
                (status, opening.answered())
            }
            (State::Open, _) => {
                let code = error.code().close_code();
                self.farewell = Some(Farewell { code });
                (code, Opening::default())
            }
            _ => (error.code().close_code(), Opening::default()),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        buffers::discard(&mut self.buffers);
        if large::count_freed() {
            buffers::clear_pool();
            config::forget_shared();
            output::forget_taken();
            crate::deflate::clear_pools();
        }
    }
}
