//! Compressed messages, compared with a naive inflater of their own: what this library sends comes out of it as it went in,
//! and what it receives comes out as the naive way has it. The messages are random, and so are levels, windows, fragments
//! and calls; the peer's blocks are put together by hand, with references to the edge of the window and beyond.

#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "numbers chosen by the test")]
#![allow(clippy::cast_possible_wrap, reason = "numbers chosen by the test")]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/inflate.rs"]
mod inflate;
#[path = "common/random.rs"]
mod random;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use inflate::Inflater;
use random::Random;
use wsframe::connection::{
    Compress, Config, ConfigFlag, Connection, EventFlag, EventKind, Message, Role, Settings, State,
};
use wsframe::error::Error;
use wsframe::frame::{Header, Opcode};
use wsframe::mask::unmask;

impl Random {
    /// Something that can be compressed, or not; of any length, but mostly short.
    fn message(&mut self) -> Vec<u8> {
        let len = match self.below(12) {
            0 => 0,
            1 => self.below(70_000),
            2 | 3 => self.below(6000),
            _ => self.below(300),
        };
        let kind = self.below(4);
        let mut message = Vec::new();
        while message.len() < len {
            match kind {
                0 => message.push(self.next() as u8),
                1 => message.extend([&b"some "[..], b"words", b"\0\0\0", b"\xE2\x82\xAC"][self.below(4)]),
                2 => message.extend(vec![self.next() as u8; self.below(400)]),
                // What was said long ago: references as far as they get.
                _ => {
                    let word = self.below(40) as u64;
                    let mut random = Self(word);
                    message.extend((0..100).map(|_| random.next() as u8));
                }
            }
        }
        message
    }
}

/// What both ends agreed on, for the messages of one of them.
#[derive(Clone, Copy, Debug)]
struct Agreed {
    role: Role,
    takeover: bool,
    window_bits: u8,
}

impl Agreed {
    fn random(random: &mut Random, least_bits: usize) -> Self {
        Self {
            role: if random.is_one_in(2) { Role::Server } else { Role::Client },
            takeover: !random.is_one_in(3),
            window_bits: (least_bits + random.below(16 - least_bits)) as u8,
        }
    }

    /// A connection that sends under this agreement, or receives.
    fn connection(self, is_sender: bool, settings: Settings) -> Connection {
        let is_server = (self.role == Role::Server) == is_sender;
        // Of the end that sends.
        let end = if self.role == Role::Server { "server" } else { "client" };
        let takeover = if self.takeover { String::new() } else { format!("; {end}_no_context_takeover") };
        let extensions = Some(format!("permessage-deflate{takeover}; {end}_max_window_bits={}", self.window_bits));
        let flags = settings.flags | ConfigFlag::StartOpen as u32 | ConfigFlag::Deflate as u32;
        let settings = Settings { flags, server_max_window_bits: 15, client_max_window_bits: 15, ..settings };
        let role = if is_server { Role::Server } else { Role::Client };
        Connection::new(role, &Config { extensions, settings, ..Config::default() }).unwrap()
    }
}

/// The frames of an output: first bytes and payloads.
fn frames(mut output: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while !output.is_empty() {
        let (header, header_len) = Header::parse(output).unwrap().unwrap();
        let end = header_len + header.payload_len as usize;
        let mut payload = output[header_len..end].to_vec();
        if let Some(key) = header.mask_key {
            unmask(&mut payload, key, 0);
        }
        frames.push((output[0], payload));
        output = &output[end..];
    }
    frames
}

/// Has all that waits written, and gives back what is not needed between two turns of a loop.
fn taken(connection: &mut Connection) -> Vec<(u8, Vec<u8>)> {
    let waiting = connection.waiting();
    let output: Vec<u8> = connection.parts().flatten().copied().collect();
    assert_eq!(output.len(), waiting);
    assert!(connection.output(waiting, 0).unwrap().bytes.is_empty());
    frames(&output)
}

/// What the frames of one end say to an inflater.
struct Listener {
    inflater: Inflater,
    /// Whether the message is compressed, and what has come of it.
    message: Option<(bool, Vec<u8>)>,
}

