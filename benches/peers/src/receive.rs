//! Masked frames in, messages out.

use std::hint::black_box;

use fastwebsockets::{OpCode, WebSocket as Fastwebsockets};
use tungstenite::{Message, WebSocket as Tungstenite, protocol::Role};

use crate::input::{Batch, Content, READ, Tally, naive_unmask, size_name};
use crate::library::{Connection, Event};
use crate::measure::{Case, Section};
use crate::stream::{Stream, done};
use crate::wslay;

const LENGTHS: [usize; 7] = [1, 16, 125, 1 << 10, 16 << 10, 1 << 20, 16 << 20];

pub fn run() {
    let section = Section::begin(
        "receive",
        "Receive masked messages",
        "Time per message of a batch of masked frames, 64 KiB of them or a single longer one: headers, unmasking, UTF-8 of \
         text, and a look at every message, as a server's side of an open connection; `wsframe_connection_receive`, and \
         the same in place, and with the `wsframe_connection_output` that ends a loop's turn, which gives the memory back. All read into a buffer \
         first, at most 64 KiB at once, as from a socket; this reading is the memcpy, and its time is subtracted from the \
         others. The naive loop reads all at once, takes a new `Vec` for each message and asks `std::str::from_utf8`.",
    );
    for content in Content::ALL {
        for len in LENGTHS {
            let batch = Batch::new(content, len);
            let mut case = section.case(format!("{}, {}", content.name(), size_name(len)), batch.tally.messages);
            add_contestants(&mut case, &batch);
            case.run();
        }
    }
}

fn add_contestants<'a>(case: &mut Case<'a>, batch: &'a Batch) {
    let mut connection = Connection::open_server();
    add_reading(case, "libwsframe", batch, move |read| whole(&mut connection, read));

    let mut connection = Connection::open_server();
    add_reading(case, "libwsframe in place", batch, move |read| in_place(&mut connection, read));

    let mut connection = Connection::open_server();
    add_reading(case, "libwsframe and turn", batch, move |read| {
        let tally = whole(&mut connection, read);
        assert!(connection.output(0).is_empty());
        tally
    });

    let mut buffer = batch.bytes.clone();
    add(case, "naive loop", batch, move || {
        black_box(&mut buffer).copy_from_slice(black_box(&batch.bytes));
        naive(&buffer)
    });

    let mut socket = Tungstenite::from_raw_socket(Stream::new(batch.bytes.as_slice()), Role::Server, None);
    add(case, "tungstenite", batch, move || tungstenite(&mut socket));

    let mut socket = Fastwebsockets::after_handshake(Stream::new(batch.bytes.as_slice()), fastwebsockets::Role::Server);
    let messages = batch.tally.messages;
    add(case, "fastwebsockets", batch, move || fastwebsockets(&mut socket, messages));

    let mut server = wslay::Server::new(Stream::new(batch.bytes.as_slice()));
    add(case, "wslay", batch, move || server.receive());

    let mut buffer = [0; READ];
    case.add_overhead("memcpy", move || for_each_read(batch, &mut buffer, |_| ()));
}

/// Adds a contestant that has seen to be right.
fn add<'a>(case: &mut Case<'a>, name: &'static str, batch: &Batch, mut receive: impl FnMut() -> Tally + 'a) {
    for _ in 0..2 {
        assert_eq!(receive(), batch.tally, "{name} receives the batch");
    }
    case.add(name, move || {
        black_box(receive());
    });
}

/// The same for one that takes what its caller has read.
fn add_reading<'a>(
    case: &mut Case<'a>,
    name: &'static str,
    batch: &'a Batch,
    mut receive: impl FnMut(&mut [u8]) -> Tally + 'a,
) {
    let mut buffer = [0; READ];
    add(case, name, batch, move || {
        let mut tally = Tally::default();
        for_each_read(batch, &mut buffer, |read| tally += receive(read));
        tally
    });
}

/// Reads the batch as from a socket, and does something with each read.
fn for_each_read(batch: &Batch, buffer: &mut [u8; READ], mut receive: impl FnMut(&mut [u8])) {
    for chunk in batch.bytes.chunks(READ) {
        let read = &mut buffer[..chunk.len()];
        black_box(&mut *read).copy_from_slice(black_box(chunk));
        receive(read);
    }
}

pub fn whole(connection: &mut Connection, read: &[u8]) -> Tally {
    let mut tally = tally(connection.receive(read));
    tally += rest(connection);
    tally
}

pub fn in_place(connection: &mut Connection, read: &mut [u8]) -> Tally {
    let mut tally = tally(connection.receive_in_place(read));
    tally += rest(connection);
    tally
}

/// What one call did not deliver.
fn rest(connection: &mut Connection) -> Tally {
    let mut rest = Tally::default();
    while connection.has_more() {
        rest += tally(connection.receive(&[]));
    }
    rest
}

fn tally(events: &[Event]) -> Tally {
    let mut tally = Tally::default();
    for event in events {
        tally.messages += 1;
        tally.bytes += event.len as usize;
    }
    tally
}

fn naive(read: &[u8]) -> Tally {
    let mut tally = Tally::default();
    let mut rest = read;
    while let [first, second, behind @ ..] = rest {
        let (len, behind) = match second & 0x7f {
            len @ 0..126 => (usize::from(len), behind),
            126 => big_endian(behind, 2),
            _ => big_endian(behind, 8),
        };
        let (key, behind) = behind.split_first_chunk().expect("a key");
        let mut payload = behind[..len].to_vec();
        naive_unmask(&mut payload, *key);
        assert!(first & 0xf == 2 || std::str::from_utf8(&payload).is_ok(), "the batch's text is UTF-8");
        tally.count(&payload);
        rest = &behind[len..];
    }
    tally
}

/// The number in the first `size` bytes, and what is behind them.
fn big_endian(bytes: &[u8], size: usize) -> (usize, &[u8]) {
    let (number, behind) = bytes.split_at(size);
    (number.iter().fold(0, |number, &byte| number << 8 | usize::from(byte)), behind)
}

fn tungstenite(socket: &mut Tungstenite<Stream>) -> Tally {
    socket.get_mut().rewind();
    let mut tally = Tally::default();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => tally.count(text.as_bytes()),
            Ok(Message::Binary(bytes)) => tally.count(&bytes),
            Ok(other) => unreachable!("{other}"),
            Err(_) => return tally,
        }
    }
}

fn fastwebsockets(socket: &mut Fastwebsockets<Stream>, messages: usize) -> Tally {
    let mut tally = Tally::default();
    for _ in 0..messages {
        let frame = done(socket.read_frame()).expect("a frame");
        assert!(matches!(frame.opcode, OpCode::Text | OpCode::Binary), "a message");
        tally.count(&frame.payload);
    }
    tally
}
