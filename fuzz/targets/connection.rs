//! Bytes from a hostile peer: however they are cut into calls, the same events, data and answers come of them; nothing
//! panics, and memory is bounded by a multiple of what was received.
//!
//! The first eight bytes choose the role, the config and the cuts; the rest is what the peer sends. In a response for a
//! client the answer to the key of the RFC is replaced by the right one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsframe::connection::{Config, Connection, Due, Event, EventKind, ConfigFlag, Role, Settings, State};
use wsframe::error::{Error, ErrorCode};
use wsframe::handshake::{HeadReader, Request, accept_key};
use wsframe_fuzz::{Counting, Cuts, Heard, Meter, frames};

#[global_allocator]
static COUNTING: Counting = Counting;

/// A byte of input holds at most so many bytes of memory: an empty frame has two bytes, its event 32 and its pong six,
/// in lists that double when they are full, and are twice there while they do.
const FACTOR: usize = 64;
/// The table for a head's fields, twice, and the fixed parts.
const CONSTANT: usize = 100 << 10;

/// What a byte may inflate to, in a list that doubles, and is twice there while it does; and what inflates it.
const INFLATED: usize = 3 * 1032;
const INFLATER: usize = 150 << 10;

const RFC_ACCEPT: &[u8; 28] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

#[derive(Clone, Copy)]
struct Choice {
    role: Role,
    settings: Settings,
    accepts: bool,
    seed: u32,
}

impl Choice {
    fn new(bytes: [u8; 8]) -> Self {
        let [role, flags, leniency, message, frame, head, cuts @ ..] = bytes;
        let mut settings = Settings::default();
        settings.flags = u32::from(flags & 0x7F) | u32::from(leniency & 0xF) << 8;
        // What a response without parameters agrees to.
        (settings.server_max_window_bits, settings.client_max_window_bits) = (15, 15);
        let limits = [16 << 20, 0, 1, 10, 125, 1000, 65_536, 100_000];
        settings.max_message_len = limits[usize::from(message % 8)];
        settings.max_frame_len = limits[usize::from(frame % 8)];
        settings.max_fragments = [65_536, 1, 2, 5][usize::from(frame / 8 % 4)];
        settings.max_head_len = [16 << 10, 100, 200, 1 << 20][usize::from(head % 4)];
        settings.max_head_fields = [100, 1, 6, 1000][usize::from(head / 4 % 4)];
        Self {
            role: if role & 1 == 0 { Role::Server } else { Role::Client },
            settings,
            accepts: role & 2 == 0,
            seed: u32::from(u16::from_le_bytes(cuts)),
        }
    }

    fn has(self, flag: ConfigFlag) -> bool {
        self.settings.has(flag)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Whole,
    Cut,
    CutInPlace,
    WholeInPlace,
}

#[derive(PartialEq)]
struct Outcome {
    heard: Heard,
    output: Vec<u8>,
    state: State,
    error: Option<Error>,
    subprotocol: Option<String>,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (kind, close_code, error, data) in &self.heard.events {
            writeln!(f, "  event {kind} {close_code} {error} \"{}\"", data.escape_ascii())?;
        }
        writeln!(f, "  unfinished \"{}\"", self.heard.unfinished.escape_ascii())?;
        writeln!(f, "  output \"{}\"", self.output.escape_ascii())?;
        write!(f, "  {:?} {:?} {:?}", self.state, self.error, self.subprotocol)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, input)) = bytes.split_first_chunk() else { return };
    let choice = Choice::new(*choice);
    let whole = run(choice, input, Way::Whole);
    for way in [Way::Cut, Way::CutInPlace, Way::WholeInPlace] {
        let mut other = run(choice, input, way);
        if choice.role == Role::Client {
            assert_eq!(frames(&whole.output), frames(&other.output));
            other.output.clone_from(&whole.output);
        }
        if choice.has(ConfigFlag::Pieces) && matches!(whole.state, State::Closed | State::Failed) {
            // How much came out of a message that will not end depends on the cuts.
            let (a, b) = (&whole.heard.unfinished, &other.heard.unfinished);
            assert!(a.starts_with(b) || b.starts_with(a));
            other.heard.unfinished.clone_from(&whole.heard.unfinished);
            other.heard.unfinished_kind = whole.heard.unfinished_kind;
        }
        assert!(whole == other, "whole:\n{}\nother:\n{}", whole, other);
    }
});