impl Listener {
    fn hear(&mut self, frames: Vec<(u8, Vec<u8>)>, heard: &mut Vec<Vec<u8>>) {
        for (first, payload) in frames {
            assert_eq!(first & 0x0F == 0, self.message.is_some(), "a continuation continues");
            let (is_compressed, mut message) = self.message.take().unwrap_or((first & 0x40 != 0, Vec::new()));
            assert!(first & 0x40 == 0 || first & 0x0F != 0, "RSV1 is on first frames");
            let is_last = first & 0x80 != 0;
            message.extend(match (is_compressed, is_last) {
                (false, _) => payload,
                (true, true) => self.inflater.message(&payload).unwrap(),
                (true, false) => self.inflater.piece(&payload).unwrap(),
            });
            if is_last {
                heard.push(message);
            } else {
                self.message = Some((is_compressed, message));
            }
        }
    }
}

/// Nothing refers farther back than agreed, not even within a message: an inflater need not keep more. And each message is
/// understood, whatever was sent before it, in vain or plain.
#[test]
fn what_is_sent_can_be_inflated_within_the_window() {
    let mut random = Random(1);
    let mut farthest = [0; 16];
    let (mut full_for_messages, mut full_for_pieces) = (0, 0);
    for talk in 0..400 {
        let agreed = Agreed::random(&mut random, 9);
        let settings =
            Settings { deflate_level: 1 + random.below(9) as u8, high_water_len: 2000, ..Settings::default() };
        let mut sender = agreed.connection(true, settings);
        // A naive inflater keeps everything; what may be referred to is checked afterwards.
        let mut listener = Listener { inflater: Inflater::new(agreed.takeover, 15), message: None };
        let (mut sent, mut heard) = (Vec::new(), Vec::new());
        for _ in 0..1 + random.below(12) {
            let message = random.message();
            let compress = [Compress::IfShorter, Compress::Always, Compress::Always, Compress::Never][random.below(4)];
            let mut is_sent = true;
            match random.below(8) {
                0 => {
                    // As if for many connections, with windows of its own.
                    let bits = 9 + random.below(7) as u8;
                    let flags = ConfigFlag::Deflate as u32;
                    let settings =
                        Settings { flags, server_max_window_bits: bits, client_max_window_bits: bits, ..settings };
                    let config = Config { settings, ..Config::default() };
                    let prepared = Message::new(Opcode::Binary, &message, compress, &config).unwrap();
                    is_sent = sender.send_message(&prepared).is_ok();
                }
                1..4 => {
                    let mut rest = &message[..];
                    let mut is_last = false;
                    while !is_last {
                        let (piece, after) = rest.split_at(random.below(rest.len() + 1));
                        is_last = after.is_empty() && random.is_one_in(2);
                        let result = sender.send_as(Opcode::Binary, piece, compress, !is_last);
                        if result == Err(Error::OutputFull) {
                            // Tried again when less waits.
                            full_for_pieces += 1;
                            listener.hear(taken(&mut sender), &mut heard);
                            is_last = false;
                            continue;
                        }
                        result.unwrap();
                        rest = after;
                    }
                }
                _ => is_sent = sender.send_as(Opcode::Binary, &message, compress, false).is_ok(),
            }
            if is_sent {
                sent.push(message);
            } else {
                full_for_messages += 1;
            }
            if !is_sent || random.is_one_in(3) {
                listener.hear(taken(&mut sender), &mut heard);
            }
        }
        listener.hear(taken(&mut sender), &mut heard);
        assert!(heard == sent, "talk {talk}, {agreed:?}");
        let reached = listener.inflater.farthest;
        assert!(reached <= 1 << agreed.window_bits, "talk {talk}, {agreed:?}, {settings:?}: {reached} bytes back");
        let farthest = &mut farthest[usize::from(agreed.window_bits)];
        *farthest = reached.max(*farthest);
    }
    // Otherwise the messages have become too short to show anything.
    assert!((9..16).all(|bits| farthest[bits] > (1 << bits) * 2 / 5), "{farthest:?}");
    assert!(full_for_messages > 10 && full_for_pieces > 10, "{full_for_messages}, {full_for_pieces}");
}

/// Blocks of DEFLATE, made by hand: what no library makes, but a peer may.
#[derive(Default)]
struct Blocks {
    bits: Vec<bool>,
}

impl Blocks {
    fn put(&mut self, number: usize, count: usize) {
        self.bits.extend((0..count).map(|place| number >> place & 1 != 0));
    }

