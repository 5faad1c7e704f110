//! Compressed messages (permessage-deflate).

use std::hint::black_box;

use crate::chat;
use crate::input::{KEY, push_frame, size_name};
use crate::library::{Agreement, Connection, TEXT};
use crate::measure::{Case, Section};
use crate::zlib::{Compressor, DEFAULT_LEVEL, DEFAULT_MEMORY_LEVEL, Inflater, TAIL, room};

const LENGTHS: [usize; 3] = [100, 1 << 10, 100 << 10];
/// libwsframe's default.
const WINDOW_BITS: u8 = 12;
const MAX_WINDOW: usize = 1 << 15;
/// FIN, RSV1 and text.
const COMPRESSED_TEXT: u8 = 0xc1;
/// A short header, of a frame without a mask.
const SHORT_HEADER: usize = 2;

/// Who says what.
#[derive(Clone, Copy)]
struct Scene {
    name: &'static str,
    takeover: bool,
    /// They take turns.
    connections: usize,
}

const SCENES: [Scene; 3] = [
    Scene { name: "one connection", takeover: true, connections: 1 },
    Scene { name: "100 in turn", takeover: true, connections: 100 },
    Scene { name: "no takeover", takeover: false, connections: 1 },
];

impl Scene {
    const fn agreement(self) -> Agreement {
        Agreement { takeover: self.takeover, window_bits: WINDOW_BITS }
    }

    fn each<T>(self, new: impl Fn(Agreement) -> T) -> Vec<T> {
        (0..self.connections).map(|_| new(self.agreement())).collect()
    }

    /// Adds a contestant that works on the next of the messages with the next of the connections.
    fn add<'a, T: 'a>(
        self,
        case: &mut Case<'a>,
        name: &'static str,
        messages: &'a [Vec<u8>],
        new: impl Fn(Agreement) -> T,
        mut work: impl FnMut(&mut T, &[u8]) + 'a,
    ) {
        let mut connections: Vec<_> = self.each(new).into_iter().map(|connection| (connection, 0)).collect();
        let mut next = move |connection: &mut (T, usize)| {
            work(black_box(&mut connection.0), black_box(&messages[connection.1]));
            connection.1 = (connection.1 + 1) % messages.len();
        };
        // Till the windows are full, and each connection is at another message: the CPU would learn one by heart.
        let some = MAX_WINDOW / messages[0].len() + 1;
        for (at, connection) in connections.iter_mut().enumerate() {
            (0..some + at % messages.len()).for_each(|_| next(connection));
        }
        let mut at = 0;
        let turn = move || {
            next(&mut connections[at]);
            at = (at + 1) % connections.len();
        };
        case.add(name, turn);
    }
}

pub fn send() {
    let section = Section::begin(
        "deflate-send",
        "Send compressed messages",
        "Time per message of a chat, JSON, that a server compresses and sends, at level 6 and with a window of 4 KiB on \
         both sides: `wsframe_connection_send` and `_output`, which also check the text and frame it; and zlib-rs \
         called directly, with a compressor kept for each connection. In turn is the worst case of libwsframe, whose \
         connections share their compressors: each message's context has to be put in again.",
    );
    for_all(&section, |case, scene, messages| {
        scene.add(case, "libwsframe", messages, |agreement| server(agreement, 0), send_one);
        let mut out = room(messages[0].len());
        scene.add(case, "zlib-rs", messages, compressor, move |compressor, message| {
            black_box(compressor.compress(message, &mut out));
        });
    });
}

pub fn receive() {
    let section = Section::begin(
        "deflate-receive",
        "Receive compressed messages",
        "The same messages as a client's masked frames: `wsframe_connection_receive`, which also reads the header, unmasks, \
         and checks the text; and zlib-rs called directly, with an inflater kept for each connection, which is given the \
         payload.",
    );
    for_all(&section, |case, scene, messages| {
        let payloads = compressed(messages, scene.agreement());
        let frames: &[Vec<u8>] = Vec::leak(payloads.iter().map(|payload| frame(payload)).collect());
        let with_tails = payloads.into_iter().map(|payload| [payload, TAIL.to_vec()].concat());
        let with_tails: &[Vec<u8>] = Vec::leak(with_tails.collect());
        check_receiving(scene, messages, frames);

        scene.add(
            case,
            "libwsframe",
            frames,
            |agreement| server(agreement, 0),
            |connection, frame| {
                black_box(connection.receive(frame));
            },
        );
        let mut out = room(messages[0].len());
        scene.add(case, "zlib-rs", with_tails, Inflater::new, move |inflater, payload| {
            black_box(inflater.inflate(payload, &mut out));
        });
    });
}

