#![allow(clippy::arithmetic_side_effects)]

use super::*;

const REQUEST: &[u8] =
    b"GET /chat?room=1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://a\r\n\r\n";
/// RFC 6455 section 5.7.
const HELLO: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";

fn server(flags: &[ConfigFlag]) -> Connection {
    let flags = flags.iter().fold(0, |flags, &flag| flags | flag as u32);
    let settings = Settings { flags, ..Settings::default() };
    Connection::new(Role::Server, &Config { settings, ..Config::default() }).unwrap()
}

fn open_server(flags: &[ConfigFlag]) -> Connection {
    server(&[flags, &[ConfigFlag::StartOpen]].concat())
}

fn write_output(connection: &mut Connection) -> Vec<u8> {
    let output = connection.output().to_vec();
    connection.sent(output.len()).unwrap();
    output
}

fn kinds(connection: &Connection) -> Vec<u8> {
    connection.events().iter().map(|event| event.kind).collect()
}

/// What an open connection costs that nothing is happening on. README.md and the header say less than 256 bytes.
#[test]
fn an_idle_connection_holds_no_buffer_and_is_small() {
    assert!(size_of::<Connection>() <= 240, "{} bytes", size_of::<Connection>());
    let mut connection = server(&[]);
    connection.receive(&[REQUEST, HELLO].concat()).unwrap();
    connection.send(Opcode::Text, b"Hello").unwrap();
    write_output(&mut connection);
    assert_eq!(connection.tick(0), Ok(Due::In(30_000)));
    assert!(connection.buffers.is_none(), "{:?}", connection.buffers);
    assert!(connection.opening.is_none());
}

#[test]
fn a_server_opens_and_keeps_frames_that_follow_the_request() {
    let mut connection = server(&[]);
    connection.receive(&[REQUEST, HELLO].concat()).unwrap();
    assert_eq!(connection.target(), Some("/chat?room=1"));
    assert_eq!(connection.field("origin"), Some(&b"http://a"[..]));
    let [open, text] = connection.events() else { panic!("{:?}", connection.events()) };
    assert!(open.is(EventKind::Open) && text.is(EventKind::Text));
    assert_eq!(text.data(connection.data()), b"Hello");
    assert!(write_output(&mut connection).starts_with(b"HTTP/1.1 101 "));
}

