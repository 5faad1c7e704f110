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

/// What waits, with the close frame at its end.
fn output(connection: &mut Connection) -> Vec<u8> {
    connection.say_farewell();
    connection.parts().flatten().copied().collect()
}

fn write_output(connection: &mut Connection) -> Vec<u8> {
    let output = output(connection);
    connection.sent(output.len()).unwrap();
    output
}

/// Ends a turn in which nothing was written, and returns the time to wait.
fn tick(connection: &mut Connection, now_ms: u64) -> u32 {
    connection.output(0, now_ms).unwrap().wait_ms
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
    assert_eq!(tick(&mut connection, 0), 30_000);
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
    assert_eq!(output(&mut connection), b"");
    connection.receive(&HELLO[4..]).unwrap();
    assert_eq!(connection.add_field(b"X-A", b"a\r\nX-B: b"), Err(Error::InvalidField));
    connection.add_field(b"X-A", b"a").unwrap();
    assert_eq!(connection.accept(Some("chat"), Without::Nothing), Err(Error::InvalidSubprotocol));
    connection.accept(None, Without::Nothing).unwrap();
    assert_eq!(kinds(&connection), [EventKind::Open as u8, EventKind::Text as u8]);
    assert!(write_output(&mut connection).ends_with(b"\r\nX-A: a\r\n\r\n"));

    let mut connection = server(&[ConfigFlag::Ask]);
    connection.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(kinds(&connection), [EventKind::Http as u8]);
    assert_eq!(connection.accept(None, Without::Nothing), Err(Error::NothingAsked));
    assert_eq!(connection.respond(99, b""), Err(Error::InvalidStatus));
    connection.respond(200, b"page").unwrap();
    assert_eq!(write_output(&mut connection), b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\npage");
    assert_eq!(tick(&mut connection, 0), 0);
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
    assert_eq!(server.send(Opcode::Text, b""), Ok(0), "nothing is sent any more");
    client.receive(&write_output(&mut server)).unwrap();
    let close = client.events()[0];
    assert_eq!((close.close_code, close.data(client.data())), (1001, &b"going away"[..]));
    server.receive(&write_output(&mut client)).unwrap();
    assert_eq!((client.state(), server.state()), (State::Closed, State::Closed));
    assert_eq!(tick(&mut server, 0), 0);
    assert_eq!(tick(&mut client, 0), 5000, "the server closes TCP first");
    assert_eq!(tick(&mut client, 5000), 0);
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
    while connection.has_more() {
        connection.receive(b"").unwrap();
    }
    assert!(output(&mut connection).len() < 66_000, "{}", output(&mut connection).len());
    write_output(&mut connection);
    assert_eq!(output(&mut connection), b"\x8A\x04last", "of those that had to wait the last is answered");
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
        assert_eq!(connection.send(Opcode::Text, b"c"), Ok(0));
        assert_eq!(tick(&mut connection, 0), 0);
    }
}

#[test]
fn silence_is_pinged_and_then_given_up() {
    let mut connection = open_server(&[ConfigFlag::AcceptAnyMask]);
    assert_eq!(tick(&mut connection, 1000), 30_000);
    connection.receive(b"\x8A\x00").unwrap();
    assert_eq!(tick(&mut connection, 21_000), 30_000);
    assert_eq!(tick(&mut connection, 50_999), 1);
    assert_eq!(output(&mut connection), b"");
    assert_eq!(tick(&mut connection, 51_000), 30_000);
    assert_eq!(output(&mut connection), b"\x89\x00");
    assert_eq!(connection.output(2, 51_100).unwrap().wait_ms, 30_000, "from when it was written");
    assert_eq!(tick(&mut connection, 81_099), 1);
    assert_eq!(tick(&mut connection, 81_100), 0);
    assert_eq!((connection.state(), connection.error()), (State::Failed, Some(Error::PingUnanswered)));
    connection.gone().unwrap();
    let [gone] = connection.events() else { panic!("{:?}", connection.events()) };
    assert_eq!((gone.kind, gone.close_code, gone.error), (EventKind::Gone as u8, 1006, -37));
}

