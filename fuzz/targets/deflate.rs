//! Compressed messages. Arbitrary payloads come out as the naive inflater has it, however they are cut, within the limits and
//! in bounded memory; and what one end compresses is what the other receives.

#![no_main]

#[path = "../../tests/common/inflate.rs"]
mod inflate;

use arbitrary::Arbitrary;
use inflate::Inflater;
use libfuzzer_sys::fuzz_target;
use wsframe::connection::{Compress, Config, ConfigFlag, Connection, EventKind, Message, Role, Settings};
use wsframe::error::Error;
use wsframe::frame::Opcode;
use wsframe_fuzz::{Counting, Cuts, Heard, Meter, end, receive, turn, write_all};

#[global_allocator]
static COUNTING: Counting = Counting;

/// An inflater, and its window.
const CONSTANT: usize = 160 << 10;
/// What comes out is kept in a list that doubles, and is twice there while it does; empty messages have their events.
const FACTOR: usize = 64;

#[derive(Arbitrary, Debug)]
struct Talk<'a> {
    is_client: bool,
    takeover: bool,
    window_bits: u8,
    level: u8,
    max_message_len: u16,
    pieces: bool,
    in_place: bool,
    seed: u32,
    payloads: Vec<(&'a [u8], u8)>,
    messages: Vec<(&'a [u8], Act)>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Act {
    Send,
    SendCompressed,
    SendPlain,
    SendMessage,
    /// In pieces of so many bytes, times three so that some of them are worth it.
    Pieces(u8),
    /// The receiver gets what is there.
    Deliver,
}

impl Talk<'_> {
    /// The end that sends, or the one that receives.
    fn end(&self, is_sender: bool, settings: Settings) -> Connection {
        let end = if self.is_client { "client" } else { "server" };
        let takeover = if self.takeover { String::new() } else { format!("; {end}_no_context_takeover") };
        let extensions = Some(format!("permessage-deflate{takeover}; {end}_max_window_bits={}", self.window_bits(8)));
        let role = if self.is_client == is_sender { Role::Client } else { Role::Server };
        Connection::new(role, &Config { extensions, settings, ..Config::default() }).unwrap()
    }

    fn settings(&self) -> Settings {
        Settings {
            flags: ConfigFlag::StartOpen as u32 | ConfigFlag::Deflate as u32 | ConfigFlag::AcceptLongLengths as u32,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            deflate_level: 1 + self.level % 9,
            ..Settings::default()
        }
    }

    fn window_bits(&self, least: u8) -> u8 {
        least + self.window_bits % (16 - least)
    }
}

fuzz_target!(|talk: Talk| {
    inflate(&talk);
    compress(&talk);
});

fn inflate(talk: &Talk) {
    let max_message_len = u64::from(talk.max_message_len);
    let flags = if talk.pieces { ConfigFlag::Pieces as u32 } else { 0 };
    let settings = Settings { max_message_len, max_fragments: 50, ..talk.settings() };
    let settings = Settings { flags: settings.flags | flags, ..settings };
    let mut stream = Vec::new();
    for (payload, fragments) in &talk.payloads {
        let mut rest = *payload;
        let mut first = 0x42;
        for _ in 0..fragments % 4 {
            let (part, after) = rest.split_at(rest.len() / 2);
            frame(talk.is_client, first, part, &mut stream);
            (rest, first) = (after, 0);
        }
        frame(talk.is_client, first | 0x80, rest, &mut stream);
    }
    let (whole, end) = hear(talk, settings, &stream, false);
    let (cut, cut_end) = hear(talk, settings, &stream, true);
    assert_eq!((&whole.events, end), (&cut.events, cut_end));

    let mut inflater = Inflater::new(talk.takeover, talk.window_bits(8));
    let mut heard = whole.events.iter();
    for (payload, _) in &talk.payloads {
        let expected = inflater.message(payload);
        match (heard.next(), expected) {
            (Some(event), Some(expected)) if event.0 == EventKind::Binary as u8 => {
                assert!(event.3 == expected, "{} bytes instead of {}", event.3.len(), expected.len());
                assert!(event.3.len() as u64 <= max_message_len);
            }
            (Some(_), expected) => {
                // Refused: for what it is, or for how much.
                let is_too_long = expected.as_ref().is_some_and(|message| message.len() as u64 > max_message_len);
                match end {
                    Some(Error::InvalidDeflate) => assert!(expected.is_none()),
                    Some(Error::InflatedTooBig) => assert!(is_too_long || expected.is_none()),
                    Some(Error::TooManyFragments) => assert!(payload.len() > 50),
                    Some(Error::TooMuchForNothing) => assert!(payload.len() > 60_000),
                    other => panic!("{other:?}"),
                }
                return;
            }
            (None, _) => panic!("a message is missing"),
        }
    }
    assert_eq!(heard.next(), None);
}

