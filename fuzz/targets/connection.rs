//! Bytes from a hostile peer: however they are cut into calls, the same events, data and answers come of them; nothing
//! panics, and memory is bounded by a multiple of what was received. Nor does it matter how much of the output is written
//! when: none of it is lost or comes twice.
//!
//! The first eight bytes choose the role, the config and the cuts; the rest is what the peer sends. In a response for a
//! client the answer to the key of the RFC is replaced by the right one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsframe::connection::{Config, ConfigFlag, Connection, Event, EventKind, Role, Settings, State, Without};
use wsframe::error::{Error, ErrorCode};
use wsframe::handshake::{HeadReader, Request, accept_key};
use wsframe_fuzz::{
    Counting, Cuts, Heard, Meter, check_over, end, frames, hear_all, receive, take_all, turn, write_all,
};

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

    /// What can be delivered at once: a message, or a head with what came behind it.
    fn longest(self) -> u64 {
        self.settings.max_message_len.max(u64::from(self.settings.max_head_len) + (64 << 10))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Whole,
    Cut,
    CutInPlace,
    WholeInPlace,
    /// Cut, while time goes by.
    Slow,
}

#[derive(PartialEq)]
struct Outcome {
    heard: Heard,
    output: Vec<u8>,
    state: State,
    error: Option<Error>,
    subprotocol: Option<String>,
}

impl Outcome {
    /// How much of the content came along with the head that refused a client depends on the cuts: gives the other what this
    /// one has, if it begins alike.
    fn share_content(&self, other: &mut Self) {
        let (Some(ours), Some(theirs)) = (self.heard.events.last(), other.heard.events.last_mut()) else { return };
        let is_refused = ours.2 == ErrorCode::Handshake as i32 && !ours.3.is_empty();
        if is_refused && (ours.3.starts_with(&theirs.3) || theirs.3.starts_with(&ours.3)) && !theirs.3.is_empty() {
            theirs.3.clone_from(&ours.3);
        }
    }
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
        whole.share_content(&mut other);
        assert!(whole == other, "whole:\n{}\nother:\n{}", whole, other);
    }
    let mut slow = run(choice, input, Way::Slow);
    whole.share_content(&mut slow);
    assert!(whole.heard.events.starts_with(&slow.heard.events), "whole:\n{}\nslow:\n{}", whole, slow);
});

