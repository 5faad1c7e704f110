//! The hub over real sockets: what it is for. What it stands is in `hub_faults.rs`.

#![cfg(unix)]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "numbers chosen by the test")]
#![allow(clippy::cast_possible_truncation, reason = "numbers chosen by the test")]

#[path = "common/serving.rs"]
mod serving;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use serving::{Client, PATIENCE, REQUEST, Server, echo, masked, pattern, with};
use wsframe::connection::{Compress, Config, ConfigFlag, Event, EventKind, NEVER, Settings, Without};
use wsframe::error::{Error, ErrorCode};
use wsframe::frame::Opcode;
use wsframe::hub::{Hub, Limits, Listening};

#[test]
fn messages_of_all_lengths_come_back() {
    let server = Server::echo();
    let mut client = server.open();
    for len in [0, 1, 125, 126, 16_383, 16_384, 65_535, 65_536, 131_072, 200_000, 3_000_000] {
        client.assert_echoes(0x82, &pattern(len));
        client.assert_echoes(0x81, "ä".repeat(len / 2).as_bytes());
    }
    client.send(0x88, b"\x03\xE8");
    assert_eq!(client.frame(), (0x88, b"\x03\xE8".to_vec()));
    client.assert_end();
    drop(client);
    let log = server.stop();
    assert_eq!(log.causes(), [(1000, 0)]);
    assert_eq!((log.stats.messages_received, log.stats.messages_sent), (22, 22));
}

#[test]
fn what_comes_in_pieces_comes_back_whole() {
    let server = Server::echo();
    let mut client = server.connect();
    let sent = [REQUEST, &masked(0x81, b"Hello"), &masked(0x02, b"ab"), &masked(0x80, &pattern(300))].concat();
    for byte in sent {
        client.socket.write_all(&[byte]).unwrap();
        if byte % 16 == 0 {
            sleep(Duration::from_millis(1));
        }
    }
    client.expect_head("HTTP/1.1 101 ");
    assert_eq!(client.frame(), (0x81, b"Hello".to_vec()));
    assert_eq!(client.frame(), (0x82, [&b"ab"[..], &pattern(300)].concat()));
    // Many in one write, and the last of them large.
    let mut many = Vec::new();
    for i in 0..5000_u32 {
        many.extend(masked(0x82, &i.to_be_bytes()));
    }
    many.extend(masked(0x82, &pattern(1 << 20)));
    let mut writer = client.socket.try_clone().unwrap();
    let writer = thread::spawn(move || writer.write_all(&many).unwrap());
    for i in 0..5000_u32 {
        assert_eq!(client.frame(), (0x82, i.to_be_bytes().to_vec()));
    }
    assert!(client.frame() == (0x82, pattern(1 << 20)));
    writer.join().unwrap();
    drop(client);
    assert_eq!(server.stop().causes(), [(1006, 0)]);
}

#[test]
fn many_connections_are_served() {
    let server = Server::echo();
    let mut clients: Vec<_> = (0..300).map(|_| server.open()).collect();
    for round in 0..5_usize {
        for (i, client) in clients.iter_mut().enumerate() {
            client.send(0x82, &pattern(i * 100 + round));
        }
        for (i, client) in clients.iter_mut().enumerate() {
            assert!(client.frame() == (0x82, pattern(i * 100 + round)), "connection {i} in round {round}");
        }
    }
    drop(clients.split_off(150));
    clients.iter_mut().for_each(|client| client.assert_echoes(0x81, b"still here"));
    drop(clients);
    assert_eq!(server.stop().causes(), [(1006, 0); 300]);
}

