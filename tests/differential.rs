//! The same bytes to this library and to tungstenite, an independent implementation: both deliver the same messages up
//! to the first error, and both refuse the same streams. Where they differ, [`DIFFERENCES`] says why.
//!
//! `tests/differential/` does the same with Python's websockets.

#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "numbers chosen by the test")]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/random.rs"]
mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

use random::Random;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Message, WebSocket};
use wsframe::connection::{Config, ConfigFlag, Connection, Event, EventKind, Role, Settings, State};
use wsframe::error::Error;
use wsframe::mask::unmask;

const STREAMS: u64 = 30_000;
const MAX_FRAME_LEN: usize = 1 << 16;
const MAX_MESSAGE_LEN: usize = 3 << 15;

/// What this library refuses and tungstenite does not, or not there. All that came before must still be the same.
const DIFFERENCES: [(Error, &str); 2] = [
    (Error::LengthNotMinimal, "tungstenite does not look whether a length is in its shortest form (section 5.2)"),
    (Error::OversizedControl, "the same, for a control frame whose length of at most 125 is in a longer form"),
];

/// A close code that this library accepts because it is registered, and tungstenite does not know.
const UNKNOWN_TO_TUNGSTENITE: u16 = 1014;

#[derive(Clone, Debug, PartialEq)]
enum Heard {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, Vec<u8>),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// It did not: all is well so far.
    Open,
    Closed,
    Refused,
}

impl Random {
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    fn text(&mut self, len: usize) -> String {
        let characters = ['a', ' ', '\0', '\u{7f}', 'ß', '€', '\u{ffff}', '\u{10ffff}'];
        (0..len).map(|_| characters[self.below(characters.len())]).collect()
    }

    /// Mostly short, sometimes about where a longer form of the length begins.
    fn len(&mut self) -> usize {
        match self.below(50) {
            0 => 120 + self.below(12),
            1 => 65_530 + self.below(12),
            2 => self.below(5_000),
            _ => self.below(20),
        }
    }
}

fn frame(random: &mut Random, role: Role, first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len();
    let mask_bit = if role == Role::Server { 0x80 } else { 0 };
    let form = if random.is_one_in(200) { random.below(3) } else { 0 };
    let mut bytes = vec![first_byte];
    if form == 2 || len > 0xFFFF {
        bytes.push(mask_bit | 127);
        bytes.extend((len as u64).to_be_bytes());
    } else if form == 1 || len > 125 {
        bytes.push(mask_bit | 126);
        bytes.extend((len as u16).to_be_bytes());
    } else {
        bytes.push(mask_bit | len as u8);
    }
    let mut payload = payload.to_vec();
    if mask_bit != 0 {
        let key = [random.next() as u8, random.next() as u8, random.next() as u8, random.next() as u8];
        bytes.extend(key);
        unmask(&mut payload, key, 0);
    }
    [bytes, payload].concat()
}

fn control_frame(random: &mut Random, role: Role) -> Vec<u8> {
    let longest = if random.is_one_in(4) { 125 } else { 4 };
    let len = random.below(longest + 1);
    let payload = random.bytes(len);
    let first_byte = if random.is_one_in(2) { 0x89 } else { 0x8A };
    frame(random, role, first_byte, &payload)
}

fn message(random: &mut Random, role: Role) -> Vec<u8> {
    let len = random.len();
    let (opcode, payload) =
        if random.is_one_in(2) { (1, random.text(len).into_bytes()) } else { (2, random.bytes(len)) };
    let mut stream = Vec::new();
    let mut rest = &payload[..];
    let mut first_byte = opcode;
    while random.is_one_in(3) {
        let (piece, after) = rest.split_at(random.below(rest.len() + 1));
        stream.extend(frame(random, role, first_byte, piece));
        if random.is_one_in(4) {
            stream.extend(control_frame(random, role));
        }
        (rest, first_byte) = (after, 0);
    }
    stream.extend(frame(random, role, first_byte | 0x80, rest));
    stream
}

