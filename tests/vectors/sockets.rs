//! A connection of a hub over a real socket. The other end of a pair is the peer, whose bytes are there as soon as they are
//! written.

use std::cell::RefCell;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use wsframe::connection::{Config, ConfigFlag, Event};
use wsframe::hub::{Adopted, Hub, Limits, Listening};

use crate::subject::{self, Subject};
use crate::vector::{Action, Deflate, Doing, Out, Step, Vector, error_number};

const GONE: u8 = 20;
/// A hub that has nothing to do so many times in turn has done all.
const QUIET_POLLS: usize = 2;

pub(crate) struct Sockets {
    hub: RefCell<Hub>,
    id: u64,
    config: Config,
    /// `None` when it has left.
    peer: Option<UnixStream>,
    /// What the peer has to say, but could not yet.
    unsaid: Vec<u8>,
    /// What the peer was sent, and has not forgotten yet.
    heard: Vec<u8>,
    /// What the hub has told since the last step began.
    events: Vec<Event>,
    data: Vec<u8>,
    /// As it was when there was a connection last, and whether there was a sentence.
    state: isize,
    has_sentence: bool,
    /// Of the last head, which is lent no longer than the events that it came with.
    target: Option<Vec<u8>>,
    fields: Vec<(String, Vec<u8>)>,
}

/// How much a hub reads from a client whose request has no answer yet.
const MAX_WAITING: usize = 64 << 10;

/// Whether a hub does what a vector with so much input says. It has a clock of its own, and writes when it can: what a step says
/// of times and of output that waits is not for it. Nor is that it is an error to send before the connection is open.
pub(crate) fn can_run(vector: &Vector, input_len: usize) -> bool {
    let is_for_it = |step: &Step| match &step.doing {
        Doing::Tick(..) | Doing::Do(Action::Write(_)) => false,
        Doing::Do(action) | Doing::Over(action) => !matches!(action, Action::Receive(_)),
        Doing::Fails(code, action) => {
            Ok(*code) != error_number("SPACE") && !matches!(action, Action::Receive(_) | Action::Send(..))
        }
        Doing::Input(_) => !step.out.iter().any(|out| matches!(out, Out::Later)),
    };
    let asks = vector.config.iter().any(|word| word == "ask");
    vector.steps.iter().all(is_for_it) && !(asks && input_len > MAX_WAITING)
}

impl Sockets {
    /// Lets the hub do all that there is to do, and the peer read all that it is sent.
    fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < QUIET_POLLS {
            let hub = self.hub.get_mut();
            hub.poll(0).unwrap();
            let told = hub.events().len();
            self.take();
            self.look();
            quiet = if told + self.listen() + self.speak() == 0 { quiet + 1 } else { 0 };
        }
    }

    /// Takes down the events of the hub, that it is gone only if that is the peer's doing.
    fn take(&mut self) {
        let hub = self.hub.get_mut();
        let offset = self.data.len() as u64;
        let is_there = self.peer.is_some();
        for event in hub.events().iter().filter(|event| event.kind != GONE || !is_there) {
            assert_eq!(event.connection, self.id);
            self.events.push(Event { offset: event.offset + offset, connection: 0, ..*event });
        }
        self.data.extend(hub.data());
    }

    fn look(&mut self) {
        if let Some(connection) = self.hub.get_mut().connection(self.id).unwrap() {
            self.state = connection.state() as isize;
            self.has_sentence = connection.error().is_some();
            if let Some(target) = connection.target() {
                self.target = Some(target.as_bytes().to_vec());
            }
            if connection.fields().next().is_some() {
                self.fields = connection.fields().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
            }
        }
    }

    /// Writes what the peer has to say, and returns how much that was.
    fn speak(&mut self) -> usize {
        let Some(peer) = &mut self.peer else { return 0 };
        let said = match peer.write(&self.unsaid) {
            Ok(said) => said,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            // The hub has closed it.
            Err(_) => self.unsaid.len(),
        };
        self.unsaid.drain(..said);
        said
    }

    /// Reads what the peer was sent, and returns how much that was.
    fn listen(&mut self) -> usize {
        let before = self.heard.len();
        if let Some(peer) = &mut self.peer {
            match peer.read_to_end(&mut self.heard) {
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionReset) => {}
                Err(error) => panic!("the peer cannot read: {error}"),
            }
        }
        self.heard.len() - before
    }

    fn forget(&mut self) {
        self.events.clear();
        self.data.clear();
    }

    fn on_connection<T>(&self, ask: impl FnOnce(&mut wsframe::connection::Connection) -> Option<T>) -> Option<T> {
        self.hub.borrow_mut().connection(self.id).unwrap().and_then(ask)
    }
}

