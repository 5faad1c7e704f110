//! How much a hub takes upon itself, and who comes by a proxy.

#![cfg(unix)]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "numbers chosen by the test")]
#![allow(clippy::cast_possible_truncation, reason = "numbers chosen by the test")]

#[path = "common/serving.rs"]
mod serving;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serving::{Client, PATIENCE, REQUEST, Server, echo, masked, with};
use socket2::{Domain, Socket, Type};
use wsframe::connection::{Compress, Config, EventKind, Settings};
use wsframe::error::ErrorCode;
use wsframe::frame::Opcode;
use wsframe::hub::{Hub, Limits, Listening};

/// A client with this address of its own.
fn connect_from(address: &str, port: u16) -> Client<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&format!("{address}:0").parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.connect(&format!("127.0.0.1:{port}").parse::<SocketAddr>().unwrap().into()).unwrap();
    let socket = TcpStream::from(socket);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    Client { socket }
}

/// That the server has ended TCP without a word, with what was sent to it read or not.
fn assert_turned_away(mut client: Client<TcpStream>) {
    let mut answer = Vec::new();
    let _ = client.socket.read_to_end(&mut answer);
    assert_eq!(answer, b"");
}

/// Tries until somebody is let in: that a place is free is seen a little after it is.
fn open_in_time(connect: impl Fn() -> Client<TcpStream>, in_front: &[u8]) -> Client<TcpStream> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let mut client = connect();
        let mut first = [0];
        let asked = client.socket.write_all(&[in_front, REQUEST].concat());
        if asked.is_ok() && client.socket.peek(&mut first).is_ok_and(|len| len == 1) {
            client.expect_head("HTTP/1.1 101 ");
            return client;
        }
        sleep(Duration::from_millis(5));
    }
    panic!("nobody is let in");
}

#[test]
fn an_address_has_no_more_places_than_it_may() {
    let hub = Hub::new(Limits { max_per_address: 2, ..Limits::default() }).unwrap();
    let server = Server::start_with(hub, Config::default(), 1000, echo);
    let port = server.port;
    let mut clients = [(); 2].map(|()| {
        let mut client = connect_from("127.0.0.1", port);
        client.open(REQUEST);
        client
    });
    assert_turned_away(connect_from("127.0.0.1", port));
    let mut other = connect_from("127.0.0.2", port);
    other.open(REQUEST);
    for client in clients.iter_mut().chain([&mut other]) {
        client.assert_echoes(0x81, b"Hello");
    }
    let [one, two] = clients;
    drop(one);
    let mut next = open_in_time(|| connect_from("127.0.0.1", port), b"");
    next.assert_echoes(0x81, b"Hello");
    drop((two, other, next));
    assert!(server.stop().stats.refused >= 1);
}

/// The address is that which the proxy says, and counts for the limit. Who comes without a proxy is turned away.
#[test]
fn a_proxy_says_where_its_clients_are() {
    let mut hub = Hub::new(Limits { max_per_address: 1, ..Limits::default() }).unwrap();
    let listening = Listening { is_proxied: true, ..Listening::default() };
    let port = hub.listen("127.0.0.1:0", listening, Config::default()).unwrap();
    let server = Server::start_with(hub, Config::default(), 1000, |hub, event, _| {
        if event.is(EventKind::Text) {
            let address = hub.address(event.connection).unwrap().unwrap().to_owned();
            hub.send(event.connection, Opcode::Text, address.as_bytes(), Compress::Never, false).unwrap();
        }
    });
    let connect = || connect_from("127.0.0.1", port);
    let said = |client: &mut Client<TcpStream>| {
        client.send(0x81, b"who am I?");
        String::from_utf8(client.frame().1).unwrap()
    };
    let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 80\r\n";
    let mut client = connect();
    // Byte by byte, and the request in the same breath as the last.
    for byte in &header[..header.len() - 1] {
        client.socket.write_all(&[*byte]).unwrap();
        sleep(Duration::from_millis(1));
    }
    client.open(&[b"\n", REQUEST].concat());
    assert_eq!(said(&mut client), "192.0.2.1:50000");
    let mut same = connect();
    same.socket.write_all(header).unwrap();
    assert_turned_away(same);
    drop(client);
    let mut client = open_in_time(connect, header);
    assert_eq!(said(&mut client), "192.0.2.1:50000");

    let mut checks = connect();
    let own = checks.socket.local_addr().unwrap().to_string();
    checks.open(&[b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", REQUEST].concat());
    assert_eq!(said(&mut checks), own, "the proxy itself wants to know whether somebody is there");

    for nonsense in [REQUEST, b"\r\n\r\n\0\r\nQUIT\n\x41\0\0\0", &[b'P'; 20_000]] {
        let mut client = connect();
        let _ = client.socket.write_all(nonsense);
        assert_turned_away(client);
    }
    drop((client, checks));
    assert!(server.stop().stats.refused >= 4);
}

/// Who does not read is ended when something is published for which it has no room; the others get all.
#[test]
fn who_is_too_slow_for_what_is_published_is_ended() {
    const COUNT: usize = 400;
    let mut hub = Hub::new(Limits::default()).unwrap();
    let config = || with(Settings { high_water_len: 100_000, ..Settings::default() });
    let listening = Listening { drops_slow: true, ..Listening::default() };
    let port = hub.listen("127.0.0.1:0", listening, config()).unwrap();
    let server = Server::start_with(hub, config(), 1000, |hub, event, _| {
        if event.is(EventKind::Open) {
            hub.subscribe(event.connection, b"news").unwrap();
        } else if event.is(EventKind::Text) {
            hub.publish(b"news", 0, Opcode::Binary, &[7; 50_000], Compress::Never).unwrap();
        }
    });
    let connect = || {
        let mut client = connect_from("127.0.0.1", port);
        client.open(REQUEST);
        client
    };
    let (deaf, mut reads) = (connect(), connect());
    for _ in 0..COUNT {
        reads.send(0x81, b"more");
        assert_eq!(reads.frame().1.len(), 50_000);
    }
    drop(reads);
    let log = server.stop();
    drop(deaf);
    assert_eq!(log.causes(), [(1006, ErrorCode::Policy as i32), (1006, 0)]);
}

/// Of all connections those are ended that hold the most, and nobody else.
#[test]
fn who_holds_the_most_makes_room_for_the_others() {
    let hub = Hub::new(Limits { max_memory: 1 << 20, ..Limits::default() }).unwrap();
    let server = Server::start_with(hub, Config::default(), 1000, echo);
    let (mut greedy, mut modest) = (server.open(), server.open());
    let unfinished = masked(0x82, &vec![7; 4 << 20]);
    modest.socket.write_all(&unfinished[..200_000]).unwrap();
    // What is beyond the limit is not taken any more.
    let _ = greedy.socket.write_all(&unfinished[..3 << 20]);
    assert_turned_away(greedy);
    let mut other = server.open();
    other.assert_echoes(0x82, &[7; 300_000]);
    modest.send(0x89, b"not a ping, but of the message");
    drop((modest, other));
    let mut causes = server.stop().causes();
    causes.retain(|cause| cause.1 != 0);
    assert_eq!(causes, [(1006, ErrorCode::Memory as i32)]);
}