#[test]
fn an_application_that_asks_lets_in_or_refuses() {
    let mut connection = server(&[ConfigFlag::Ask]);
    connection.receive(&[REQUEST, &HELLO[..4]].concat()).unwrap();
    assert_eq!(kinds(&connection), [EventKind::Request as u8]);
    assert_eq!(connection.output(), b"");
    connection.receive(&HELLO[4..]).unwrap();
    assert_eq!(connection.add_field(b"X-A", b"a\r\nX-B: b"), Err(Error::InvalidField));
    connection.add_field(b"X-A", b"a").unwrap();
    assert_eq!(connection.accept(Some("chat")), Err(Error::InvalidSubprotocol));
    connection.accept(None).unwrap();
    assert_eq!(kinds(&connection), [EventKind::Open as u8, EventKind::Text as u8]);
    assert!(write_output(&mut connection).ends_with(b"\r\nX-A: a\r\n\r\n"));

    let mut connection = server(&[ConfigFlag::Ask]);
    connection.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(kinds(&connection), [EventKind::Http as u8]);
    assert_eq!(connection.accept(None), Err(Error::WrongState));
    assert_eq!(connection.refuse(99, b""), Err(Error::InvalidStatus));
    connection.refuse(200, b"page").unwrap();
    assert_eq!(write_output(&mut connection), b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\npage");
    assert_eq!(connection.tick(0), Ok(Due::Close));
}

#[test]
fn a_client_and_a_server_talk_and_close() {
    let mut server = server(&[]);
    let mut client = Connection::new(Role::Client, &Config::default()).unwrap();
    client.request(b"example.com", b"/").unwrap();
    server.receive(&write_output(&mut client)).unwrap();
    client.receive(&write_output(&mut server)).unwrap();
    assert_eq!(kinds(&client), [EventKind::Open as u8]);

    client.send(Opcode::Binary, &[7; 70_000]).unwrap();
    let sent = write_output(&mut client);
    assert_ne!(sent[sent.len() - 8..], [7; 8], "masked");
    server.receive(&sent).unwrap();
    assert_eq!(server.events()[0].data(server.data()), [7; 70_000]);

    server.close(1001, b"going away").unwrap();
    assert_eq!(server.send(Opcode::Text, b""), Err(Error::WrongState));
    client.receive(&write_output(&mut server)).unwrap();
    let close = client.events()[0];
    assert_eq!((close.close_code, close.data(client.data())), (1001, &b"going away"[..]));
    server.receive(&write_output(&mut client)).unwrap();
    assert_eq!((client.state(), server.state()), (State::Closed, State::Closed));
    assert_eq!(server.tick(0), Ok(Due::Close));
    assert_eq!(client.tick(0), Ok(Due::In(5000)), "the server closes TCP first");
    assert_eq!(client.tick(5000), Ok(Due::Close));
}

#[test]
fn in_place_payloads_are_unmasked_where_they_are() {
    let mut connection = open_server(&[]);
    let ping = b"\x89\x81\0\0\0\0p";
    let mut input = [HELLO, ping, b"\x01\x82\0\0\0\0ab", ping, &b"\x80\x81\0\0\0\0c"[..], &HELLO[..8]].concat();
    connection.receive_in_place(&mut input).unwrap();
    let places = |input: &[u8], connection: &Connection| -> Vec<(bool, Vec<u8>)> {
        let place = |event: &Event| {
            let in_place = event.flags & EventFlag::InPlace as u8 != 0;
            (in_place, event.data(if in_place { input } else { connection.data() }).to_vec())
        };
        connection.events().iter().map(place).collect()
    };
    let expected: [(bool, &[u8]); 4] = [(true, b"Hello"), (true, b"p"), (true, b"p"), (false, b"abc")];
    assert_eq!(places(&input, &connection), expected.map(|(in_place, data)| (in_place, data.to_vec())));
    let mut rest = HELLO[8..].to_vec();
    connection.receive_in_place(&mut rest).unwrap();
    assert_eq!(places(&rest, &connection), [(false, b"Hello".to_vec())]);
}

#[test]
fn pieces_are_delivered_as_they_come_and_text_between_characters() {
    let mut connection = open_server(&[ConfigFlag::Pieces, ConfigFlag::AcceptAnyMask]);
    let mut receive = |input: &[u8]| {
        connection.receive(input).unwrap();
        let piece = |event: &Event| (event.flags, event.data(connection.data()).to_vec());
        connection.events().iter().map(piece).collect::<Vec<_>>()
    };
    let (first, last) = (EventFlag::First as u8, EventFlag::Last as u8);
    assert_eq!(receive(b"\x01\x05ab"), [(first, b"ab".to_vec())]);
    assert_eq!(receive(b"c\xE2\x82"), [(0, b"c".to_vec())]);
    assert_eq!(receive(b"\x80\x01\xAC"), [(last, "€".as_bytes().to_vec())]);
    assert_eq!(receive(b"\x82\x00"), [(first | last, vec![])]);
}

#[test]
fn a_flood_of_pings_does_not_fill_the_output() {
    let mut connection = open_server(&[ConfigFlag::AcceptAnyMask]);
    let flood = b"\x89\x01x".repeat(100_000);
    connection.receive(&[flood, b"\x89\x04last".to_vec()].concat()).unwrap();
    assert!(connection.output().len() < 66_000, "{}", connection.output().len());
    write_output(&mut connection);
    assert_eq!(connection.output(), b"\x8A\x04last", "of those that had to wait the last is answered");
}

#[test]
fn what_came_before_the_end_can_still_be_answered() {
    for (end, answer) in [(&b"\x88\x02\x03\xE9"[..], b"\x88\x02\x03\xE9"), (b"\x83\x00", b"\x88\x02\x03\xEA")] {
        let mut connection = open_server(&[ConfigFlag::AcceptAnyMask]);
        connection.receive(&[b"\x81\x01a", end].concat()).unwrap();
        assert_eq!(connection.events().len(), 2);
        assert_ne!(connection.state(), State::Open);
        connection.send(Opcode::Text, b"b").unwrap();
        assert_eq!(write_output(&mut connection), [b"\x81\x01b", &answer[..]].concat());
        assert_eq!(connection.send(Opcode::Text, b"c"), Err(Error::WrongState));
        assert_eq!(connection.tick(0), Ok(Due::Close));
    }
}

#[test]
fn silence_is_pinged_and_then_given_up() {
    let mut connection = open_server(&[ConfigFlag::AcceptAnyMask]);
    assert_eq!(connection.tick(1000), Ok(Due::In(30_000)));
    connection.receive(b"\x8A\x00").unwrap();
    assert_eq!(connection.tick(21_000), Ok(Due::In(30_000)));
    assert_eq!(connection.tick(50_999), Ok(Due::In(1)));
    assert_eq!(connection.output(), b"");
    assert_eq!(connection.tick(51_000), Ok(Due::In(30_000)));
    assert_eq!(write_output(&mut connection), b"\x89\x00");
    assert_eq!(connection.tick(80_999), Ok(Due::In(1)));
    assert_eq!(connection.tick(81_000), Ok(Due::Close));
    assert_eq!(connection.state(), State::Failed);
}

#[test]
fn a_slow_reader_is_alive_and_its_output_does_not_grow() {
    let mut connection = open_server(&[]);
    connection.tick(0).unwrap();
    for turn in 1..=1000 {
        connection.send(Opcode::Binary, &[0; 1000]).unwrap();
        let left = connection.waiting() - 1;
        connection.sent(left).unwrap();
        assert_ne!(connection.tick(turn * 1000), Ok(Due::Close));
    }
    let buffers = connection.buffers.as_ref().unwrap();
    assert!(buffers.output.capacity() < 10_000, "{} bytes for 1 that waits", buffers.output.capacity());
}

#[test]
fn a_slow_handshake_and_a_peer_that_does_not_close_are_given_up() {
    let mut connection = server(&[]);
    connection.receive(&REQUEST[..20]).unwrap();
    assert_eq!(connection.tick(0), Ok(Due::In(10_000)));
    assert_eq!(connection.tick(10_000), Ok(Due::Close));

    let mut connection = open_server(&[]);
    connection.close(1000, b"").unwrap();
    assert_eq!(connection.tick(0), Ok(Due::In(5_000)));
    assert_eq!(connection.tick(5_000), Ok(Due::Close));
}

#[test]
fn the_output_is_limited() {
    let settings = Settings { max_output_len: 100, flags: ConfigFlag::StartOpen as u32, ..Settings::default() };
    let mut connection = Connection::new(Role::Server, &Config { settings, ..Config::default() }).unwrap();
    connection.send(Opcode::Binary, &[0; 90]).unwrap();
    assert_eq!(connection.send(Opcode::Binary, &[0; 90]), Err(Error::OutputFull));
    assert_eq!(connection.output().len(), 92);
    write_output(&mut connection);
    assert_eq!(connection.send(Opcode::Binary, &[0; 90]), Ok(()));
    assert_eq!(connection.sent(93), Err(Error::LengthOutOfRange));
}

#[test]
fn pieces_are_sent_as_fragments_with_control_frames_between() {
    let mut connection = open_server(&[]);
    connection.send_piece(Opcode::Text, b"\xE2\x82", false).unwrap();
    assert_eq!(connection.send(Opcode::Text, b"x"), Err(Error::MessageNotFinished));
    assert_eq!(connection.send_piece(Opcode::Binary, b"x", true), Err(Error::MessageNotFinished));
    assert_eq!(connection.send_piece(Opcode::Text, b"x", true), Err(Error::SendInvalidUtf8));
    connection.ping(b"p").unwrap();
    connection.send_piece(Opcode::Text, b"\xAC", true).unwrap();
    assert_eq!(connection.output(), b"\x01\x02\xE2\x82\x89\x01p\x80\x01\xAC");
    connection.send(Opcode::Text, b"x").unwrap();
}

#[test]
fn a_client_that_is_refused_can_read_the_answer() {
    let mut client = Connection::new(Role::Client, &Config::default()).unwrap();
    client.request(b"example.com", b"/").unwrap();
    client.receive(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\nbody").unwrap();
    assert_eq!(kinds(&client), [EventKind::Error as u8]);
    assert_eq!(client.error(), Some(Error::NotSwitching));
    assert_eq!(client.field("Location"), Some(&b"/elsewhere"[..]));
    assert_eq!(client.receive(b"more"), Err(Error::WrongState));
}
