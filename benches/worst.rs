//! What the most expensive bytes cost that a peer can send: CPU time per byte of input, in reads of 64 KiB.
//!
//!     cargo bench --bench worst
//!
//! Each line is a kind of input, the median of several rounds in nanoseconds a byte, and how much memory the connection holds
//! at most for it, as a multiple of what was sent. No peer gets more than the bound at the end.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use std::hint::black_box;
use std::time::Instant;

use wsframe::connection::{Compress, Config, ConfigFlag, Connection, Role, Settings};
use wsframe::frame::Opcode;

const READ: usize = 64 << 10;
const ROUNDS: usize = 9;
/// Nanoseconds a byte.
const BOUND: f64 = 150.0;

struct Kind {
    name: &'static str,
    /// What comes first, and is not measured.
    before: Vec<u8>,
    /// What is measured, as often as it fits into a read.
    unit: Vec<u8>,
    settings: Settings,
    extensions: Option<String>,
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(0x80 | len as u8),
        len @ 126..=0xFFFF => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    let key = [0x37, 0xFA, 0x21, 0x3D];
    frame.extend(key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The payload of a message as a client of libwsframe compresses it.
fn compressed(message: &[u8], bits: u8) -> Vec<u8> {
    let settings = Settings {
        flags: ConfigFlag::StartOpen as u32 | ConfigFlag::Deflate as u32,
        server_max_window_bits: bits,
        deflate_level: 9,
        ..Settings::default()
    };
    let extensions = Some("permessage-deflate".to_owned());
    let mut server = Connection::new(Role::Server, &Config { settings, extensions, ..Config::default() }).unwrap();
    server.send_as(Opcode::Binary, message, Compress::Always, false).unwrap();
    let frame = server.output(0, 0).unwrap().bytes.to_vec();
    let header = match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    frame[header..].to_vec()
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    (0..len).map(next).collect()
}

fn kinds() -> Vec<Kind> {
    let plain = |name, unit| Kind {
        name,
        before: Vec::new(),
        unit,
        settings: Settings { flags: ConfigFlag::StartOpen as u32, ..Settings::default() },
        extensions: None,
    };
    let deflate = |name, before: Vec<u8>, unit| Kind {
        name,
        before,
        unit,
        settings: Settings { flags: ConfigFlag::StartOpen as u32 | ConfigFlag::Deflate as u32, ..Settings::default() },
        extensions: Some("permessage-deflate".to_owned()),
    };
    // A full window of what cannot be compressed, which every later message may refer to.
    let window = frame(0xC2, &compressed(&noise(40_000), 15));
    let text: String = (0..500).map(|i| if i % 3 == 0 { 'é' } else { 'a' }).collect();
    vec![
        plain("text of 1 KiB", frame(0x81, &[b'a'; 1024])),
        plain("mixed text of 750 B", frame(0x81, text.as_bytes())),
        plain("empty messages", frame(0x82, b"")),
        plain("text of 1 B", frame(0x81, b"a")),
        plain("pings, empty", frame(0x89, b"")),
        plain("pings of 125 B", frame(0x89, &[7; 125])),
        plain("pongs, empty", frame(0x8A, b"")),
        plain(
            "fragments of 1 B, and a ping after each",
            [frame(0x01, b"a"), frame(0x89, b"p"), frame(0x80, b"a"), frame(0x89, b"")].concat(),
        ),
        plain("text of 3 B, a character each", frame(0x81, "€".as_bytes())),
        plain("messages in two empty fragments", [frame(0x01, b""), frame(0x80, b"")].concat()),
        deflate("compressed, empty, window 15", window.clone(), frame(0xC2, b"\x00")),
        deflate("compressed, empty, new", Vec::new(), frame(0xC2, b"\x00")),
        deflate("compressed, 1 B, window 15", window.clone(), frame(0xC2, &compressed(b"a", 15))),
        deflate("compressed, 3 B, window 15", window.clone(), frame(0xC2, &compressed(b"abc", 15))),
        deflate(
            "compressed JSON of 90 B, window 15",
            window.clone(),
            frame(
                0xC1,
                &compressed(
                    br#"{"type":"message","room":"general","from":"alice","text":"the words, the same words"}"#,
                    15,
                ),
            ),
        ),
        deflate("compressed in empty fragments", window.clone(), [frame(0x42, b"\x00"), frame(0x80, b"\x00")].concat()),
        deflate("a stream that ends, in a message", window.clone(), frame(0xC2, b"\x03\x00")),
        deflate("streams that end, 2 in a message", window.clone(), frame(0xC2, b"\x03\x00\x03\x00")),
        deflate("streams that end, 30,000 in a message", window.clone(), frame(0xC2, &b"\x03\x00".repeat(30_000))),
        deflate("streams that end with a literal", window.clone(), frame(0xC2, &b"\x4B\x04\x00".repeat(20_000))),
        deflate(
            "streams that end, of stored blocks",
            window.clone(),
            frame(0xC2, &b"\x01\x01\x00\xFE\xFFa".repeat(10_000)),
        ),
        deflate("empty stored blocks", window.clone(), frame(0xC2, &b"\x00\x00\x00\xFF\xFF".repeat(12_000))),
        deflate(
            "empty fixed blocks",
            window.clone(),
            frame(0xC2, &b"\x02\x08\x20\x80\x00\x02\x08\x20\x80\x00".repeat(6_000)),
        ),
        deflate(
            "dynamic blocks",
            window.clone(),
            frame(
                0xC1,
                &compressed(
                    &(0..900_u32).flat_map(|i| format!("{} ", i * 7919 % 1009).into_bytes()).collect::<Vec<_>>(),
                    15,
                ),
            ),
        ),
        deflate("1 MiB of zeroes", Vec::new(), frame(0xC2, &compressed(&vec![0; 1 << 20], 15))),
        deflate("1 MiB of text", Vec::new(), frame(0xC1, &compressed(&[b'a'; 1 << 20], 15))),
        deflate("1 MiB of é", Vec::new(), frame(0xC1, &compressed("é".repeat(1 << 19).as_bytes(), 15))),
        deflate("64 KiB of zeroes", Vec::new(), frame(0xC2, &compressed(&vec![0; 1 << 16], 15))),
        deflate("4 KiB of zeroes", Vec::new(), frame(0xC2, &compressed(&vec![0; 1 << 12], 15))),
        deflate("more than the limit", Vec::new(), frame(0xC2, &compressed(&vec![0; 2 << 20], 15))),
    ]
}

/// Receives, looks at each event, and ends the turn, as a server does; until nothing is left of the read.
fn receive(connection: &mut Connection, read: &[u8]) -> usize {
    let mut events = 0;
    let mut input = read;
    loop {
        connection.receive(input).expect("there is memory");
        events += connection.events().len();
        black_box(connection.data());
        input = &[];
        if !connection.has_more() {
            break;
        }
    }
    let mut sent = 0;
    loop {
        let output = connection.output(sent, 0).expect("it was sent");
        sent = output.bytes.len();
        if sent == 0 {
            return events;
        }
    }
}

fn main() {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    println!("{:<42} {:>9} {:>9}", "input", "ns/B", "worst");
    let mut worst: f64 = 0.0;
    for kind in kinds().into_iter().filter(|kind| kind.name.contains(&filter)) {
        let count = (READ / kind.unit.len()).max(1);
        let read = kind.unit.repeat(count);
        let config = Config { settings: kind.settings, extensions: kind.extensions.clone(), ..Config::default() };
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let mut connection = Connection::new(Role::Server, &config).unwrap();
            receive(&mut connection, &kind.before);
            // What fails the connection is paid for with a new one.
            let begin = Instant::now();
            receive(&mut connection, &read);
            times.push(begin.elapsed().as_secs_f64() * 1e9 / read.len() as f64);
        }
        times.sort_by(f64::total_cmp);
        let median = times[ROUNDS / 2];
        worst = worst.max(median);
        println!(
            "{:<42} {median:>9.2} {:>9.2}{}",
            kind.name,
            times[ROUNDS - 1],
            if median > BOUND { "  above the bound" } else { "" }
        );
    }
    println!("{:<42} {worst:>9.2}, the bound is {BOUND}", "the most expensive");
}