/// Somebody who sends without a pause does not keep the others waiting.
#[test]
fn a_flood_does_not_starve_the_others() {
    let server = Server::echo();
    let is_over = Arc::new(AtomicBool::new(false));
    let flood = |first_byte, len| {
        let (mut client, is_over) = (server.open(), Arc::clone(&is_over));
        let mut reader = client.socket.try_clone().unwrap();
        thread::spawn(move || while reader.read(&mut [0; 1 << 16]).is_ok_and(|len| len > 0) {});
        thread::spawn(move || {
            let frames = masked(first_byte, &pattern(len)).repeat(100_000 / (len + 6));
            while !is_over.load(Ordering::Relaxed) {
                client.socket.write_all(&frames).unwrap();
            }
            client.socket.shutdown(Shutdown::Both).unwrap();
        })
    };
    let floods = [flood(0x82, 0), flood(0x82, 50_000), flood(0x89, 100)];
    let mut bystander = server.open();
    for i in 0..50 {
        let begun = Instant::now();
        bystander.assert_echoes(0x81, format!("{i}").as_bytes());
        assert!(begun.elapsed() < Duration::from_secs(2), "it waited for {:?}", begun.elapsed());
    }
    is_over.store(true, Ordering::Relaxed);
    floods.into_iter().for_each(|flood| flood.join().unwrap());
    drop(bystander);
    assert_eq!(server.stop().ends.len(), 4);
}

/// What a peer does not take costs no more than its high-water mark, and nothing of it is lost.
#[test]
fn who_does_not_read_is_not_read_from() {
    let server = Server::echo();
    let mut client = server.open();
    client.socket.set_nonblocking(true).unwrap();
    let message = masked(0x82, &pattern(10_000));
    let (mut written, mut at, mut refused_since) = (0, 0, Instant::now());
    while refused_since.elapsed() < Duration::from_millis(500) {
        match client.socket.write(&message[at..]) {
            Ok(len) => {
                written += len;
                at = (at + len) % message.len();
                refused_since = Instant::now();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(Duration::from_millis(5)),
            Err(error) => panic!("{error}"),
        }
        assert!(written < 64 << 20, "it reads without end from who does not read");
    }
    let mut bystander = server.open();
    bystander.assert_echoes(0x81, b"nothing happened");
    client.socket.set_nonblocking(false).unwrap();
    for i in 0..written / message.len() {
        assert!(client.frame() == (0x82, pattern(10_000)), "echo {i}");
    }
    drop((client, bystander));
    let log = server.stop();
    assert_eq!(log.stats.dropped, 0);
    assert!(log.stats.read_pauses >= 1);
}

#[test]
fn a_peer_that_closes_one_side_gets_its_answers() {
    let server = Server::echo();
    let mut client = server.open();
    client.socket.write_all(&[masked(0x81, b"Hello"), masked(0x82, &pattern(500_000))].concat()).unwrap();
    client.socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.frame(), (0x81, b"Hello".to_vec()));
    assert!(client.frame() == (0x82, pattern(500_000)));
    client.assert_end();
    assert_eq!(server.stop().causes(), [(1006, 0)]);
}

/// What was sent before the end is delivered before the end, whatever end it is.
#[test]
fn a_reset_in_the_middle_of_a_frame_is_an_end() {
    let server = Server::echo();
    let mut bystander = server.open();
    for cut in [1, 5, 1000] {
        let mut client = server.open();
        client.socket.write_all(&masked(0x82, &pattern(2000))[..cut]).unwrap();
        sleep(Duration::from_millis(20));
        socket2::SockRef::from(&client.socket).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        bystander.assert_echoes(0x81, b"nothing happened");
    }
    // Not even a request.
    drop(server.connect());
    bystander.send(0x88, b"\x03\xE8");
    bystander.frame();
    drop(bystander);
    let log = server.stop();
    assert_eq!(log.causes(), [(1000, 0), (1006, 0), (1006, 0), (1006, 0)]);
    assert_eq!(log.stats.accepted, 5);
}

#[test]
fn who_breaks_the_rules_is_told_and_ended() {
    let server = Server::echo();
    let mut client = server.open();
    client.socket.write_all(&[masked(0x81, b"Hello"), b"\x83\x80\0\0\0\0".to_vec()].concat()).unwrap();
    assert_eq!(client.frame(), (0x81, b"Hello".to_vec()));
    assert_eq!(client.frame(), (0x88, b"\x03\xEA".to_vec()));
    client.assert_end();
    let mut client = server.connect();
    client.socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    client.expect_head("HTTP/1.1 4");
    drop(client);
    let log = server.stop();
    assert_eq!(log.causes(), [(1006, ErrorCode::Protocol as i32), (1006, ErrorCode::Handshake as i32)]);
}