fn run(choice: Choice, input: &[u8], way: Way) -> Outcome {
    let mut meter = Meter::default();
    let extensions = choice.has(ConfigFlag::Deflate).then(|| {
        let server = if choice.has(ConfigFlag::ServerNoContextTakeover) { "; server_no_context_takeover" } else { "" };
        let client = if choice.has(ConfigFlag::ClientNoContextTakeover) { "; client_no_context_takeover" } else { "" };
        format!("permessage-deflate{server}{client}")
    });
    let subprotocols = vec!["chat".into()];
    let config = Config { settings: choice.settings, extensions, subprotocols, ..Config::default() };
    // What is shared by a thread lives as long as one of its connections.
    let other = Connection::new(choice.role, &config).unwrap();
    let mut connection = meter.measure(|| Connection::new(choice.role, &config)).unwrap();
    let mut heard = Heard { skips_utf8: choice.has(ConfigFlag::SkipUtf8), ..Heard::default() };
    let mut input = input.to_vec();
    let mut answer = None;
    if choice.role == Role::Client && !choice.has(ConfigFlag::StartOpen) {
        meter.measure(|| connection.request(b"example.com", b"/")).unwrap();
        answer = answer_key(&mut connection, &mut input);
    }
    let mut cuts = Cuts::new(choice.seed);
    let mut output = Vec::new();
    let mut at = 0;
    let mut now = 0;
    let is_cut = matches!(way, Way::Cut | Way::CutInPlace | Way::Slow);
    let in_place = matches!(way, Way::CutInPlace | Way::WholeInPlace);
    while at < input.len() {
        let len = if is_cut { cuts.next_len(input.len() - at) } else { input.len() };
        receive(&mut connection, &mut input[at..at + len], in_place, choice.longest(), &mut heard, &mut meter);
        check_head(&connection);
        at += len;
        if is_cut && len % 3 == 0 {
            let sent = cuts.next_len(connection.waiting());
            now += if way == Way::Slow { len as u64 * 500 } else { 0 };
            let wait = turn(&mut connection, sent, now, &mut output, &mut meter);
            assert!(wait > 0 || matches!(connection.state(), State::Closed | State::Failed));
        }
    }
    if connection.state() == State::Asked {
        if choice.accepts && meter.measure(|| connection.accept(None, Without::Nothing)).is_ok() {
            hear_all(&mut connection, &[], choice.longest(), &mut heard, &mut meter);
        } else {
            meter.measure(|| connection.respond(403, b"no")).unwrap();
        }
    }
    if way != Way::Slow {
        check_end(&connection, choice.role, &heard);
    }
    let (state, error) = (connection.state(), connection.error());
    let write = if way == Way::WholeInPlace { take_all } else { write_all };
    let wait = write(&mut connection, now, &mut output, &mut meter);
    let is_over = matches!(state, State::Closed | State::Failed);
    if way != Way::Slow {
        let waits_for_server = state == State::Closed && choice.role == Role::Client;
        assert_eq!(wait == 0, is_over && !waits_for_server);
    }
    if is_over {
        check_over(&mut connection, choice.role);
    }
    let subprotocol = connection.subprotocol().map(str::to_owned);
    end(connection, choice.role);
    drop(other);
    if let (Some(answer), Some((_, _, _, head))) = (answer, heard.events.first_mut()) {
        // The key is random, and with it the answer.
        if let Some(key) = head.get_mut(answer..answer + RFC_ACCEPT.len()) {
            key.copy_from_slice(RFC_ACCEPT);
        }
    }
    let (factor, constant) = if choice.has(ConfigFlag::Deflate) { (INFLATED, INFLATER) } else { (0, 0) };
    let limit = (FACTOR + factor) * input.len() + CONSTANT + constant;
    assert!(meter.peak <= limit, "{} bytes of memory for {} of input", meter.peak, input.len());
    Outcome { heard, output, state, error, subprotocol }
}

/// Puts the right answer into a response, and returns where.
fn answer_key(connection: &mut Connection, input: &mut [u8]) -> Option<usize> {
    let head: Vec<u8> = connection.parts().flatten().copied().collect();
    let request = Request::parse(&head, 100).unwrap();
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
    let kinds = [EventKind::Request, EventKind::Http, EventKind::Open, EventKind::Error];
    let has_head = |event: &Event| kinds.iter().any(|&kind| event.is(kind));
    if connection.state() == State::Asked {
        assert!(target.is_some());
    } else if !connection.events().iter().any(has_head) {
        assert_eq!((target, host), (None, None));
        assert_eq!(connection.fields().count(), 0);
    }
}

/// The end of a connection is said in one way.
fn check_end(connection: &Connection, role: Role, heard: &Heard) {
    let last = heard.events.last();
    let is = |kind| last.is_some_and(|event| event.0 == kind as u8);
    assert_eq!(is(EventKind::Error), connection.error().is_some());
    assert_eq!(connection.state() == State::Failed, connection.error().is_some());
    if is(EventKind::Close) {
        assert_eq!(connection.state(), State::Closed);
    }
    if let Some(error) = connection.error() {
        let (_, close_code, number, data) = last.unwrap();
        assert_eq!(*number, error.code() as i32);
        let is_handshake = error.code() == ErrorCode::Handshake;
        let is_fitting = match role {
            _ if !is_handshake => (1002..=1011).contains(close_code),
            Role::Server => [400, 403, 405, 426, 431].contains(close_code),
            // With what the client was answered instead of 101, if it was answered at all.
            Role::Client => *close_code == 0 || data.starts_with(format!("HTTP/1.1 {close_code:03} ").as_bytes()),
        };
        assert!(is_fitting, "{close_code} for {error:?}");
    }
}
