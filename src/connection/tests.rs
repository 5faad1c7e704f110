#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

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

#[test]
fn many_messages_are_sent_until_one_finds_no_room_or_is_wrong() {
    let settings = Settings { max_output_len: 100, flags: ConfigFlag::StartOpen as u32, ..Settings::default() };
    let mut connection = Connection::new(Role::Server, &Config { settings, ..Config::default() }).unwrap();
    let mut send =
        |payloads: &[&[u8]]| connection.send_many(Opcode::Text, payloads.iter().copied(), Compress::IfShorter);
    assert_eq!(send(&[b"a", b"", b"bc"]), Ok(3));
    assert_eq!(send(&[b"d", b"\xFF", b"e"]), Ok(1));
    assert_eq!(send(&[b"\xFF", b"e"]), Err(Error::SendInvalidUtf8));
    assert_eq!(send(&[&[b'f'; 40], &[b'g'; 50]]), Ok(1));
    assert_eq!(send(&[&[b'g'; 50]]), Err(Error::OutputFull));
    let output = [b"\x81\x01a\x81\x00\x81\x02bc\x81\x01d\x81\x28".to_vec(), vec![b'f'; 40]].concat();
    assert_eq!(write_output(&mut connection), output);
}

mod deflate {
    use super::*;

    const MESSAGE: &[u8] =
        br#"{"type":"message","room":"general","from":"alice","text":"the same words, the same words"}"#;

    /// A config with which everything is compressed.
    fn config(flags: &[ConfigFlag]) -> Config {
        let flags = flags.iter().fold(ConfigFlag::Deflate as u32, |flags, &flag| flags | flag as u32);
        let settings = Settings { flags, deflate_min_len: 1, ..Settings::default() };
        Config { settings, ..Config::default() }
    }

    /// A client and a server that are connected.
    fn pair(client: &Config, server: &Config) -> (Connection, Connection) {
        let mut client = Connection::new(Role::Client, client).unwrap();
        let mut server = Connection::new(Role::Server, server).unwrap();
        client.request(b"a", b"/").unwrap();
        server.receive(&write_output(&mut client)).unwrap();
        client.receive(&write_output(&mut server)).unwrap();
        assert_eq!((client.state(), server.state()), (State::Open, State::Open));
        assert_eq!(client.deflate(), server.deflate());
        (client, server)
    }

    /// Carries what one has to say to the other, and returns the message and the length of its frame.
    fn carry(from: &mut Connection, to: &mut Connection) -> (Vec<u8>, usize) {
        let frame = write_output(from);
        assert_eq!(frame[0] & 0x40 != 0, to.deflate().is_some(), "RSV1");
        to.receive(&frame).unwrap();
        let [event] = to.events() else { panic!("{:?} {:?}", to.events(), to.error()) };
        let compressed = if to.deflate().is_some() { EventFlag::Compressed as u8 } else { 0 };
        assert_eq!(event.flags, EventFlag::First as u8 | EventFlag::Last as u8 | compressed);
        (event.data(to.data()).to_vec(), frame.len())
    }

    #[test]
    fn messages_are_compressed_both_ways_if_both_ends_want_it() {
        let (mut client, mut server) = pair(&config(&[]), &config(&[]));
        let agreed = server.deflate().unwrap();
        assert_eq!((agreed.server_max_window_bits, agreed.client_max_window_bits), (12, 12));
        let mut lens = Vec::new();
        for _ in 0..3 {
            client.send(Opcode::Text, MESSAGE).unwrap();
            let (message, len) = carry(&mut client, &mut server);
            assert_eq!(message, MESSAGE);
            server.send(Opcode::Text, &message).unwrap();
            let (message, echo_len) = carry(&mut server, &mut client);
            assert_eq!(message, MESSAGE);
            lens.push((len, echo_len));
        }
        assert!(lens[0].0 < MESSAGE.len() && lens[1].0 < 20 && lens[2].1 < 16, "{lens:?}");

        for (client, server) in [(config(&[]), Config::default()), (Config::default(), config(&[]))] {
            let (mut client, mut server) = pair(&client, &server);
            assert_eq!(server.deflate(), None);
            client.send(Opcode::Text, MESSAGE).unwrap();
            assert_eq!(carry(&mut client, &mut server).0, MESSAGE);
        }
    }