/// As if its cable was cut: it answers no ping. Another one does, and stays.
#[test]
fn a_peer_that_vanishes_is_given_up() {
    let server = Server::start(with(Settings { ping_interval_ms: 200, ..Settings::default() }), echo);
    let (silent, mut lively) = (server.open(), server.open());
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1500) {
        assert_eq!(lively.frame(), (0x89, Vec::new()));
        lively.send(0x8A, b"");
    }
    lively.assert_echoes(0x81, b"still here");
    let log = server.stop_with(lively);
    drop(silent);
    assert_eq!(log.causes(), [(1001, 0), (1006, ErrorCode::Timeout as i32)]);
}

#[test]
fn who_does_not_get_on_with_the_request_is_given_up() {
    let settings = Settings { handshake_timeout_ms: 300, ..Settings::default() };
    let server = Server::start(with(settings), |_, event, _| panic!("nobody is to know of it: {event:?}"));
    let mut client = server.connect();
    let begun = Instant::now();
    for byte in REQUEST.iter().cycle() {
        sleep(Duration::from_millis(10));
        if client.socket.write_all(&[*byte]).is_err() || begun.elapsed() > PATIENCE {
            break;
        }
    }
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(server.stop().stats.accepted, 1);
}

/// Frames that come with the request are not lost, however many they are, whether the server answers at once or later.
#[test]
fn what_comes_behind_the_request_is_served() {
    for flags in [0, ConfigFlag::Ask as u32] {
        let server = Server::start(with(Settings { flags, ..Settings::default() }), move |hub, event, data| {
            if !event.is(EventKind::Request) {
                return echo(hub, event, data);
            }
            assert_eq!(flags, ConfigFlag::Ask as u32);
            let connection = hub.connection(event.connection).unwrap().unwrap();
            assert_eq!(connection.target(), Some("/chat?room=1"));
            connection.accept(None, Without::Nothing).unwrap();
            let (events, data) = (connection.events().to_vec(), connection.data().to_vec());
            for event in &events {
                let id = event.connection;
                assert_eq!(id, 0, "a connection does not know its id");
            }
            for inner in &events[1..] {
                echo(hub, Event { connection: event.connection, ..*inner }, inner.data(&data));
            }
        });
        let frames: Vec<Vec<u8>> = (0..100).map(|i| masked(0x82, &pattern(1000 + i))).collect();
        let mut client = server.connect();
        client.socket.write_all(&[REQUEST, &frames.concat()].concat()).unwrap();
        client.expect_head("HTTP/1.1 101 ");
        for i in 0..100 {
            assert!(client.frame() == (0x82, pattern(1000 + i)), "frame {i}");
        }
        drop(client);
        server.stop();
    }
}

#[test]
fn an_application_that_is_asked_answers_each_request() {
    let config = with(Settings { flags: ConfigFlag::Ask as u32, ..Settings::default() });
    let server = Server::start(config, |hub, event, _| {
        let Some(connection) = hub.connection(event.connection).unwrap() else { return };
        if event.is(EventKind::Http) {
            assert_eq!(connection.field("host"), Some(&b"b"[..]));
            connection.respond(404, b"nothing").unwrap();
        } else if event.is(EventKind::Request) {
            connection.add_field(b"X-Why", b"full").unwrap();
            connection.respond(403, b"").unwrap();
        }
    });
    let mut client = server.connect();
    client.socket.write_all(b"GET /page HTTP/1.1\r\nHost: b\r\n\r\n").unwrap();
    client.expect_head("HTTP/1.1 404 ");
    let mut body = Vec::new();
    client.socket.read_to_end(&mut body).unwrap();
    assert_eq!(body, b"nothing");
    let mut refused = server.connect();
    refused.socket.write_all(REQUEST).unwrap();
    refused.expect_head("HTTP/1.1 403 ");
    refused.assert_end();
    drop((client, refused));
    assert_eq!(server.stop().ends.len(), 2);
}