    /// A code, whose highest bit comes first.
    fn code(&mut self, code: usize, len: usize) {
        self.bits.extend((0..len).rev().map(|place| code >> place & 1 != 0));
    }

    fn begin(&mut self, is_last: bool, kind: usize) {
        self.put(is_last.into(), 1);
        self.put(kind, 2);
    }

    fn literal(&mut self, byte: u8) {
        match usize::from(byte) {
            low @ 0..144 => self.code(0x30 + low, 8),
            high => self.code(0x190 + high - 144, 9),
        }
    }

    /// Three to ten bytes from so far back.
    fn reference(&mut self, len: usize, distance: usize) {
        self.code(len - 2, 7);
        let symbol = (0..30).rev().find(|&symbol| first_distance(symbol) <= distance).unwrap();
        self.code(symbol, 5);
        self.put(distance - first_distance(symbol), if symbol < 2 { 0 } else { symbol / 2 - 1 });
    }

    fn end(&mut self) {
        self.code(0, 7);
    }

    fn align(&mut self) {
        self.bits.resize(self.bits.len().next_multiple_of(8), false);
    }

    fn stored(&mut self, is_last: bool, bytes: &[u8]) {
        self.begin(is_last, 0);
        self.align();
        self.put(bytes.len(), 16);
        self.put(bytes.len() ^ 0xFFFF, 16);
        bytes.iter().for_each(|&byte| self.put(byte.into(), 8));
    }

    fn bytes(mut self) -> Vec<u8> {
        self.align();
        self.bits.chunks(8).map(|bits| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit))).collect()
    }
}

/// RFC 1951 section 3.2.5.
fn first_distance(symbol: usize) -> usize {
    if symbol < 4 { symbol + 1 } else { 1 + ((2 + symbol % 2) << (symbol / 2 - 1)) }
}

/// A message of random blocks, sometimes with a reference that goes too far, sometimes damaged.
fn payload(random: &mut Random, window_bits: u8, produced: usize) -> Vec<u8> {
    let mut blocks = Blocks::default();
    let mut produced = produced;
    for _ in 0..random.below(5) {
        let is_last = random.is_one_in(6);
        if random.is_one_in(2) {
            let len = if random.is_one_in(4) { random.below(40_000) } else { random.below(50) };
            let bytes: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
            blocks.stored(is_last, &bytes);
            produced += len;
        } else {
            blocks.begin(is_last, 1);
            for _ in 0..random.below(60) {
                if produced == 0 || random.is_one_in(3) {
                    blocks.literal(random.next() as u8);
                    produced += 1;
                    continue;
                }
                let window = 1_usize << window_bits;
                let distance = match random.below(30) {
                    0 => window,
                    1 => window + 1,
                    2 => produced,
                    3 => produced + 1,
                    _ => 1 + random.below(produced.min(window)),
                };
                let len = 3 + random.below(8);
                blocks.reference(len, distance.clamp(1, 32_768));
                produced += len;
            }
            blocks.end();
        }
        if is_last {
            blocks.align();
        }
    }
    // The header of the block whose length completes the message.
    blocks.begin(random.is_one_in(20), 0);
    let mut payload = blocks.bytes();
    if random.is_one_in(10) {
        let at = random.below(payload.len());
        match random.below(3) {
            0 => payload[at] ^= 1 << random.below(8),
            1 => payload.truncate(at),
            _ => payload.push(random.next() as u8),
        }
    }
    payload
}