fn run(choice: Choice, input: &[u8], way: Way) -> Outcome {
    let mut meter = Meter::default();
    let extensions = choice.has(ConfigFlag::Deflate).then(|| {
        let server = if choice.has(ConfigFlag::ServerNoContextTakeover) { "; server_no_context_takeover" } else { "" };
        let client = if choice.has(ConfigFlag::ClientNoContextTakeover) { "; client_no_context_takeover" } else { "" };
        format!("permessage-deflate{server}{client}")
    });
    let config = Config { settings: choice.settings, extensions, subprotocols: vec!["chat".into()], origins: vec![] };
    let mut connection = meter.measure(|| Connection::new(choice.role, &config)).unwrap();
    let mut heard = Heard::default();
    let mut input = input.to_vec();
    let mut answer = None;
    if choice.role == Role::Client && !choice.has(ConfigFlag::StartOpen) {
        meter.measure(|| connection.request(b"example.com", b"/")).unwrap();
        answer = answer_key(&mut connection, &mut input);
    }
    let mut cuts = Cuts::new(choice.seed);
    let mut at = 0;
    let is_cut = way == Way::Cut || way == Way::CutInPlace;
    let text_is_checked = !choice.has(ConfigFlag::SkipUtf8);
    while at < input.len() {
        let len = if is_cut { cuts.next_len(input.len() - at) } else { input.len() };
        let piece = &mut input[at..at + len];
        let failed = connection.state() == State::Failed;
        let result = match way {
            Way::Whole | Way::Cut => meter.measure(|| connection.receive(piece)),
            _ => meter.measure(|| connection.receive_in_place(piece)),
        };
        assert_eq!(result, if failed { Err(Error::WrongState) } else { Ok(()) });
        if !failed {
            heard.note(&connection, piece, text_is_checked);
            check_head(&connection);
        }
        at += len;
        if is_cut && len % 3 == 0 {
            let due = meter.measure(|| connection.tick(0)).unwrap();
            assert_ne!(due, Due::In(0));
            assert!(connection.events().is_empty());
        }
    }
    if connection.state() == State::Asked {
        if choice.accepts && meter.measure(|| connection.accept(None)).is_ok() {
            heard.note(&connection, &[], text_is_checked);
        } else {
            meter.measure(|| connection.refuse(403, b"no")).unwrap();
        }
    }
    check_end(&connection, &heard);
    if let (Some(answer), Some((_, _, _, head))) = (answer, heard.events.first_mut()) {
        // The key is random, and with it the answer.
        if let Some(key) = head.get_mut(answer..answer + RFC_ACCEPT.len()) {
            key.copy_from_slice(RFC_ACCEPT);
        }
    }
    let (factor, constant) = if choice.has(ConfigFlag::Deflate) { (INFLATED, INFLATER) } else { (0, 0) };
    let limit = (FACTOR + factor) * input.len() + CONSTANT + constant;
    assert!(meter.peak <= limit, "{} bytes of memory for {} of input", meter.peak, input.len());
    Outcome {
        output: connection.output().to_vec(),
        state: connection.state(),
        error: connection.error(),
        subprotocol: connection.subprotocol().map(str::to_owned),
        heard,
    }
}

/// Puts the right answer into a response, and returns where.
fn answer_key(connection: &mut Connection, input: &mut [u8]) -> Option<usize> {
    let request = Request::parse(connection.output(), 100).unwrap();
    let key = request.check(&[]).expect("a client's request is an opening handshake");
    let accept = accept_key(key).unwrap();
    let end = HeadReader::default().push(input).ok().flatten().unwrap_or(input.len());
    let at = input[..end].windows(RFC_ACCEPT.len()).position(|window| window == RFC_ACCEPT)?;
    input[at..at + accept.len()].copy_from_slice(&accept);
    Some(at)
}

/// What can be asked about a head can be asked at any time.
fn check_head(connection: &Connection) {
    let target = connection.target();
    let host = connection.field("host");
    let has_head = |event: &Event| event.kind <= EventKind::Open as u8 || event.is(EventKind::Error);
    if !connection.events().first().is_some_and(has_head) {
        assert_eq!((target, host), (None, None));
    }
}

/// The end of a connection is said in one way.
fn check_end(connection: &Connection, heard: &Heard) {
    let last = heard.events.last();
    let is = |kind| last.is_some_and(|event| event.0 == kind as u8);
    assert_eq!(is(EventKind::Error), connection.error().is_some());
    assert_eq!(connection.state() == State::Failed, connection.error().is_some());
    if is(EventKind::Close) {
        assert_eq!(connection.state(), State::Closed);
    }
    if let Some(error) = connection.error() {
        let (_, close_code, number, _) = last.unwrap();
        assert_eq!(*number, error.code() as i32);
        let is_handshake = error.code() == ErrorCode::Handshake;
        assert!(if is_handshake {
            [0, 400, 403, 405, 426, 431].contains(close_code)
        } else {
            (1002..=1011).contains(close_code)
        });
    }
}