/// While its event is there, the request can be read; also of a connection that was accepted by the library.
#[test]
fn an_open_connection_shows_its_request() {
    let server = Server::start(Config::default(), |hub, event, _| {
        if event.is(EventKind::Open) {
            let connection = hub.connection(event.connection).unwrap().unwrap();
            let answer = format!("{} {}", connection.target().unwrap(), connection.fields().count());
            connection.send(Opcode::Text, answer.as_bytes()).unwrap();
        }
    });
    let mut client = server.open();
    assert_eq!(client.frame(), (0x81, b"/chat?room=1 5".to_vec()));
    drop(client);
    server.stop();
}

#[test]
fn no_more_clients_are_let_in_than_allowed() {
    let server = Server::start_with(
        Hub::new(Limits { max_connections: 2, ..Limits::default() }).unwrap(),
        Config::default(),
        1000,
        echo,
    );
    let (mut first, second) = (server.open(), server.open());
    let mut third = server.connect();
    third.socket.write_all(REQUEST).unwrap();
    third.socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let error = third.socket.read(&mut [0]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    first.assert_echoes(0x81, b"inside");
    drop(second);
    third.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    third.expect_head("HTTP/1.1 101 ");
    third.assert_echoes(0x81, b"inside");
    drop((first, third));
    assert_eq!(server.stop().ends.len(), 3);
}

#[test]
fn a_hub_that_stops_says_so_to_everybody() {
    let server = Server::start_with(Hub::new(Limits::default()).unwrap(), Config::default(), 600, echo);
    let (mut answers, mut is_deaf, _has_not_asked) = (server.open(), server.open(), server.connect());
    // Longer than it takes to see that nobody answers.
    sleep(Duration::from_millis(100));
    let begun = Instant::now();
    let client = thread::spawn(move || {
        assert_eq!(answers.frame(), (0x88, b"\x03\xE9".to_vec()));
        answers.send(0x88, b"\x03\xE9");
        answers.assert_end();
    });
    let log = server.stop();
    assert!((500..5000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    client.join().unwrap();
    assert_eq!(is_deaf.frame(), (0x88, b"\x03\xE9".to_vec()));
    assert_eq!(log.causes(), [(1001, 0), (1006, 0)]);
}

/// Everybody who has subscribed gets what is published, in the same order; the one that it came from does not.
#[test]
fn what_is_published_comes_to_all_in_the_same_order() {
    let config = with(Settings { flags: ConfigFlag::Deflate as u32, ..Settings::default() });
    let server = Server::start(config, |hub, event, data| {
        let id = event.connection;
        if event.is(EventKind::Open) {
            assert!(hub.subscribe(id, b"all").unwrap());
        } else if event.is(EventKind::Text) && data == b"leave" {
            assert!(hub.unsubscribe(id, b"all").unwrap());
            hub.send(id, Opcode::Text, b"left", Compress::Never, false).unwrap();
        } else if event.is(EventKind::Text) {
            let others = hub.publish(b"all", id, Opcode::Text, data, Compress::IfShorter).unwrap();
            assert_eq!(others, hub.subscribers(b"all").unwrap() - 1);
        } else if event.is(EventKind::Binary) {
            hub.publish(b"", 0, Opcode::Binary, data, Compress::IfShorter).unwrap();
        }
    });
    let mut readers: Vec<_> = (0..20).map(|_| server.open()).collect();
    let mut compressing = server.connect();
    let offer = "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    compressing.open(String::from_utf8_lossy(REQUEST).replace("\r\n\r\n", offer).as_bytes());
    // Both have subscribed before one of them writes.
    let clients = [(b'a', server.open()), (b'b', server.open())];
    let writers = clients.map(|(own, mut client)| {
        thread::spawn(move || {
            for i in 0..100_u8 {
                client.send(0x81, &[own, b'!' + i % 64]);
            }
            // Longer than what is copied, and the other's messages between.
            client.send(0x81, &vec![own; 100_000]);
            for _ in 0..101 {
                assert!(client.frame().1[0] != own, "it came back");
            }
            client
        })
    });
    let said = |client: &mut Client<TcpStream>| (0..202).map(|_| client.frame().1).collect::<Vec<_>>();
    let expected = said(&mut readers[0]);
    for reader in &mut readers[1..] {
        assert!(said(reader) == expected);
    }
    let lens: Vec<usize> = (0..202)
        .map(|_| compressing.frame())
        .map(|(first, payload)| {
            assert_eq!(first & 0x40 != 0, payload.len() != 2, "what is long is compressed");
            payload.len()
        })
        .collect();
    assert_eq!(lens.iter().filter(|len| (3..1000).contains(*len)).count(), 2);
    let mut clients: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    readers[3].send(0x81, b"leave");
    assert_eq!(readers[3].frame().1, b"left");
    clients[0].send(0x81, b"without you");
    clients[0].send(0x82, b"to all");
    assert_eq!(readers[3].frame().1, b"to all");
    assert_eq!((readers[4].frame().1, readers[4].frame().1), (b"without you".to_vec(), b"to all".to_vec()));
    assert_eq!(clients[0].frame().1, b"to all");
    drop((readers, compressing, clients));
    server.stop();
}

#[test]
fn many_answers_are_sent_with_one_call() {
    let mut hub = Hub::new(Limits::default()).unwrap();
    let port = hub.listen("127.0.0.1:0", Listening::default(), Config::default()).unwrap();
    let client = thread::spawn(move || {
        let mut clients =
            [(); 2].map(|()| TcpStream::connect(("127.0.0.1", port)).unwrap()).map(|socket| Client { socket });
        clients.iter_mut().for_each(|client| client.open(REQUEST));
        for client in &mut clients {
            assert_eq!((client.frame().1, client.frame().1), (b"first".to_vec(), b"second".to_vec()));
        }
    });
    let mut ids = Vec::new();
    while ids.len() < 2 {
        hub.poll(NEVER).unwrap();
        ids.extend(hub.events().iter().filter(|event| event.is(EventKind::Open)).map(|event| event.connection));
    }
    let messages =
        [(ids[0], &b"first"[..]), (7, b"nobody"), (ids[1], b"first"), (ids[1], b"second"), (ids[0], b"second")];
    assert_eq!(hub.send_many(messages.into_iter(), Opcode::Text, Compress::IfShorter), Ok(5));
    let wrong = [(ids[0], &b"\xFF"[..]), (ids[0], b"")];
    assert_eq!(hub.send_many(wrong.into_iter(), Opcode::Text, Compress::IfShorter), Err(Error::SendInvalidUtf8));
    while !client.is_finished() {
        hub.poll(10).unwrap();
    }
    client.join().unwrap();
}

#[test]
fn a_paused_connection_is_not_read_and_not_given_up() {
    let received = Arc::new(AtomicU64::new(0));
    let id = Arc::new(AtomicU64::new(0));
    let (counts, opens) = (Arc::clone(&received), Arc::clone(&id));
    let server =
        Server::start(with(Settings { ping_interval_ms: 100, ..Settings::default() }), move |hub, event, data| {
            if event.is(EventKind::Open) && opens.load(Ordering::Relaxed) == 0 {
                opens.store(event.connection, Ordering::Relaxed);
                assert!(hub.pause(event.connection, true).unwrap());
            } else if event.is(EventKind::Text) && data == b"go on" {
                assert!(hub.pause(opens.load(Ordering::Relaxed), false).unwrap());
            } else if event.is(EventKind::Text) {
                counts.fetch_add(1, Ordering::Relaxed);
                echo(hub, event, data);
            }
        });
    let mut paused = server.open();
    paused.send(0x81, b"Hello");
    sleep(Duration::from_millis(1000));
    assert_eq!(received.load(Ordering::Relaxed), 0);
    let mut other = server.open();
    other.send(0x81, b"go on");
    let message = std::iter::repeat_with(|| paused.frame()).find(|(first_byte, _)| *first_byte != 0x89);
    assert_eq!(message, Some((0x81, b"Hello".to_vec())));
    drop((paused, other));
    server.stop();
}

#[test]
fn a_wake_ends_a_poll() {
    let mut hub = Hub::new(Limits::default()).unwrap();
    let waker = hub.waker();
    let begun = Instant::now();
    let other = thread::spawn(move || {
        sleep(Duration::from_millis(100));
        waker.wake().unwrap();
    });
    hub.poll(NEVER).unwrap();
    assert!(hub.events().is_empty());
    assert!((90..10_000).contains(&begun.elapsed().as_millis()));
    other.join().unwrap();
    let begun = Instant::now();
    hub.poll(50).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(50), "one wake ends one poll");
}

#[test]
fn a_hub_belongs_to_the_thread_of_its_first_poll() {
    let mut hub = Hub::new(Limits::default()).unwrap();
    hub.listen("127.0.0.1:0", Listening::default(), Config::default()).unwrap();
    let hub = thread::spawn(move || {
        hub.poll(0).unwrap();
        hub
    });
    let mut hub = hub.join().unwrap();
    assert_eq!(hub.poll(0), Err(Error::HubOfOtherThread));
    assert_eq!(hub.send(1, Opcode::Text, b"", Compress::Never, false), Err(Error::HubOfOtherThread));
    assert_eq!(hub.stop(0), Err(Error::HubOfOtherThread));
}

#[test]
fn a_unix_socket_is_listened_at() {
    let path = std::env::temp_dir().join(format!("wsframe-hub-{}", std::process::id()));
    let address = format!("unix:{}", path.display());
    let mut hub = Hub::new(Limits::default()).unwrap();
    assert_eq!(hub.listen(&address, Listening::default(), Config::default()), Ok(0));
    assert_eq!(
        Hub::new(Limits::default()).unwrap().listen(&address, Listening::default(), Config::default()),
        Err(Error::ListenFailed)
    );
    drop(hub);
    assert!(path.exists(), "it is left over");
    let mut hub = Hub::new(Limits::default()).unwrap();
    assert_eq!(hub.listen(&address, Listening::default(), Config::default()), Ok(0));
    let server = Server::start_with(hub, Config::default(), 1000, echo);
    let mut client = Client { socket: UnixStream::connect(&path).unwrap() };
    client.open(REQUEST);
    client.assert_echoes(0x82, &pattern(1 << 20));
    server.stop_with(client);
    std::fs::write(&path, "mine").unwrap_err();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "mine").unwrap();
    assert_eq!(
        Hub::new(Limits::default()).unwrap().listen(&address, Listening::default(), Config::default()),
        Err(Error::ListenFailed)
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"mine", "what is no socket is not removed");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn addresses_and_ports() {
    let mut hub = Hub::new(Limits::default()).unwrap();
    let port = hub.listen("[::]:0", Listening { reuse_port: true, ..Listening::default() }, Config::default()).unwrap();
    for address in ["127.0.0.1", "::1"] {
        TcpStream::connect((address, port)).unwrap();
    }
    let same = format!("[::]:{port}");
    assert_eq!(
        Hub::new(Limits::default()).unwrap().listen(
            &same,
            Listening { reuse_port: true, ..Listening::default() },
            Config::default()
        ),
        Ok(port),
        "a port of two"
    );
    assert_eq!(
        Hub::new(Limits::default()).unwrap().listen(&same, Listening::default(), Config::default()),
        Err(Error::ListenFailed)
    );
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    assert_eq!(hub.listen(&taken, Listening::default(), Config::default()), Err(Error::ListenFailed));
    assert_eq!(hub.listen("example.com:80", Listening::default(), Config::default()), Err(Error::InvalidAddress));
    hub.stop(0).unwrap();
    assert_eq!(hub.listen("127.0.0.1:0", Listening::default(), Config::default()), Err(Error::HubStopped));
}

/// The example of RFC 7692 section 7.2.3.2: with what was said before.
#[test]
fn compressed_messages_come_back_compressed() {
    let server = Server::start(
        with(Settings { flags: ConfigFlag::Deflate as u32, ..Settings::default() }),
        |hub, event, data| {
            if event.is(EventKind::Text) {
                assert_eq!(data, b"Hello");
                hub.send(event.connection, Opcode::Text, data, Compress::Always, false).unwrap();
            }
        },
    );
    let mut client = server.connect();
    let offer = "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    client.open(String::from_utf8_lossy(REQUEST).replace("\r\n\r\n", offer).as_bytes());
    for compressed in [&b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..], b"\xf2\x00\x11\x00\x00"] {
        client.send(0xC1, compressed);
        assert_eq!(client.frame().0, 0xC1);
    }
    drop(client);
    server.stop();
}