fn frame(random: &mut Random, to: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask_bit = if to == Role::Server { 0x80 } else { 0 };
    let mut frame = vec![first, mask_bit | 127];
    frame.extend((payload.len() as u64).to_be_bytes());
    let key: [u8; 4] = if to == Role::Server { random.next().to_le_bytes()[..4].try_into().unwrap() } else { [0; 4] };
    frame.extend(key.iter().filter(|_| mask_bit != 0));
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

#[test]
fn what_is_received_is_what_the_naive_way_makes_of_it() {
    let mut random = Random(2);
    let (mut received, mut refused) = (0, 0);
    for talk in 0..1500 {
        let agreed = Agreed::random(&mut random, 8);
        let mut receiver = agreed.connection(false, long_lengths());
        let to = if agreed.role == Role::Server { Role::Client } else { Role::Server };
        let mut inflater = Inflater::new(agreed.takeover, agreed.window_bits);
        let mut produced = 0;
        for message in 0..1 + random.below(8) {
            let start = if agreed.takeover { produced } else { 0 };
            let payload = payload(&mut random, agreed.window_bits, start);
            let mut expected = inflater.message(&payload);
            let cut = random.below(payload.len() + 1);
            let stream = if random.is_one_in(2) {
                frame(&mut random, to, 0xC2, &payload)
            } else {
                [frame(&mut random, to, 0x42, &payload[..cut]), frame(&mut random, to, 0x80, &payload[cut..])].concat()
            };
            let most = if random.is_one_in(2) { stream.len() } else { 1 + random.below(20) };
            let mut heard = Vec::new();
            for piece in stream.chunks(most) {
                if receiver.state() == State::Failed {
                    break;
                }
                receiver.receive(piece).unwrap();
                assert!(!receiver.has_more());
                heard.extend(receiver.events().iter().filter(|event| event.is(EventKind::Binary)).map(|event| {
                    assert!(event.flags & EventFlag::Compressed as u8 != 0);
                    event.data(receiver.data()).to_vec()
                }));
            }
            let about = || format!("talk {talk}, message {message}, {agreed:?}: {}", payload.escape_ascii());
            match expected.take() {
                Some(expected) => {
                    assert_eq!(receiver.error(), None, "{}", about());
                    assert!(heard == [&expected[..]], "{}", about());
                    produced += expected.len();
                    received += 1;
                }
                None => {
                    assert_eq!(receiver.error(), Some(Error::InvalidDeflate), "{}", about());
                    refused += 1;
                    break;
                }
            }
        }
    }
    assert!(received > 1000 && refused > 300, "{received} messages were received, {refused} refused");
}

/// The pieces of a message refer to those before, whoever has had the compressor since, with context takeover or not.
#[test]
fn pieces_refer_to_those_before_whatever_comes_between() {
    for takeover in [false, true] {
        let agreed = Agreed { role: Role::Server, takeover, window_bits: 15 };
        let mut sender = agreed.connection(true, Settings::default());
        let mut others: Vec<_> = (0..10).map(|_| agreed.connection(true, Settings::default())).collect();
        let mut listener = Listener { inflater: Inflater::new(takeover, 15), message: None };
        let noise: Vec<u8> = {
            let mut random = Random(4);
            (0..1000).map(|_| random.next() as u8).collect()
        };
        let mut heard = Vec::new();
        for piece in 0..5 {
            sender.send_as(Opcode::Binary, &noise, Compress::IfShorter, piece < 4).unwrap();
            let frames = taken(&mut sender);
            assert_eq!(frames[0].1.len() < 100, piece > 0, "piece {piece}: {} bytes", frames[0].1.len());
            listener.hear(frames, &mut heard);
            for other in &mut others {
                send_and_release(other, b"what others have to say", Compress::Always);
            }
        }
        assert!(heard == [noise.repeat(5)]);
    }
}

/// Counts what each thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.set(HELD.get().wrapping_add(layout.size()));
        // SAFETY: as the caller guarantees.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.set(HELD.get().wrapping_sub(layout.size()));
        // SAFETY: as the caller guarantees.
        unsafe { System.dealloc(place, layout) }
    }
}

/// As [`frame`] makes them.
fn long_lengths() -> Settings {
    Settings { flags: ConfigFlag::AcceptLongLengths as u32, ..Settings::default() }
}

/// What each connection holds after a call, beyond what a thread holds for all of them.
fn held_by_each(agreed: Agreed, call: impl Fn(&mut Connection)) -> usize {
    const CONNECTIONS: usize = 50;
    let settings = long_lengths();
    let mut connections: Vec<_> = (0..CONNECTIONS + 10).map(|_| agreed.connection(true, settings)).collect();
    let (warming, measured) = connections.split_at_mut(10);
    warming.iter_mut().for_each(&call);
    let before = HELD.get();
    measured.iter_mut().for_each(&call);
    HELD.get().wrapping_sub(before) / CONNECTIONS
}

fn send_and_release(connection: &mut Connection, message: &[u8], compress: Compress) {
    let waiting = connection.send_as(Opcode::Binary, message, compress, false).unwrap();
    write(connection, waiting);
}