/// The contestants are one library here, at different levels.
pub fn levels() {
    let section = Section::begin(
        "deflate-levels",
        "Levels and windows: time",
        "As in the table of sending above, by `deflate_level` and by the window, which are 6 and 12 bits by default.",
    );
    for_all(&section, |case, scene, messages| {
        for (name, level) in LEVELS {
            scene.add(case, name, messages, move |agreement| server(agreement, level), send_one);
        }
        for (name, window_bits) in WINDOWS {
            let new = move |agreement| server(Agreement { window_bits, ..agreement }, 0);
            scene.add(case, name, messages, new, send_one);
        }
    });
}

/// The default first, to which the others are compared.
const LEVELS: [(&str, u32); 5] = [("level 6", 6), ("level 1", 1), ("level 2", 2), ("level 3", 3), ("level 9", 9)];

/// The default is among the levels.
const WINDOWS: [(&str, u8); 3] = [("9 bits", 9), ("10 bits", 10), ("15 bits", 15)];

pub fn sizes() {
    let section = Section::begin_without_ratios(
        "deflate-sizes",
        "Levels and windows: size",
        "Bytes per message of the same chat, without the frame's header. The window is 12 bits, 4 KiB, where nothing else \
         is said, and the level 6. zlib-rs called directly makes the same of them, as it is what compresses here.",
    );
    for len in LENGTHS {
        let messages = chat::messages(len);
        for takeover in [true, false] {
            let case = format!("{}, {}", size_name(len), if takeover { "takeover" } else { "no takeover" });
            let report = |name, window_bits, level| {
                let agreement = Agreement { takeover, window_bits };
                section.report_bytes(&case, name, mean_size(&messages, agreement, level));
            };
            for (name, level) in LEVELS {
                report(name, WINDOW_BITS, level);
            }
            for (name, window_bits) in WINDOWS {
                report(name, window_bits, DEFAULT_LEVEL);
            }
            let direct = compressed(&messages, Agreement { takeover, window_bits: WINDOW_BITS });
            section.report_bytes(&case, "zlib-rs", mean(&direct));
        }
    }
}

/// Measures all lengths in all scenes.
fn for_all(section: &Section, add_contestants: impl Fn(&mut Case<'static>, Scene, &'static [Vec<u8>])) {
    for len in LENGTHS {
        // There are few of them, and the contestants keep what they borrow.
        let messages: &[Vec<u8>] = Vec::leak(chat::messages(len));
        for scene in SCENES {
            let mut case = section.case(format!("{}, {}", size_name(len), scene.name), 1);
            add_contestants(&mut case, scene, messages);
            case.run();
        }
    }
}

fn server(agreement: Agreement, level: u32) -> Connection {
    Connection::open_compressing_server(agreement, level)
}

fn send_one(connection: &mut Connection, message: &[u8]) {
    connection.send(TEXT, message);
    black_box(connection.take_output());
}

fn compressor(agreement: Agreement) -> Compressor {
    Compressor::new(agreement, DEFAULT_LEVEL, DEFAULT_MEMORY_LEVEL)
}

/// The payloads of the messages, sent one after the other.
pub fn compressed(messages: &[Vec<u8>], agreement: Agreement) -> Vec<Vec<u8>> {
    let mut compressor = compressor(agreement);
    messages.iter().map(|message| compressor.compress(message, &mut room(message.len())).to_vec()).collect()
}

/// A client's frame.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    push_frame(&mut frame, COMPRESSED_TEXT, payload, KEY);
    frame
}

/// The mean length of what a server sends of the messages, which has to inflate to them.
fn mean_size(messages: &[Vec<u8>], agreement: Agreement, level: u32) -> f64 {
    let mut connection = server(agreement, level);
    let mut inflater = Inflater::new(agreement);
    let payloads: Vec<_> = messages
        .iter()
        .map(|message| {
            connection.send(TEXT, message);
            let frame = connection.take_output().to_vec();
            let payload = frame[SHORT_HEADER + [0, 2, 8][usize::from(frame[1].saturating_sub(125))]..].to_vec();
            if frame[0] == COMPRESSED_TEXT {
                let with_tail = [&payload[..], &TAIL].concat();
                assert!(inflater.inflate(&with_tail, &mut room(message.len())) == message, "it is the message");
            } else {
                assert!(&payload == message, "it would not have been shorter");
            }
            payload
        })
        .collect();
    mean(&payloads)
}

fn mean(payloads: &[Vec<u8>]) -> f64 {
    payloads.iter().map(Vec::len).sum::<usize>() as f64 / payloads.len() as f64
}

fn check_receiving(scene: Scene, messages: &[Vec<u8>], frames: &[Vec<u8>]) {
    for mut connection in scene.each(|agreement| server(agreement, 0)) {
        for (frame, message) in frames.iter().zip(messages) {
            let [event] = connection.receive(frame) else { panic!("one event") };
            let (begin, len) = (event.offset as usize, event.len as usize);
            assert!(&connection.data()[begin..begin + len] == message, "it is the message");
        }
    }
}