#[test]
fn a_slow_reader_is_alive_and_its_output_does_not_grow() {
    let mut connection = open_server(&[]);
    tick(&mut connection, 0);
    for turn in 1..=1000 {
        connection.send(Opcode::Binary, &[0; 1000]).unwrap();
        let left = connection.waiting() - 1;
        connection.sent(left).unwrap();
        assert_ne!(tick(&mut connection, turn * 1000), 0);
    }
    let buffers = connection.buffers.as_ref().unwrap();
    assert!(buffers.held() < 10_000, "{} bytes for 1 that waits", buffers.held());
}

#[test]
fn a_slow_handshake_and_a_peer_that_does_not_close_are_given_up() {
    let mut connection = server(&[]);
    connection.receive(&REQUEST[..20]).unwrap();
    assert_eq!(tick(&mut connection, 0), 10_000);
    assert_eq!(tick(&mut connection, 10_000), 0);

    let mut connection = open_server(&[]);
    connection.close(1000, b"").unwrap();
    assert_eq!(tick(&mut connection, 0), 5_000);
    assert_eq!(tick(&mut connection, 5_000), 0);
}

#[test]
fn the_output_has_a_high_water_mark() {
    let settings = Settings { high_water_len: 100, flags: ConfigFlag::StartOpen as u32, ..Settings::default() };
    let mut connection = Connection::new(Role::Server, &Config { settings, ..Config::default() }).unwrap();
    assert_eq!(connection.send(Opcode::Binary, &[0; 98]), Ok(100));
    assert_eq!(connection.send(Opcode::Binary, &[0; 1000]), Ok(1104), "any message, while no more than that waits");
    assert_eq!(connection.send(Opcode::Binary, b""), Err(Error::OutputFull));
    assert_eq!(connection.send(Opcode::Ping, b""), Err(Error::OutputFull));
    assert_eq!(output(&mut connection).len(), 1104);
    connection.sent(1003).unwrap();
    assert_eq!(connection.send(Opcode::Binary, b""), Err(Error::OutputFull));
    connection.sent(1).unwrap();
    assert_eq!(connection.send(Opcode::Binary, b""), Ok(102));
    assert_eq!(connection.sent(103), Err(Error::SentTooMuch));
}

#[test]
fn pieces_are_sent_as_fragments_with_control_frames_between() {
    let mut connection = open_server(&[]);
    connection.send_as(Opcode::Text, b"\xE2\x82", Compress::IfShorter, true).unwrap();
    assert_eq!(connection.send(Opcode::Binary, b"x"), Err(Error::MessageNotFinished));
    assert_eq!(connection.send_as(Opcode::Binary, b"x", Compress::IfShorter, false), Err(Error::MessageNotFinished));
    assert_eq!(connection.send_as(Opcode::Text, b"x", Compress::IfShorter, false), Err(Error::SendInvalidUtf8));
    connection.send(Opcode::Ping, b"p").unwrap();
    connection.send_as(Opcode::Text, b"\xAC", Compress::IfShorter, false).unwrap();
    assert_eq!(output(&mut connection), b"\x01\x02\xE2\x82\x89\x01p\x80\x01\xAC");
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
    let [event] = client.events() else { panic!("{:?}", client.events()) };
    assert_eq!(event.close_code, 302);
    assert!(event.data(client.data()).ends_with(b"\r\n\r\nbody"));
    assert_eq!(client.receive(b"more"), Ok(()));
    assert_eq!(client.events(), []);
}

