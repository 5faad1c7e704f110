//! How much memory a connection takes that is idle: by how much the resident set of this process grows.
//!
//!     wsframe-bench memory CONNECTIONS MESSAGES WINDOW CONTESTANT
//!
//! prints how many bytes each of so many connections takes after so many messages each way. WINDOW is in bits, `alone`
//! for no takeover, or `plain` for no compression. CONTESTANT is `libwsframe`, or for zlib-rs called directly its memory
//! level.

use crate::chat;
use crate::deflate::{compressed, frame};
use crate::library::{Agreement, Connection, TEXT};
use crate::zlib::{Compressor, DEFAULT_LEVEL, Inflater, TAIL, room};

/// libwsframe's default, where the window does not matter.
const WINDOW_BITS: u8 = 12;
const MESSAGE_LEN: usize = 1 << 10;

pub fn run(args: impl Iterator<Item = String>) {
    let args: Vec<_> = args.collect();
    let [connections, messages, window, contestant] = &args[..] else { panic!("four arguments") };
    let number = |word: &str| word.parse::<usize>().expect("a number");
    let (count, messages) = (number(connections), &chat::messages(MESSAGE_LEN)[..number(messages)]);
    let agreement = match window.as_str() {
        "plain" | "alone" => Agreement { takeover: false, window_bits: WINDOW_BITS },
        bits => Agreement { takeover: true, window_bits: bits.parse().expect("bits") },
    };
    let payloads = compressed(messages, agreement);
    let grown = match (contestant.as_str(), window.as_str()) {
        ("libwsframe", "plain") => grown(count, 0, Connection::open_server, |_, _| ()),
        ("libwsframe", _) => {
            let frames: Vec<_> = payloads.iter().map(|payload| frame(payload)).collect();
            let new = || Connection::open_compressing_server(agreement, DEFAULT_LEVEL);
            grown(count, messages.len(), new, |connection, at| {
                assert_eq!(connection.receive(&frames[at]).len(), 1, "a message");
                connection.send(TEXT, &messages[at]);
                let written = connection.output().len();
                connection.sent(written);
                // Between two turns of a loop it gives back what it does not need.
                connection.tick(1);
            })
        }
        (memory_level, _) => {
            let payloads: Vec<_> = payloads.into_iter().map(|payload| [payload, TAIL.to_vec()].concat()).collect();
            let memory_level = memory_level.parse().expect("a memory level");
            let new = || (Compressor::new(agreement, DEFAULT_LEVEL, memory_level), Inflater::new(agreement));
            let mut out = room(MESSAGE_LEN);
            grown(count, messages.len(), new, |(compressor, inflater), at| {
                inflater.inflate(&payloads[at], &mut out);
                compressor.compress(&messages[at], &mut out);
            })
        }
    };
    println!("{grown:.0}");
}

/// What each of `count` connections takes, after an exchange of each of the messages.
fn grown<T>(count: usize, messages: usize, new: impl Fn() -> T, mut exchange: impl FnMut(&mut T, usize)) -> f64 {
    let mut exchange_all = |count: usize| {
        let mut connections: Vec<_> = (0..count).map(|_| new()).collect();
        for message in 0..messages {
            connections.iter_mut().for_each(|connection| exchange(connection, message));
        }
        connections
    };
    // What all of them share is there with the first ones.
    let first = exchange_all(10);
    let before = resident();
    let connections = exchange_all(count);
    let grown = resident() - before;
    drop((first, connections));
    grown / count as f64
}

/// The bytes of this process that are in memory.
fn resident() -> f64 {
    const PAGE: f64 = 4096.0;
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    PAGE * statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).expect("the pages")
}