impl Subject for Sockets {
    const NAME: &'static str = "a hub's socket";

    fn new(role: u32, config: &[String]) -> Result<Self, isize> {
        let config = subject::config_of(config);
        let mut hub = Hub::new(Limits::default()).unwrap();
        let (own, peer) = UnixStream::pair().unwrap();
        peer.set_nonblocking(true).unwrap();
        let adopted = hub.adopt(own.as_fd(), subject::role_of(role), Listening::default(), config.clone());
        let Adopted::Connection(id) = adopted.map_err(|error| error.code() as isize)? else {
            panic!("it is connected");
        };
        let (hub, peer) = (RefCell::new(hub), Some(peer));
        let (unsaid, heard, events, data) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (state, has_sentence, target, fields) = (0, false, None, Vec::new());
        let mut made = Self { hub, id, config, peer, unsaid, heard, events, data, state, has_sentence, target, fields };
        made.look();
        Ok(made)
    }

    fn receive(&mut self, input: &mut [u8], _in_place: bool) -> isize {
        self.forget();
        self.unsaid.extend_from_slice(input);
        self.speak();
        self.settle();
        self.events.len() as isize
    }

    fn act(&mut self, action: &Action) -> isize {
        self.forget();
        let hub = self.hub.get_mut();
        let returned = match action {
            Action::Gone => {
                self.peer = None;
                self.heard.clear();
                self.settle();
                return self.events.len() as isize;
            }
            Action::Send(opcode, compress, payload) => {
                let (opcode, compress) = (subject::opcode(*opcode), subject::compress(*compress));
                subject::code(hub.send(self.id, opcode, payload, compress, false))
            }
            _ => match hub.connection(self.id).unwrap() {
                None => 0,
                Some(connection) => {
                    let returned = subject::act(connection, &self.config, action);
                    if matches!(action, Action::Accept(..)) && returned > 0 {
                        self.events.extend(connection.events());
                        self.data.extend(connection.data());
                        self.look();
                        self.settle();
                        return self.events.len() as isize;
                    }
                    returned
                }
            },
        };
        self.look();
        returned
    }

    fn batch(&self) -> (Vec<Event>, Vec<u8>) {
        (self.events.clone(), self.data.clone())
    }

    fn has_more(&self) -> bool {
        false
    }

    fn turn(&mut self, sent: usize, _now: u64) -> Result<u32, isize> {
        self.heard.drain(..sent);
        self.forget();
        self.settle();
        assert!(self.events.is_empty(), "events of no step: {:?}", self.events);
        Ok(0)
    }

    fn output(&mut self) -> Vec<u8> {
        self.heard.clone()
    }

    fn state(&self) -> isize {
        self.state
    }

    fn target(&self) -> Option<Vec<u8>> {
        self.target.clone()
    }

    fn field(&self, name: &str) -> Option<Vec<u8>> {
        let mut fields = self.fields.iter();
        fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    }

    fn subprotocol(&self) -> Option<Vec<u8>> {
        self.on_connection(|connection| connection.subprotocol().map(|name| name.as_bytes().to_vec()))
    }

    fn deflate(&self) -> Option<Deflate> {
        self.on_connection(|connection| subject::agreed(connection))
    }

    fn has_sentence(&self) -> bool {
        self.has_sentence
    }

    fn skips_utf8(&self) -> bool {
        self.config.settings.has(ConfigFlag::SkipUtf8)
    }
}