#[test]
fn many_messages_are_sent_until_one_finds_no_room_or_is_wrong() {
    let settings = Settings { high_water_len: 50, flags: ConfigFlag::StartOpen as u32, ..Settings::default() };
    let mut connection = Connection::new(Role::Server, &Config { settings, ..Config::default() }).unwrap();
    let mut send =
        |payloads: &[&[u8]]| connection.send_many(Opcode::Text, payloads.iter().copied(), Compress::IfShorter);
    assert_eq!(send(&[b"a", b"", b"bc"]), Ok(3));
    assert_eq!(send(&[b"d", b"\xFF", b"e"]), Ok(1));
    assert_eq!(send(&[b"\xFF", b"e"]), Err(Error::SendInvalidUtf8));
    assert_eq!(send(&[&[b'f'; 40], &[b'g'; 50]]), Ok(1), "54 bytes wait then");
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
        tick(&mut server, 0);
        assert!(server.contexts.is_none() && server.buffers.is_none());

        let (_, mut server) = pair(&config(&[]), &config(&[]));
        tick(&mut server, 0);
        assert!(server.contexts.is_none(), "before the first message");
    }

    #[test]
    fn what_is_sent_may_be_chosen_by_message() {
        let (mut client, mut server) = pair(&config(&[]), &config(&[]));
        let mut first_byte = |payload: &[u8], compress| {
            server.send_as(Opcode::Binary, payload, compress, false).unwrap();
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
        assert_eq!(output(&mut server)[0], 0x81);
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
                    server.send_as(Opcode::Text, piece, Compress::IfShorter, at < 2).unwrap();
                    server.send(Opcode::Ping, b"p").unwrap();
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
        assert_eq!(server.error(), Some(Error::InflatedTooBig));
    }

    #[test]
    fn a_message_that_finds_no_room_is_sent_later_and_understood() {
        let settings = Settings { high_water_len: 100, ..config(&[]).settings };
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
        assert_eq!(
            output(&mut server)[0],
            0x81,
            "what refers further back than this client looks is not sent compressed"
        );
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
            server.receive(&write_output(&mut client)).unwrap();
            server.accept(None, if declines { Without::Deflate } else { Without::Nothing }).unwrap();
            client.receive(&write_output(&mut server)).unwrap();
            assert_eq!((client.deflate().is_none(), server.deflate().is_none()), (declines, declines));
        }
    }

    #[test]
    fn a_connection_that_somebody_else_opened_knows_what_was_answered() {
        let config = config(&[ConfigFlag::StartOpen]);
        let extensions = config.answer_extensions(b"permessage-deflate; client_max_window_bits=10").unwrap();
        let connection = Connection::new(Role::Server, &Config { extensions, ..config.clone() }).unwrap();
        assert_eq!(connection.deflate().map(|agreed| agreed.client_max_window_bits), Some(10));
        assert_eq!(Connection::new(Role::Server, &config).unwrap().deflate(), None);
        let other = Config { extensions: Some("x-other".into()), ..config };
        assert_eq!(Connection::new(Role::Server, &other).err(), Some(Error::ConfigExtensions));
    }
}

/// Whatever order the calls of a turn come in: a peer that answers every ping lives.
#[test]
fn a_silent_peer_that_answers_pings_lives() {
    let mut server = open_server(&[ConfigFlag::AcceptAnyMask]);
    let (mut now, mut pings, mut wait) = (0, 0, 0);
    while now < 3_600_000 {
        now += u64::from(wait);
        let Output { bytes, wait_ms } = server.output(0, now).unwrap();
        (wait, pings) = (wait_ms, pings + bytes.len() / 2);
        assert!(wait > 0, "given up after {now} ms");
        if bytes == b"\x89\x00" {
            // It is written later, and answered later still.
            assert!(server.output(2, now + 10).unwrap().bytes.is_empty());
            server.receive(b"\x8A\x00").unwrap();
            now += 20;
            wait = tick(&mut server, now);
        }
    }
    assert!((110..=120).contains(&pings), "{pings}");
}

