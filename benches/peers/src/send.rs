//! Headers and frames built, messages sent: a server's, which are not masked, and a client's.

use std::hint::black_box;
use std::io::{Cursor, Write as _};

use fastwebsockets::{Frame as FastFrame, Payload, WebSocket as Fastwebsockets};
use tungstenite::protocol::Role;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};
use tungstenite::{Bytes, Message, Utf8Bytes, WebSocket as Tungstenite};

use crate::input::{Batch, Content, size_name};
use crate::library::{self, Connection, FIN_TEXT, Header, TEXT};
use crate::measure::{Case, Section};
use crate::stream::{Stream, done};
use crate::wslay;

const LENGTHS: [usize; 3] = [16, 125, 1 << 10];
/// One payload length for each form that a header's length has.
const HEADER_LENGTHS: [usize; 3] = [125, 1 << 10, 64 << 10];

pub fn headers() {
    let section = Section::begin(
        "header",
        "Read and build a header",
        "`wsframe_header_parse` and `wsframe_header_build`, of a client's frame. fastwebsockets only builds them.",
    );
    for len in HEADER_LENGTHS {
        let received: [u8; 14] = *Batch::new(Content::Binary, len).bytes.first_chunk().expect("a frame");
        let mut parsed = Header::default();
        library::header_parse(&received, &mut parsed);

        let mut case = section.case(format!("read, {} B", parsed.header_len), 1);
        let mut header = Header::default();
        case.add("libwsframe", move || {
            library::header_parse(black_box(received.as_slice()), &mut header);
        });
        case.add("tungstenite", move || {
            black_box(FrameHeader::parse(&mut Cursor::new(black_box(received.as_slice())))).expect("a header");
        });
        case.run();

        let mut case = section.case(format!("build, {} B", parsed.header_len), 1);
        let mut out = [0; 14];
        case.add("libwsframe", move || {
            library::header_build(black_box(&parsed), &mut out);
        });
        let header =
            FrameHeader { opcode: OpCode::Data(Data::Binary), mask: Some(parsed.mask_key), ..FrameHeader::default() };
        let mut out = Vec::with_capacity(14);
        case.add("tungstenite", move || {
            out.clear();
            header.format(black_box(len as u64), &mut out).expect("room");
            black_box(&out);
        });
        let mut out = [0; 14];
        let payload = vec![0; len];
        let mut frame =
            FastFrame::new(true, fastwebsockets::OpCode::Binary, Some(parsed.mask_key), Payload::Owned(payload));
        case.add("fastwebsockets", move || {
            black_box(black_box(&mut frame).fmt_head(black_box(&mut out)));
        });
        case.run();
    }
}

pub fn frames() {
    let section = Section::begin(
        "frame",
        "Build a frame",
        "`wsframe_frame_build` of a server's text frame into a buffer that is there. tungstenite is lent its payload; the \
         naive one appends header and payload to a `Vec`.",
    );
    for len in LENGTHS {
        let text = Content::Ascii.payload(len);
        let payload = text.as_slice();
        let mut case = section.case(size_name(len), 1);
        let mut out = vec![0; len + 14];
        case.add("libwsframe", move || {
            library::frame_build(FIN_TEXT, black_box(payload), &mut out);
        });
        let mut out = Vec::with_capacity(len + 14);
        case.add("naive", move || naive_build(black_box(payload), &mut out));
        let shared = Bytes::copy_from_slice(payload);
        let mut out = Vec::with_capacity(len + 14);
        case.add("tungstenite", move || {
            out.clear();
            let frame = Frame::message(black_box(&shared).clone(), OpCode::Data(Data::Text), true);
            frame.format(&mut out).expect("room");
            black_box(&out);
        });
        let mut out = Vec::with_capacity(len + 14);
        case.add("fastwebsockets", move || {
            black_box(FastFrame::text(Payload::Borrowed(black_box(payload))).write(&mut out));
        });
        case.run();
    }
}

fn naive_build(payload: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.push(0x81);
    match payload.len() {
        len @ 0..=125 => out.push(len as u8),
        len => {
            out.push(126);
            out.extend((len as u16).to_be_bytes());
        }
    }
    out.extend(payload);
    black_box(out);
}

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    Server,
    Client,
}