    /// What README.md says of idle connections.
    #[test]
    fn an_idle_connection_holds_no_context_without_takeover_and_a_window_with_it() {
        let flags = [ConfigFlag::ServerNoContextTakeover, ConfigFlag::ClientNoContextTakeover];
        let (mut client, mut server) = pair(&config(&flags), &config(&[]));
        for _ in 0..2 {
            client.send(Opcode::Text, MESSAGE).unwrap();
            assert_eq!(carry(&mut client, &mut server).0, MESSAGE);
            server.send(Opcode::Text, MESSAGE).unwrap();
            assert_eq!(carry(&mut server, &mut client).0, MESSAGE);
        }
        server.tick(0).unwrap();
        assert!(server.contexts.is_none() && server.buffers.is_none());

        let (_, mut server) = pair(&config(&[]), &config(&[]));
        server.tick(0).unwrap();
        assert!(server.contexts.is_none(), "before the first message");
    }

    #[test]
    fn what_is_sent_may_be_chosen_by_message() {
        let (mut client, mut server) = pair(&config(&[]), &config(&[]));
        let mut first_byte = |payload: &[u8], compress| {
            server.send_compressed(Opcode::Binary, payload, compress).unwrap();
            let frame = write_output(&mut server);
            client.receive(&frame).unwrap();
            assert_eq!(client.events()[0].data(client.data()), payload);
            frame[0]
        };
        assert_eq!(first_byte(MESSAGE, Compress::IfShorter), 0xC2);
        assert_eq!(first_byte(MESSAGE, Compress::Never), 0x82);
        assert_eq!(first_byte(b"\x01\x80\x7F", Compress::IfShorter), 0x82, "three bytes get no shorter");
        assert_eq!(first_byte(b"\x01\x80\x7E", Compress::Always), 0xC2);
        assert_eq!(first_byte(b"", Compress::Always), 0xC2);
        assert_eq!(first_byte(MESSAGE, Compress::IfShorter), 0xC2, "the context is still the same");

        let settings = Settings { deflate_min_len: MESSAGE.len() as u32, ..config(&[]).settings };
        let (mut client, mut server) = pair(&config(&[]), &Config { settings, ..Config::default() });
        server.send(Opcode::Text, &MESSAGE[..MESSAGE.len() - 1]).unwrap();
        assert_eq!(server.output()[0], 0x81);
        client.receive(&write_output(&mut server)).unwrap();
        server.send(Opcode::Text, MESSAGE).unwrap();
        assert_eq!(carry(&mut server, &mut client).0, MESSAGE);
    }

    #[test]
    fn pieces_are_one_stream_with_control_frames_between() {
        for flags in [&[][..], &[ConfigFlag::ServerNoContextTakeover]] {
            let (mut client, mut server) = pair(&config(&[]), &config(flags));
            for _ in 0..2 {
                let mut frames = Vec::new();
                for (at, piece) in [&MESSAGE[..40], b"", &MESSAGE[40..]].into_iter().enumerate() {
                    server.send_piece(Opcode::Text, piece, at == 2).unwrap();
                    server.ping(b"p").unwrap();
                    frames.extend(write_output(&mut server));
                }
                assert_eq!(frames[0], 0x41);
                for byte in frames {
                    client.receive(&[byte]).unwrap();
                    if let [event] = client.events()
                        && event.is(EventKind::Text)
                    {
                        assert_eq!(event.data(client.data()), MESSAGE);
                        server.send(Opcode::Binary, b"").unwrap();
                    }
                }
                assert_eq!(client.error(), None);
                assert!(server.waiting() > 0, "the message came");
                write_output(&mut server);
            }
        }
    }

    #[test]
    fn pieces_are_delivered_as_they_are_inflated() {
        let settings = Settings { max_message_len: 60_000, ..config(&[ConfigFlag::Pieces]).settings };
        let (mut client, mut server) = pair(&config(&[]), &Config { settings, ..Config::default() });
        let text: String = (0..12_000).map(|i| if i % 7 == 0 { '€' } else { 'a' }).collect();
        client.send(Opcode::Text, text.as_bytes()).unwrap();
        let frame = write_output(&mut client);
        let mut received: Vec<u8> = Vec::new();
        let mut pieces = 0;
        for part in frame.chunks(10) {
            server.receive(part).unwrap();
            for event in server.events() {
                let piece = event.data(server.data());
                assert!(std::str::from_utf8(piece).is_ok(), "a piece is cut between characters");
                received.extend(piece);
                pieces += 1;
            }
        }
        assert_eq!(received, text.as_bytes());
        assert!(pieces > 1);
        client.send(Opcode::Binary, &[0; 60_001]).unwrap();
        server.receive(&write_output(&mut client)).unwrap();
        assert_eq!(server.error(), Some(Error::MessageTooBig));
    }