#[test]
fn a_peer_that_reads_slowly_what_was_written_at_once_is_not_given_up() {
    let mut server = open_server(&[]);
    tick(&mut server, 0);
    server.send(Opcode::Binary, &vec![0; 4 << 20]).unwrap();
    let mut len = 0;
    // The kernel takes all of it, and the ping behind it: at 20 KB a second that is on its way for 200 seconds.
    loop {
        let output = server.output(len, 1000).unwrap();
        len = output.bytes.len();
        if len == 0 {
            break;
        }
    }
    for now in (2000..=220_000).step_by(1000) {
        let Output { bytes, wait_ms } = server.output(0, now).unwrap();
        assert_ne!(wait_ms, 0, "at {now}");
        let written = bytes.len();
        server.output(written, now).unwrap();
    }
    server.receive(b"\x8A\x80\0\0\0\0").unwrap();
    assert_eq!(tick(&mut server, 220_001), 30_000);
    // Who has got nothing has no such reason.
    for now in [250_001, 280_001] {
        let written = server.output(0, now).unwrap().bytes.len();
        assert_eq!(server.output(written, now).unwrap().wait_ms == 0, now == 280_001);
    }
}

#[test]
fn a_peer_that_takes_nothing_is_given_up() {
    let mut server = open_server(&[]);
    tick(&mut server, 0);
    server.send(Opcode::Binary, &[0; 1000]).unwrap();
    assert_eq!(tick(&mut server, 30_000), 30_000);
    assert_eq!(tick(&mut server, 59_999), 1);
    assert_eq!(server.output(0, 60_000).unwrap(), Output { bytes: b"", wait_ms: 0 });
    assert!(server.buffers.is_none(), "and holds nothing");
}

/// Nothing that a peer does makes a call an error.
#[test]
fn calls_on_a_connection_that_is_over_do_nothing() {
    let mut asked = server(&[ConfigFlag::Ask]);
    // 70,000 bytes of frames in one write with the request: more than is kept before it is answered.
    asked.receive(&[REQUEST, &HELLO.repeat(6400)].concat()).unwrap();
    let [request, error] = asked.events() else { panic!("{:?}", asked.events()) };
    assert!(request.is(EventKind::Request) && error.is(EventKind::Error));
    assert_eq!((error.close_code, asked.error()), (400, Some(Error::TooMuchEarly)));
    assert_eq!(asked.add_field(b"a", b"b"), Ok(()));
    assert_eq!(asked.accept(None, Without::Nothing), Ok(()));
    assert_eq!(asked.events(), []);
    assert_eq!(asked.respond(200, b"page"), Ok(0));
    assert!(output(&mut asked).starts_with(b"HTTP/1.1 400 Bad Request\r\n"));

    // 17,000 bytes are kept.
    let mut asked = server(&[ConfigFlag::Ask]);
    asked.receive(&[REQUEST, &HELLO.repeat(1546)].concat()).unwrap();
    asked.accept(None, Without::Nothing).unwrap();
    assert_eq!(asked.events().len(), 1547);

    for end in [&b"\x88\x00"[..], b"\x83\x00"] {
        let mut over = open_server(&[ConfigFlag::AcceptAnyMask]);
        over.receive(end).unwrap();
        write_output(&mut over);
        tick(&mut over, 0);
        let message = Message::new(Opcode::Text, b"a", Compress::Never, &Config::default()).unwrap();
        assert_eq!(over.send(Opcode::Text, b"a"), Ok(0));
        assert_eq!(over.send(Opcode::Ping, b""), Ok(0));
        assert_eq!(over.send_as(Opcode::Text, b"a", Compress::Never, true), Ok(0));
        assert_eq!(over.send_many(Opcode::Text, [&b"a"[..]].into_iter(), Compress::Never), Ok(0));
        assert_eq!(over.send_message(&message), Ok(0));
        assert_eq!(over.close(1000, b""), Ok(0));
        assert_eq!(over.receive(HELLO), Ok(()));
        assert_eq!(over.events(), []);
        assert_eq!(over.send(Opcode::Text, b"\xFF"), Ok(0));
        assert_eq!(over.close(1006, b""), Err(Error::SendInvalidCloseCode), "a mistake stays one");
    }
}