fn close(random: &mut Random, role: Role) -> Vec<u8> {
    let codes =
        [1000, 1001, 1003, 1004, 1005, 1006, 1007, 1011, 1012, 1013, 1014, 1015, 1016, 2999, 3000, 4999, 5000, 0];
    let code: u16 = codes[random.below(codes.len())];
    let reason_len = random.below(20);
    let reason = random.text(reason_len);
    let payload = match random.below(10) {
        0 => Vec::new(),
        1 => vec![3],
        2 => [&code.to_be_bytes()[..], b"\xFF"].concat(),
        _ => [&code.to_be_bytes()[..], reason.as_bytes()].concat(),
    };
    frame(random, role, 0x88, &payload)
}

/// Damages a stream in one place.
fn mutate(random: &mut Random, stream: &mut Vec<u8>) {
    if stream.is_empty() {
        return;
    }
    // The start of a stream is where the headers are.
    let within = if random.is_one_in(2) { stream.len() } else { stream.len().min(20) };
    let at = random.below(within);
    let end = at + random.below((stream.len() - at).min(20) + 1);
    match random.below(6) {
        0 | 1 => stream[at] ^= 1 << random.below(8),
        2 => stream[at] = random.next() as u8,
        3 => stream.truncate(at),
        4 => drop(stream.drain(at..end)),
        _ => {
            let inserted = if random.is_one_in(2) { stream[at..end].to_vec() } else { random.bytes(end - at) };
            stream.splice(at..at, inserted);
        }
    }
}

fn stream(random: &mut Random, role: Role) -> Vec<u8> {
    let mut stream = Vec::new();
    for _ in 0..random.below(6) {
        stream.extend(if random.is_one_in(4) { control_frame(random, role) } else { message(random, role) });
    }
    if random.is_one_in(3) {
        stream.extend(close(random, role));
    }
    for _ in 0..random.below(4) {
        mutate(random, &mut stream);
    }
    stream
}

/// What this library hears, in pieces of any length, and why it refused.
fn ours(role: Role, stream: &[u8], random: &mut Random, flags: u32) -> (Vec<Heard>, End, Option<Error>) {
    let settings = Settings {
        flags: ConfigFlag::StartOpen as u32 | flags,
        max_frame_len: MAX_FRAME_LEN as u64,
        max_message_len: MAX_MESSAGE_LEN as u64,
        ..Settings::default()
    };
    let mut connection = Connection::new(role, &Config { settings, ..Config::default() }).unwrap();
    let mut heard = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() && connection.state() != State::Failed {
        let (piece, after) = rest.split_at(if random.is_one_in(2) { rest.len() } else { random.below(rest.len() + 1) });
        connection.receive(piece).unwrap();
        assert!(!connection.has_more(), "a stream is far shorter than what one call delivers");
        heard.extend(connection.events().iter().filter_map(|event| translated(event, event.data(connection.data()))));
        rest = after;
    }
    let end = match connection.state() {
        State::Open => End::Open,
        State::Closed => End::Closed,
        _ => End::Refused,
    };
    (heard, end, connection.error())
}

fn translated(event: &Event, data: &[u8]) -> Option<Heard> {
    let data = data.to_vec();
    Some(match event {
        _ if event.is(EventKind::Text) => Heard::Text(data),
        _ if event.is(EventKind::Binary) => Heard::Binary(data),
        _ if event.is(EventKind::Ping) => Heard::Ping(data),
        _ if event.is(EventKind::Pong) => Heard::Pong(data),
        _ if event.is(EventKind::Close) => Heard::Close(event.close_code, data),
        _ => return None,
    })
}

/// A socket with nothing behind the stream, and into which everything can be written.
struct Socket<'a>(&'a [u8]);