fn hear(talk: &Talk, settings: Settings, stream: &[u8], is_cut: bool) -> (Heard, Option<Error>) {
    let mut meter = Meter::default();
    // What is shared by a thread lives as long as one of its connections.
    let other = talk.end(false, settings);
    let mut connection = talk.end(false, settings);
    let (mut heard, mut cuts, mut output) = (Heard::default(), Cuts::new(talk.seed), Vec::new());
    let mut rest = stream.to_vec();
    while !rest.is_empty() {
        let len = if is_cut { cuts.next_len(rest.len()) } else { rest.len() };
        let mut piece: Vec<u8> = rest.drain(..len).collect();
        let longest = settings.max_message_len;
        receive(&mut connection, &mut piece, talk.in_place, longest, &mut heard, &mut meter);
        if is_cut && len % 3 == 0 {
            let sent = cuts.next_len(connection.waiting());
            turn(&mut connection, sent, 0, &mut output, &mut meter);
        }
    }
    write_all(&mut connection, 0, &mut output, &mut meter);
    let error = connection.error();
    end(connection, if talk.is_client { Role::Server } else { Role::Client });
    drop(other);
    let messages = talk.payloads.len() * usize::from(talk.max_message_len);
    let limit = FACTOR * stream.len() + 4 * messages + CONSTANT;
    assert!(meter.peak <= limit, "{} bytes of memory for {} of input", meter.peak, stream.len());
    (heard, error)
}

/// A frame for the peer of the end that sends, with the longest length.
fn frame(is_masked: bool, first: u8, payload: &[u8], out: &mut Vec<u8>) {
    const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
    out.extend([first, if is_masked { 0xFF } else { 0x7F }]);
    out.extend((payload.len() as u64).to_be_bytes());
    if is_masked {
        out.extend(KEY);
        out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    } else {
        out.extend(payload);
    }
}

fn compress(talk: &Talk) {
    let settings = Settings { high_water_len: 5000, deflate_min_len: 3, ..talk.settings() };
    let mut sender = talk.end(true, settings);
    let mut receiver = talk.end(false, talk.settings());
    let (mut heard, mut cuts) = (Heard::default(), Cuts::new(talk.seed));
    let mut expected = Vec::new();
    for (data, act) in &talk.messages {
        let sent = match *act {
            Act::Send => sender.send(Opcode::Binary, data),
            Act::SendCompressed => sender.send_as(Opcode::Binary, data, Compress::Always, false),
            Act::SendPlain => sender.send_as(Opcode::Binary, data, Compress::Never, false),
            Act::SendMessage => {
                let bits = talk.window_bits(9);
                let settings = Settings { server_max_window_bits: bits, client_max_window_bits: bits, ..settings };
                let config = Config { settings, ..Config::default() };
                sender.send_message(&Message::new(Opcode::Binary, data, Compress::Always, &config).unwrap())
            }
            Act::Pieces(len) => {
                let pieces = data.chunks(usize::from(len).max(1) * 3).map(|piece| (piece, true));
                for (piece, more) in pieces.chain([(&[][..], false)]) {
                    while sender.send_as(Opcode::Binary, piece, Compress::IfShorter, more) == Err(Error::OutputFull) {
                        carry(&mut sender, &mut receiver, &mut cuts, &mut heard);
                    }
                }
                Ok(1)
            }
            Act::Deliver => {
                // With much before it.
                let noise = noise(data, 30_000);
                if sender.send_as(Opcode::Binary, &noise, Compress::Always, false).is_ok() {
                    expected.push(noise);
                }
                let full = sender.send_as(Opcode::Binary, data, Compress::Always, false);
                assert_eq!(full, Err(Error::OutputFull));
                full
            }
        };
        match sent {
            Ok(waiting) => {
                assert!(waiting > 0);
                expected.push(data.to_vec());
            }
            Err(error) => {
                assert_eq!(error, Error::OutputFull);
                carry(&mut sender, &mut receiver, &mut cuts, &mut heard);
            }
        }
    }
    carry(&mut sender, &mut receiver, &mut cuts, &mut heard);
    assert_eq!(receiver.error(), None);
    assert!(heard.events.iter().map(|event| &event.3).eq(&expected), "what was sent was received");
}

/// What cannot be compressed, and begins with something that can be referred to.
fn noise(start: &[u8], len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let noise = std::iter::from_fn(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        Some(state as u8)
    });
    start.iter().copied().chain(noise.take(len)).collect()
}

fn carry(from: &mut Connection, to: &mut Connection, cuts: &mut Cuts, heard: &mut Heard) {
    let mut meter = Meter::default();
    while from.waiting() > 0 {
        let len = cuts.next_len(from.waiting());
        // A long output also in long parts, or it takes too long.
        let len = if from.waiting() > 2000 { len.max(from.waiting() / 3) } else { len };
        let mut part = Vec::new();
        turn(from, len, 0, &mut part, &mut meter);
        receive(to, &mut part, false, 16 << 20, heard, &mut meter);
    }
}