#[test]
fn the_end_of_tcp_is_the_last_event() {
    let gone = |connection: &mut Connection| {
        connection.gone().unwrap();
        let [event] = connection.events() else { panic!("{:?}", connection.events()) };
        assert!(event.is(EventKind::Gone));
        let ended = (event.close_code, event.error);
        connection.gone().unwrap();
        assert_eq!(connection.events(), [], "there is one");
        assert_eq!(connection.output(0, 0).unwrap(), Output { bytes: b"", wait_ms: 0 });
        assert!(connection.buffers.is_none() && connection.opening.is_none() && connection.contexts.is_none());
        ended
    };
    let mut closed = open_server(&[ConfigFlag::AcceptAnyMask]);
    closed.receive(b"\x88\x02\x03\xE9").unwrap();
    assert_eq!(gone(&mut closed), (1001, 0));
    let mut closed = open_server(&[ConfigFlag::AcceptAnyMask]);
    closed.close(1000, b"").unwrap();
    closed.receive(b"\x88\x02\x03\xE8").unwrap();
    assert_eq!(gone(&mut closed), (1000, 0));
    let mut broke = open_server(&[ConfigFlag::AcceptAnyMask]);
    broke.receive(b"\x83\x00").unwrap();
    assert_eq!(gone(&mut broke), (1006, -33));
    let mut vanished = open_server(&[ConfigFlag::AcceptAnyMask]);
    vanished.receive(&[b"\x01\x7F\x00\x00\x00\x00\x00\x10\x00\x00".to_vec(), vec![0; 1 << 20]].concat()).unwrap();
    assert_eq!(gone(&mut vanished), (1006, 0));
    assert_eq!(gone(&mut server(&[])), (1006, 0));
    let mut answered = server(&[ConfigFlag::Ask]);
    answered.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    answered.respond(200, b"page").unwrap();
    assert_eq!(gone(&mut answered), (1006, 0), "there was no closing handshake");
}

#[test]
fn one_call_delivers_no_more_than_it_may() {
    let mut connection = open_server(&[ConfigFlag::AcceptAnyMask]);
    let read = b"\x82\x00".repeat(32 << 10);
    for in_place in [false, true] {
        let (mut events, mut calls) = (0, 0);
        let mut input = read.clone();
        while calls == 0 || connection.has_more() {
            let rest: &mut [u8] = if calls == 0 { &mut input } else { &mut [] };
            if in_place { connection.receive_in_place(rest) } else { connection.receive(rest) }.unwrap();
            assert!(connection.events().len() <= 4096);
            events += connection.events().len();
            calls += 1;
        }
        assert_eq!((events, calls), (32 << 10, 9));
    }

    // A message, and then no more than 1 MiB.
    let message = [b"\x82\x7F\x00\x00\x00\x00\x00\x05\x00\x00".to_vec(), vec![7; 0x5_0000]].concat();
    connection.receive(&message.repeat(10)).unwrap();
    assert_eq!((connection.events().len(), connection.has_more()), (4, true));
    connection.receive(b"\x82\x01").unwrap();
    assert_eq!((connection.events().len(), connection.has_more()), (4, true));
    connection.receive(b"a").unwrap();
    assert_eq!((connection.events().len(), connection.has_more()), (3, false));
    assert_eq!(connection.events()[2].data(connection.data()), b"a");

    let mut pieces = open_server(&[ConfigFlag::AcceptAnyMask, ConfigFlag::Pieces]);
    pieces.receive(&message.repeat(10)).unwrap();
    assert_eq!((pieces.events().len(), pieces.has_more()), (4, true));
}