    #[test]
    fn a_message_that_finds_no_room_is_sent_later_and_understood() {
        let settings = Settings { max_output_len: 200, ..config(&[]).settings };
        let (mut client, mut server) = pair(&config(&[]), &Config { settings, ..Config::default() });
        let noise: Vec<u8> = (0..150_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        server.send(Opcode::Binary, &noise).unwrap();
        assert_eq!(server.send(Opcode::Text, MESSAGE), Err(Error::OutputFull));
        client.receive(&write_output(&mut server)).unwrap();
        for _ in 0..2 {
            server.send(Opcode::Text, MESSAGE).unwrap();
            assert_eq!(carry(&mut server, &mut client).0, MESSAGE);
        }
    }

    #[test]
    fn a_prepared_message_goes_to_connections_that_compress_and_that_do_not() {
        let message = Message::new(Opcode::Text, MESSAGE, Compress::IfShorter, &config(&[])).unwrap();
        let no_takeover = [ConfigFlag::ServerNoContextTakeover];
        for (client, server) in
            [(config(&[]), config(&[])), (config(&[]), config(&no_takeover)), (Config::default(), config(&[]))]
        {
            let (mut client, mut server) = pair(&client, &server);
            for _ in 0..2 {
                server.send_message(&message).unwrap();
                assert_eq!(carry(&mut server, &mut client).0, MESSAGE);
                // The context has what was sent without it.
                server.send(Opcode::Text, MESSAGE).unwrap();
                assert_eq!(carry(&mut server, &mut client).0, MESSAGE);
                client.send_message(&message).unwrap();
                assert_eq!(carry(&mut client, &mut server).0, MESSAGE);
            }
        }
        let long = MESSAGE.repeat(100);
        let long = Message::new(Opcode::Text, &long, Compress::IfShorter, &config(&[])).unwrap();
        let small = Settings { server_max_window_bits: 9, ..config(&[]).settings };
        let (_, mut server) = pair(&config(&[]), &Config { settings: small, ..Config::default() });
        server.send_message(&long).unwrap();
        assert_eq!(server.output()[0], 0x81, "what refers further back than this client looks is not sent compressed");
        assert_eq!(Message::new(Opcode::Ping, b"", Compress::Never, &config(&[])).err(), Some(Error::SendNotData));
        let cut = Message::new(Opcode::Text, b"\xE2", Compress::Never, &config(&[]));
        assert_eq!(cut.err(), Some(Error::SendInvalidUtf8));
    }

    #[test]
    fn an_application_may_decline_for_one_client() {
        for declines in [true, false] {
            let mut client = Connection::new(Role::Client, &config(&[])).unwrap();
            let mut server = Connection::new(Role::Server, &config(&[ConfigFlag::Ask])).unwrap();
            client.request(b"a", b"/").unwrap();
            assert_eq!(client.decline_deflate(), Err(Error::WrongState));
            server.receive(&write_output(&mut client)).unwrap();
            if declines {
                server.decline_deflate().unwrap();
            }
            server.accept(None).unwrap();
            client.receive(&write_output(&mut server)).unwrap();
            assert_eq!((client.deflate().is_none(), server.deflate().is_none()), (declines, declines));
            assert_eq!(server.decline_deflate(), Err(Error::WrongState));
        }
        let mut client = Connection::new(Role::Client, &config(&[])).unwrap();
        client.decline_deflate().unwrap();
        client.request(b"a", b"/").unwrap();
        assert!(!String::from_utf8_lossy(client.output()).contains("Extensions"));
    }

    #[test]
    fn a_connection_that_somebody_else_opened_knows_what_was_answered() {
        let config = config(&[ConfigFlag::StartOpen]);
        let extensions = config.answer_extensions(b"permessage-deflate; client_max_window_bits=10").unwrap();
        let connection = Connection::new(Role::Server, &Config { extensions, ..config.clone() }).unwrap();
        assert_eq!(connection.deflate().map(|agreed| agreed.client_max_window_bits), Some(10));
        assert_eq!(Connection::new(Role::Server, &config).unwrap().deflate(), None);
        let other = Config { extensions: Some("x-other".into()), ..config };
        assert_eq!(Connection::new(Role::Server, &other).err(), Some(Error::InvalidConfig));
    }
}