/// Ends a turn with so much written, which is all that waits.
fn write(connection: &mut Connection, len: usize) {
    assert!(connection.output(len, 0).unwrap().bytes.is_empty());
}

/// Between messages a connection keeps the bytes that the next one may refer to, and no compressor.
#[test]
fn a_connection_keeps_no_more_than_its_window() {
    let message = vec![7; 100_000];
    for window_bits in 9..=15 {
        let agreed = Agreed { role: Role::Server, takeover: true, window_bits };
        let held = held_by_each(agreed, |connection| send_and_release(connection, &message, Compress::Always));
        let window = 1 << window_bits;
        assert!((window..window + 300).contains(&held), "{held} bytes for a window of {window}");
        let agreed = Agreed { takeover: false, ..agreed };
        let held = held_by_each(agreed, |connection| send_and_release(connection, &message, Compress::Always));
        assert_eq!(held, 0, "without context takeover, window {window}");
    }
    let agreed = Agreed { role: Role::Server, takeover: true, window_bits: 15 };
    let held = held_by_each(agreed, |connection| send_and_release(connection, b"Hello", Compress::Always));
    assert!(held < 300, "{held} bytes for five");
    let held = held_by_each(agreed, |connection| send_and_release(connection, &message, Compress::Never));
    assert_eq!(held, 0, "nothing was compressed");
}

/// What a thread keeps to compress with does not grow with what its connections want.
#[test]
fn a_thread_keeps_few_compressors() {
    let before = HELD.get();
    for window_bits in 9..=15 {
        for deflate_level in 1..=9 {
            let agreed = Agreed { role: Role::Server, takeover: true, window_bits };
            let mut sender = agreed.connection(true, Settings { deflate_level, ..Settings::default() });
            send_and_release(&mut sender, b"Hello", Compress::Always);
        }
    }
    let held = HELD.get().wrapping_sub(before);
    assert!(held < 5 * 400_000, "{held} bytes for compressors");

    // Nor with how long their messages are.
    let mut random = Random(5);
    let noise: Vec<u8> = (0..2 << 20).map(|_| random.next() as u8).collect();
    let before = HELD.get();
    let agreed = Agreed { role: Role::Server, takeover: false, window_bits: 15 };
    let settings = Settings { deflate_level: 1, ..Settings::default() };
    (0..5).for_each(|_| send_and_release(&mut agreed.connection(true, settings), &noise, Compress::Always));
    let held = HELD.get().wrapping_sub(before) as isize;
    assert!(held < 5 * (64 << 10), "{held} bytes for the longest message");
}

/// A peer that sends the start of a message makes a connection hold an inflater, of bounded size.
#[test]
fn half_a_message_holds_a_bounded_amount() {
    let agreed = Agreed { role: Role::Server, takeover: true, window_bits: 15 };
    let start = frame(&mut Random(3), Role::Server, 0x42, b"\xF2");
    let held = held_by_each(agreed, |connection| {
        connection.receive(&start).unwrap();
        write(connection, 0);
    });
    assert!(held < 100 << 10, "{held} bytes for {}", start.len());
    println!("half a message: {held} bytes");
    // Of which a thread keeps few, however many were in use at a time.
    let before = HELD.get();
    let mut connections: Vec<_> = (0..30).map(|_| agreed.connection(true, long_lengths())).collect();
    let rest = frame(&mut Random(3), Role::Server, 0x80, b"\x48\xCD\xC9\xC9\x07\0");
    for piece in [&start, &rest] {
        connections.iter_mut().for_each(|connection| connection.receive(piece).unwrap());
    }
    assert!(connections.iter().all(|connection| connection.data() == b"Hello"));
    drop(connections);
    let kept = HELD.get().wrapping_sub(before) as isize;
    assert!(kept < 5 * (100 << 10), "{kept} bytes for inflaters");
    // And gives it back with the connection's failure.
    let broken = frame(&mut Random(3), Role::Server, 0x42, b"\x07");
    let held = held_by_each(agreed, |connection| {
        connection.receive(&broken).unwrap();
        assert_eq!(connection.state(), State::Failed);
        let len = connection.output(0, 0).unwrap().bytes.len();
        assert_eq!(len, 4, "the close frame");
        write(connection, len);
    });
    assert!(held < 300, "{held} bytes after a failure");
}