/// What waits for the rest of a message, and what was delivered, in capacity.
fn held(connection: &Connection) -> usize {
    connection.buffers.as_ref().map_or(0, |buffers| buffers.held())
}

#[test]
fn a_large_message_leaves_nothing_with_its_connection() {
    let message = [b"\x82\x7F\x00\x00\x00\x00\x01\x00\x00\x00".to_vec(), vec![7; 1 << 24]].concat();
    let half = &message[..1 << 20];
    // Whatever is unfinished behind it.
    for rest in [&b""[..], b"\x82", b"\x82\x05a", b"\x01\x01a", b"\x89\x05p"] {
        let mut connection = open_server(&[ConfigFlag::AcceptAnyMask]);
        for part in [&message, rest].concat().chunks(1 << 16) {
            connection.receive(part).unwrap();
            tick(&mut connection, 0);
        }
        assert!(held(&connection) < 10_000, "{} bytes for {rest:?}", held(&connection));
    }
    // However it ends.
    let ends: [fn(&mut Connection); 4] = [
        |connection| connection.receive(b"\x88\x00").unwrap(),
        |connection| connection.receive(b"\x83\x00").unwrap(),
        |connection| connection.gone().unwrap(),
        |connection| assert_eq!([tick(connection, 30_000), tick(connection, 90_000)], [30_000, 0]),
    ];
    for (number, end) in ends.into_iter().enumerate() {
        let mut connection = open_server(&[ConfigFlag::AcceptAnyMask]);
        let unfinished = [b"\x02\x7F\x00\x00\x00\x00\x00\x10\x00\x00".to_vec(), vec![7; 1 << 20]].concat();
        connection.receive(&unfinished).unwrap();
        tick(&mut connection, 0);
        assert!(held(&connection) >= 1 << 20);
        end(&mut connection);
        write_output(&mut connection);
        tick(&mut connection, 90_000);
        assert_eq!(held(&connection), 0, "end {number}");
    }
    // Half of it takes an eighth more than has come.
    let mut connection = open_server(&[ConfigFlag::AcceptAnyMask]);
    large::give(Vec::new());
    connection.receive(half).unwrap();
    tick(&mut connection, 10_000);
    tick(&mut connection, 20_000);
    assert!(held(&connection) <= (1 << 20) / 8 * 9 + 100_000, "{} bytes", held(&connection));
}

#[test]
fn a_burst_of_pings_leaves_nothing() {
    let mut connection = open_server(&[ConfigFlag::AcceptAnyMask]);
    connection.receive(&b"\x89\x7Dxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx".repeat(10_000)).unwrap();
    while connection.has_more() {
        assert!(connection.events().len() <= 4096);
        connection.receive(b"").unwrap();
    }
    write_output(&mut connection);
    write_output(&mut connection);
    tick(&mut connection, 0);
    assert_eq!(held(&connection), 0);
    for _ in 0..9 {
        let mut buffers = None;
        assert!(buffers::of(&mut buffers).unwrap().held() < 1 << 20);
        std::mem::forget(buffers);
    }
}

#[test]
fn a_prepared_message_is_lent_and_not_copied() {
    let payload = vec![7; 1 << 20];
    let message = Message::new(Opcode::Binary, &payload, Compress::Never, &Config::default()).unwrap();
    let mut connections: Vec<Connection> = (0..20).map(|_| open_server(&[])).collect();
    for connection in &mut connections {
        connection.send(Opcode::Text, b"before").unwrap();
        assert_eq!(connection.send_message(&message), Ok(8 + 10 + (1 << 20)));
        assert_eq!(connection.send(Opcode::Text, b"after"), Err(Error::OutputFull));
        connection.sent(8).unwrap();
        assert_eq!(connection.waiting(), 10 + (1 << 20));
        assert!(held(connection) < 200_000);
    }
    drop(message);
    for (number, connection) in connections.iter_mut().enumerate() {
        let mut written = Vec::new();
        let mut len = 0;
        loop {
            let output = connection.output(len, 0).unwrap();
            if output.bytes.is_empty() {
                break;
            }
            len = output.bytes.len().min(1 + number * 70_000);
            written.extend_from_slice(&output.bytes[..len]);
        }
        assert_eq!(written[..10], [0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 0]);
        assert_eq!(written[10..], payload);
        assert!(connection.buffers.is_none());
    }
}

