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
//! // What is to be written to it, and how much of it was:
//! let written = connection.output().len();
//! # assert!(connection.output().ends_with(b"\x81\x05Hello"));
//! connection.sent(written)?;
//! # Ok::<(), wsframe::error::Error>(())
//! ```

#![forbid(unsafe_code)]

mod buffers;
mod clock;
mod config;
mod deflate;
mod event;
mod mask_keys;
mod message;
mod opening;
mod receive;
mod send;
#[cfg(test)]
mod tests;
mod whole;

use crate::close::NO_STATUS;
use crate::deflate::Parameters;
use crate::error::Error;
use crate::frame::{FIN, Opcode};
use crate::handshake;
use buffers::Buffers;
use clock::Clock;
pub use clock::Due;
pub use config::{Config, ConfigFlag, Settings};
use deflate::Contexts;
pub use event::{Event, EventFlag, EventKind};
pub use message::Message;
use opening::Opening;
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
    /// Both close frames were exchanged. Nothing that still comes is looked at. A server closes TCP when the output is
    /// written, a client waits for the server to do so, but not forever.
    Closed = 4,
    /// The peer broke the rules, refused or was refused, or is gone. Close TCP when the output is written.
    Failed = 5,
}

/// One connection. See the module.
#[derive(Debug)]
pub struct Connection {
    settings: Settings,
    role: Role,
    state: State,
    clock: Clock,
    reader: Reader,
    writer: Writer,
    /// The payload of the close frame that ends the output, until it is put there.
    farewell: Option<Farewell>,
    /// Why the connection failed.
    error: Option<Error>,
    /// The subprotocol that both ends speak.
    subprotocol: Option<Box<str>>,
    /// What both ends agreed on, if messages may be compressed.
    deflate: Option<Parameters>,
    /// Only once a message was compressed, and only as long as the next may refer to it.
    contexts: Option<Box<Contexts>>,
    /// Only until the connection is open.
    opening: Option<Box<Opening>>,
    /// Only while there is something in them: an idle connection has none.
    buffers: Option<Box<Buffers>>,
}

/// The close code that answers the peer, [`NO_STATUS`] for none.
#[derive(Clone, Copy, Debug)]
struct Farewell {
    code: u16,
}

impl Connection {
    /// A new connection. A server waits for a request, a client for [`Connection::request`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`].
    pub fn new(role: Role, config: &Config) -> Result<Self, Error> {
        config.check()?;
        let open = config.settings.has(ConfigFlag::StartOpen);
        let mut settings = config.settings;
        if settings.max_output_len == 0 {
            settings.max_output_len = settings.max_message_len.saturating_mul(2);
        }
        let extensions = config.extensions.as_deref().filter(|_| open).map(str::as_bytes);
        let deflate = match role {
            Role::Server => handshake::read_own_response(extensions.into_iter(), settings.deflate()),
            Role::Client => handshake::check_response(extensions.into_iter(), settings.deflate()),
        };
        Ok(Self {
            settings,
            role,
            state: if open { State::Open } else { State::Connecting },
            clock: Clock::default(),
            reader: Reader::default(),
            writer: Writer::default(),
            farewell: None,
            error: None,
            subprotocol: None,
            deflate: deflate.map_err(|_| Error::InvalidConfig)?,
            contexts: None,
            opening: if open { None } else { Some(Box::new(Opening::new(config))) },
            buffers: None,
        })
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
        self.buffers.as_ref().map_or(&[], |buffers| &buffers.events)
    }

    /// The data of these events.
    #[must_use]
    #[inline]
    pub fn data(&self) -> &[u8] {
        self.buffers.as_ref().map_or(&[], |buffers| &buffers.data)
    }

    /// The bytes to write to the peer.
    ///
    /// After [`EventKind::Close`] or [`EventKind::Error`] they end with the close frame that answers it: what answers the
    /// messages before it has to be sent before the output is taken.
    #[must_use]
    #[inline]
    pub fn output(&mut self) -> &[u8] {
        if self.farewell.is_some() {
            self.say_farewell();
        }
        self.buffers.as_ref().and_then(|buffers| buffers.output.get(buffers.sent..)).unwrap_or_default()
    }

    /// How many bytes of output wait to be written, as far as they are there already.
    #[must_use]
    #[inline]
    pub fn waiting(&self) -> usize {
        self.buffers.as_ref().map_or(0, |buffers| buffers.waiting())
    }

    /// Says that the first `len` bytes of the output were written.
    ///
    /// # Errors
    ///
    /// [`Error::LengthOutOfRange`] if there are not so many.
    pub fn sent(&mut self, len: usize) -> Result<(), Error> {
        if len > self.waiting() {
            return Err(Error::LengthOutOfRange);
        }
        if len > 0 && len < self.waiting() {
            // There was not room for all, but for some: the peer is slow, and alive.
            self.clock.hear();
        }
        if let Some(buffers) = &mut self.buffers {
            buffers.sent = buffers.sent.saturating_add(len);
            if buffers.sent == buffers.output.len() {
                buffers.output.clear();
                buffers.sent = 0;
            }
        }
        self.answer_last_ping()
    }

    /// Gives back the memory of the events and their data, and all other memory that nothing is in.
    pub fn release(&mut self) {
        self.release_contexts();
        let Some(buffers) = &mut self.buffers else { return };
        buffers.drop_delivered();
        Buffers::release(&mut self.buffers);
    }

    fn buffers(&mut self) -> &mut Buffers {
        Buffers::of(&mut self.buffers)
    }

    /// Why the connection failed, if the peer was the reason.
    #[must_use]
    pub const fn error(&self) -> Option<Error> {
        self.error
    }

    /// The subprotocol that both ends speak, if they agreed on one.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// What both ends agreed on, if messages may be compressed.
    #[must_use]
    pub const fn deflate(&self) -> Option<Parameters> {
        self.deflate
    }

    /// Ends the connection because of what the peer did, and says so in an event.
    fn fail(&mut self, error: Error) {
        let close_code = self.refusal(error);
        // A client may want to know what it was answered instead of 101.
        let head = self.opening.take().filter(|_| self.role == Role::Client).unwrap_or_default().into_head();
        self.put_head_event(EventKind::Error, &head);
        if let Some(event) = self.buffers().events.last_mut() {
            event.close_code = close_code;
            event.error = error.code() as i32;
        }
        self.error = Some(error);
        self.state = State::Failed;
        self.contexts = None;
    }

    /// Puts the last frame into the output.
    #[cold]
    fn say_farewell(&mut self) {
        let Some(Farewell { code }) = self.farewell.take() else { return };
        let payload = code.to_be_bytes();
        // Only a client without random bytes for its masking key cannot say it.
        let _ = self.put_frame(FIN, Opcode::Close, if code == NO_STATUS { &[] } else { &payload });
    }

    /// Prepares what tells the peer of an error, and returns the close code or HTTP status that it has.
    fn refusal(&mut self, error: Error) -> u16 {
        match (self.state, self.role) {
            (State::Connecting | State::Asked, Role::Server) => {
                let opening = self.opening.take().unwrap_or_default();
                opening.write_refusal(error, &mut self.buffers().output);
                error.http_status()
            }
            (State::Open, _) => {
                let code = error.code().close_code();
                self.farewell = Some(Farewell { code });
                code
            }
            _ => error.code().close_code(),
        }
    }
}

/// Appends bytes, of which there may be many, without ending the process when there is no memory for them.
#[inline]
fn append(kept: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Error> {
    kept.try_reserve(bytes.len()).map_err(|_| Error::OutOfMemory)?;
    kept.extend_from_slice(bytes);
    Ok(())
}