pub fn messages() {
    let section = Section::begin(
        "send",
        "Send messages",
        "Time per message when a server sends about 64 KiB of text messages on an open connection and then writes them to \
         a stream that takes all at once: `wsframe_connection_send`, and `_output` as a loop around a socket calls it, which \
         tells in the next turn how much was written; and `_output` with `WSFRAME_ALL`, once. libwsframe checks that the text \
         is UTF-8, the crates let Rust's types promise it, and wslay does not look. tungstenite and wslay join the \
         messages, as libwsframe does; fastwebsockets writes each by itself, which costs nothing here but a system call \
         elsewhere.",
    );
    for_each_length(&section, Sender::Server, |len| (64 << 10) / len);
}

pub fn one_message() {
    let section = Section::begin(
        "send-one",
        "Send a message and write it",
        "The same, but each message is written before the next is sent.",
    );
    for_each_length(&section, Sender::Server, |_| 1);
}

pub fn client_messages() {
    let section = Section::begin(
        "send-client",
        "Send a client's messages",
        "About 64 KiB of text messages as above, but masked, each with a fresh random key.",
    );
    for_each_length(&section, Sender::Client, |len| (64 << 10) / len);
}

pub fn one_client_message() {
    let section = Section::begin(
        "send-client-one",
        "Send a client's message and write it",
        "The same, but each message is written before the next is sent.",
    );
    for_each_length(&section, Sender::Client, |_| 1);
}

/// Measures sending so many messages and then writing them.
fn for_each_length(section: &Section, sender: Sender, count: impl Fn(usize) -> usize) {
    for len in LENGTHS {
        let payload = Content::Ascii.payload(len);
        let mut case = section.case(size_name(len), count(len));
        add_libwsframe(&mut case, sender, &payload, count(len));
        add_tungstenite(&mut case, sender, &payload, count(len));
        add_fastwebsockets(&mut case, sender, &payload, count(len));
        if sender == Sender::Server {
            add_wslay(&mut case, &payload, count(len));
        }
        case.run();
    }
}

fn add_libwsframe<'a>(case: &mut Case<'a>, sender: Sender, text: &'a [u8], count: usize) {
    let new = || match sender {
        Sender::Server => Connection::open_server(),
        Sender::Client => Connection::open_client(),
    };
    let send = move |connection: &mut Connection| {
        for _ in 0..count {
            connection.send(TEXT, black_box(text));
        }
    };
    let mut connection = new();
    let mut stream = Stream::default();
    case.add("libwsframe", move || {
        send(&mut connection);
        connection.write_output(|output| write(&mut stream, output));
    });
    let mut connection = new();
    let mut stream = Stream::default();
    case.add("libwsframe, WSFRAME_ALL", move || {
        send(&mut connection);
        write(&mut stream, connection.take_output());
    });
}

fn write(stream: &mut Stream, output: &[u8]) {
    stream.write_all(output).expect("a stream that takes all");
}

fn add_tungstenite(case: &mut Case<'_>, sender: Sender, text: &[u8], count: usize) {
    let role = match sender {
        Sender::Server => Role::Server,
        Sender::Client => Role::Client,
    };
    let mut socket = Tungstenite::from_raw_socket(Stream::default(), role, None);
    let shared = Utf8Bytes::try_from(text.to_vec()).expect("text");
    case.add("tungstenite", move || {
        for _ in 0..count {
            socket.write(Message::Text(black_box(&shared).clone())).expect("a stream that takes all");
        }
        socket.flush().expect("a stream that takes all");
    });
}

fn add_fastwebsockets<'a>(case: &mut Case<'a>, sender: Sender, text: &'a [u8], count: usize) {
    let role = match sender {
        Sender::Server => fastwebsockets::Role::Server,
        Sender::Client => fastwebsockets::Role::Client,
    };
    let mut socket = Fastwebsockets::after_handshake(Stream::default(), role);
    case.add("fastwebsockets", move || {
        for _ in 0..count {
            let frame = FastFrame::text(Payload::Borrowed(black_box(text)));
            done(socket.write_frame(frame)).expect("a stream that takes all");
        }
    });
}

fn add_wslay<'a>(case: &mut Case<'a>, text: &'a [u8], count: usize) {
    let mut server = wslay::Server::new(Stream::default());
    case.add("wslay", move || {
        for _ in 0..count {
            server.queue(1, black_box(text));
        }
        black_box(server.flush());
    });
}