#[test]
fn what_a_host_takes_all_at_once_is_lent_as_written() {
    let message = Message::new(Opcode::Binary, &[7; 20_000], Compress::Never, &Config::default()).unwrap();
    let mut connection = open_server(&[]);
    let mut taken = Vec::new();
    connection.send(Opcode::Text, b"a").unwrap();
    connection.send_message(&message).unwrap();
    connection.send_message(&message).unwrap();
    connection.send(Opcode::Text, b"b").unwrap();
    let expected: Vec<u8> = output(&mut connection);
    let mut lens = Vec::new();
    loop {
        let parts: Vec<u8> = connection.parts().flatten().copied().collect();
        let (lending, wait_ms, more) = connection.take_output(0).unwrap();
        lens.push(lending.len);
        taken.extend_from_slice(&parts[..lending.len]);
        assert_eq!(connection.waiting() > 0, more);
        if !more {
            assert_eq!(wait_ms, 30_000);
            break;
        }
    }
    assert_eq!(taken, expected);
    assert_eq!(lens, [3 + 4, 20_000, 4, 20_000, 3]);
    assert!(connection.buffers.is_none());
    assert_eq!(connection.take_output(30_000).unwrap().0.len, 2, "a ping");
    assert_eq!(connection.take_output(60_000).unwrap().1, 40_000 / 16 + 1, "as much was written as takes so long");
    assert_eq!(connection.take_output(62_501).unwrap().1, 0);
}

#[test]
fn a_client_waits_for_the_final_response() {
    let client = |head_len| {
        let settings = Settings { max_head_len: head_len, ..Settings::default() };
        let mut client = Connection::new(Role::Client, &Config { settings, ..Config::default() }).unwrap();
        client.request(b"a", b"/").unwrap();
        let key = output(&mut client);
        let at = key.windows(5).position(|window| window == b"Key: ").unwrap() + 5;
        let accept = handshake::accept_key(&key[at..at + 24]).unwrap();
        let last = [
            &b"HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "[..],
            &accept,
            b"\r\n\r\n",
        ];
        (client, last.concat())
    };
    let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    for size in [1, 7, 1000] {
        let (mut client, last) = client(16 << 10);
        for part in [&interim[..], &last, b"\x81\x01a"].concat().chunks(size) {
            client.receive(part).unwrap();
            assert_eq!(client.error(), None);
        }
        assert_eq!(client.state(), State::Open);
        assert_eq!(client.events().last().map(|event| event.kind), Some(EventKind::Text as u8));
    }
    let (mut client, _) = client(1000);
    for _ in 0..20 {
        client.receive(interim).unwrap();
    }
    assert_eq!(client.error(), Some(Error::HeadTooLarge), "they are limited in sum");
}

/// The settings are kept once for all connections of a thread that have them, also where others come between.
#[test]
fn connections_share_their_settings() {
    let config = Config { settings: Settings { max_fragments: 7, ..Settings::default() }, ..Config::default() };
    let first = Connection::new(Role::Server, &config).unwrap();
    let second = Connection::new(Role::Server, &config).unwrap();
    let other = Connection::new(Role::Client, &Config::default()).unwrap();
    assert!(std::ptr::eq(&*first.settings, &*second.settings));
    assert_eq!((first.settings.max_fragments, other.settings.max_fragments), (7, 65_536));
}
