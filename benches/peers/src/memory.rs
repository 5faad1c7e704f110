//! How much memory a connection takes that is idle: by how much the resident set of this process grows.
//!
//!     wsframe-bench memory CONNECTIONS MESSAGES WINDOW CONTESTANT
//!
//! prints how many bytes each of so many connections takes after so many messages each way. WINDOW is in bits, `alone`
//! for no takeover, or `plain` for no compression. CONTESTANT is `libwsframe`, or for zlib-rs called directly its memory
//! level.
//!
//!     wsframe-bench memory-after-large CONNECTIONS CONTESTANT
//!
//! prints it for so many connections that each have received a message of 16 MiB, and one byte of another. CONTESTANT is
//! `libwsframe`, `tungstenite` or `fastwebsockets`.

use std::process::Command;
use std::rc::Rc;

use fastwebsockets::WebSocket as Fastwebsockets;
use tungstenite::{WebSocket as Tungstenite, protocol::Role};

use crate::chat;
use crate::deflate::{compressed, frame};
use crate::input::{KEY, READ, push_frame};
use crate::library::{Agreement, Connection, TEXT};
use crate::measure::Section;
use crate::receive;
use crate::stream::{Stream, done};
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
                // Between two turns of a loop it gives back what it does not need.
                connection.write_output(|_| ());
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

const LARGE: usize = 16 << 20;
const AFTER_LARGE: [&str; 3] = ["libwsframe", "tungstenite", "fastwebsockets"];
const CONNECTIONS_AFTER_LARGE: usize = 20;

/// Each contestant in a process of its own, in which nobody has allocated before.
pub fn after_large() {
    let section = Section::begin_without_ratios(
        "memory-after-large",
        "Memory after a large message",
        "By how much the resident set of a process grows for each of 20 connections that have received a message of 16 MiB, \
         in reads of 64 KiB, and one byte of another; all that they share is included. fastwebsockets keeps what it reads \
         into for the next message.",
    );
    for contestant in AFTER_LARGE {
        let program = std::env::current_exe().expect("this program");
        let connections = CONNECTIONS_AFTER_LARGE.to_string();
        let output = Command::new(program).args(["memory-after-large", &connections, contestant]).output();
        let printed = String::from_utf8(output.expect("it runs").stdout).expect("a number");
        section.report_bytes("16 MiB", contestant, printed.trim().parse().expect("a number"));
    }
}

pub fn run_after_large(args: impl Iterator<Item = String>) {
    let args: Vec<_> = args.collect();
    let [connections, contestant] = &args[..] else { panic!("two arguments") };
    let count = connections.parse::<usize>().expect("a number");
    let mut frames = Vec::new();
    push_frame(&mut frames, 0x82, &vec![7; LARGE], KEY);
    let first = frames.len();
    push_frame(&mut frames, 0x82, &vec![7; LARGE], KEY);
    // A header, and a byte.
    frames.truncate(first + 14 + 1);
    let received: Rc<[u8]> = frames.into();
    let stream = || Stream::new(received.clone());
    let before = resident();
    let grown = match contestant.as_str() {
        "libwsframe" => {
            let connections = each(count, || {
                let mut connection = Connection::open_server();
                let mut messages = 0;
                for read in received.chunks(READ) {
                    messages += receive::whole(&mut connection, read).messages;
                    connection.write_output(|_| ());
                }
                assert_eq!(messages, 1);
                connection
            });
            grown_for(connections, before)
        }
        "tungstenite" => {
            let connections = each(count, || {
                let mut socket = Tungstenite::from_raw_socket(stream(), Role::Server, None);
                socket.get_mut().rewind();
                assert_eq!(socket.read().expect("a message").len(), LARGE);
                assert!(socket.read().is_err(), "there is no more");
                socket
            });
            grown_for(connections, before)
        }
        "fastwebsockets" => {
            let connections = each(count, || {
                let mut socket = Fastwebsockets::after_handshake(stream(), fastwebsockets::Role::Server);
                assert_eq!(done(socket.read_frame()).expect("a frame").payload.len(), LARGE);
                socket
            });
            grown_for(connections, before)
        }
        other => panic!("who is {other}?"),
    };
    println!("{grown:.0}");
}

fn each<T>(count: usize, new: impl Fn() -> T) -> Vec<T> {
    (0..count).map(|_| new()).collect()
}

/// What each of the connections takes beyond what there was before them.
fn grown_for<T>(connections: Vec<T>, before: f64) -> f64 {
    (resident() - before) / connections.len() as f64
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