impl Read for Socket<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { self.0.read(into) }
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tungstenite hears.
fn theirs(role: Role, stream: &[u8]) -> (Vec<Heard>, End) {
    let role = match role {
        Role::Server => tungstenite::protocol::Role::Server,
        Role::Client => tungstenite::protocol::Role::Client,
    };
    let config = WebSocketConfig::default().max_frame_size(Some(MAX_FRAME_LEN)).max_message_size(Some(MAX_MESSAGE_LEN));
    let mut socket = WebSocket::from_raw_socket(Socket(stream), role, Some(config));
    let mut heard = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => heard.push(Heard::Text(text.as_bytes().to_vec())),
            Ok(Message::Binary(data)) => heard.push(Heard::Binary(data.to_vec())),
            Ok(Message::Ping(data)) => heard.push(Heard::Ping(data.to_vec())),
            Ok(Message::Pong(data)) => heard.push(Heard::Pong(data.to_vec())),
            Ok(Message::Close(None)) => {
                heard.push(Heard::Close(1005, Vec::new()));
                return (heard, End::Closed);
            }
            // Instead of a code that is not allowed it delivers its own answer.
            Ok(Message::Close(Some(frame))) if is_violation(&frame) => return (heard, End::Refused),
            Ok(Message::Close(Some(frame))) => {
                heard.push(Heard::Close(frame.code.into(), frame.reason.as_bytes().to_vec()));
                return (heard, End::Closed);
            }
            Ok(Message::Frame(_)) => panic!("a frame is never read"),
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return (heard, End::Open);
            }
            Err(_) => return (heard, End::Refused),
        }
    }
}

fn is_violation(frame: &CloseFrame) -> bool {
    u16::from(frame.code) == 1002 && frame.reason.as_str() == "Protocol violation"
}

/// Compares one stream, and returns what this library made of it and which difference there was.
fn compare(role: Role, stream: &[u8], random: &mut Random, flags: u32) -> (End, Option<Error>, Option<&'static str>) {
    let (ours, our_end, error) = self::ours(role, stream, random, flags);
    let (theirs, their_end) = self::theirs(role, stream);
    let same = (&ours, our_end) == (&theirs, their_end);
    if same {
        return (our_end, error, None);
    }
    let about = || {
        format!(
            "{role:?} {}\nours {ours:x?} {our_end:?} {error:?}\ntheirs {theirs:x?} {their_end:?}",
            stream.escape_ascii()
        )
    };
    if let (Some(Heard::Close(UNKNOWN_TO_TUNGSTENITE, _)), End::Refused) = (ours.last(), their_end) {
        assert_eq!(ours[..ours.len() - 1], theirs, "{}", about());
        return (our_end, error, Some("the close code 1014 is registered, but tungstenite does not know it"));
    }
    assert!(our_end == End::Refused && theirs.starts_with(&ours), "{}", about());

    // Most of a frame is judged by tungstenite when all of it has come, here when the header has: with more bytes behind
    // the stream it must come to the same.
    let longer = [stream, &[0; MAX_FRAME_LEN + 14]].concat();
    if their_end == End::Open && self::theirs(role, &longer) == (ours.clone(), End::Refused) {
        return (our_end, error, Some("the frame is not complete, which tungstenite waits for"));
    }
    if error == Some(Error::LengthNotMinimal) {
        // As lenient as tungstenite there must be no difference, or another one.
        compare(role, stream, random, flags | ConfigFlag::AcceptLongLengths as u32);
    }
    let explained = DIFFERENCES.iter().find(|(cause, _)| Some(*cause) == error);
    let (_, reason) = explained.unwrap_or_else(|| panic!("an unexplained difference: {}", about()));
    (our_end, error, Some(reason))
}

#[test]
fn tungstenite_hears_the_same() {
    for role in [Role::Server, Role::Client] {
        let mut random = Random(role as u64);
        let (mut ends, mut differences) = (BTreeMap::new(), BTreeMap::new());
        let mut causes = BTreeSet::new();
        for _ in 0..STREAMS {
            let stream = stream(&mut random, role);
            let (end, error, difference) = compare(role, &stream, &mut random, 0);
            *ends.entry(format!("{end:?}")).or_insert(0) += 1;
            causes.extend(error.map(|error| format!("{error:?}")));
            if let Some(difference) = difference {
                *differences.entry(difference).or_insert(0) += 1;
            }
        }
        println!("{role:?}: {ends:?}\n{differences:#?}\n{causes:?}");
        // Otherwise the streams have become too tame, or too wild, to show anything.
        assert!(ends.values().all(|&count: &u64| count > STREAMS / 50), "{ends:?}");
        assert!(causes.len() >= 12, "{causes:?}");
        assert!(differences.values().sum::<u64>() < STREAMS / 4, "{differences:#?}");
    }
}
