//! The hub with TLS: between servers and clients of its own, and with those who do not speak it.

#![cfg(all(unix, feature = "tls"))]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "numbers chosen by the test")]
#![allow(clippy::cast_possible_truncation, reason = "numbers chosen by the test")]

#[path = "common/serving.rs"]
mod serving;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use serving::{PATIENCE, REQUEST, Server, echo, with};
use wsframe::connection::{Compress, Config, ConfigFlag, Event, EventKind, Settings};
use wsframe::error::{Error, ErrorCode};
use wsframe::frame::Opcode;
use wsframe::hub::{Hub, Limits, Listening};

/// Somebody who says who others are.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// Certificate and key, in PEM.
struct Identity {
    chain: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn certify(&self, name: &str, until: i32) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &self.0).unwrap().pem();
        Identity { chain, key: key.serialize_pem() }
    }
}

/// A server with this certificate.
fn start(identity: &Identity, config: Config) -> (Server, u16) {
    let mut hub = Hub::new(Limits::default()).unwrap();
    let port = hub.listen("127.0.0.1:0", Listening::default(), config).unwrap();
    hub.set_certificate(port, identity.chain.as_bytes(), identity.key.as_bytes()).unwrap();
    (Server::start_with(hub, Config::default(), 1000, echo), port)
}

/// A hub that trusts an authority.
fn trusting(authority: &Authority) -> Hub {
    let mut hub = Hub::new(Limits::default()).unwrap();
    hub.trust(authority.pem().as_bytes()).unwrap();
    hub
}

/// The next event, and its data; it comes alone.
fn next(hub: &mut Hub) -> (Event, Vec<u8>) {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        hub.poll(1000).unwrap();
        match hub.events() {
            [] => {}
            [event] => return (*event, event.data(hub.data()).to_vec()),
            events => panic!("{events:?}"),
        }
    }
    panic!("nothing happens");
}

fn connect(hub: &mut Hub, port: u16) -> u64 {
    let id = hub.connect(&format!("wss://localhost:{port}/"), None, &Config::default()).unwrap();
    let (event, _) = next(hub);
    assert!(event.is(EventKind::Open), "{event:?}: {:?}", hub.connection(id).unwrap().unwrap().error());
    id
}

/// Why a client does not get there.
fn failure(hub: &mut Hub, port: u16) -> Option<Error> {
    let id = hub.connect(&format!("wss://localhost:{port}/"), None, &Config::default()).unwrap();
    let (event, _) = next(hub);
    assert!(event.is(EventKind::Gone) && event.close_code == 1006, "{event:?}");
    assert_eq!(event.error, ErrorCode::Handshake as i32);
    hub.connection(id).unwrap().unwrap().error()
}

#[test]
fn messages_of_all_lengths_come_back_enciphered() {
    let authority = Authority::new();
    let (server, port) = start(&authority.certify("localhost", 4096), Config::default());
    let mut hub = trusting(&authority);
    let id = connect(&mut hub, port);
    for len in [0, 1, 125, 126, 16_000, 16_384, 65_535, 65_536, 300_000, 5 << 20] {
        let payload: Vec<u8> = (b'a'..=b'z').cycle().take(len).collect();
        assert!(hub.send(id, Opcode::Binary, &payload, Compress::Never, false).unwrap() > len);
        let (mut event, mut data) = next(&mut hub);
        if event.is(EventKind::Drain) {
            // What is longer than high_water_len waits for a while.
            (event, data) = next(&mut hub);
        }
        assert!(event.is(EventKind::Binary) && data == payload, "{len} bytes: {event:?}");
    }
    for i in 0..1000_u32 {
        hub.send(id, Opcode::Text, format!("{i}").as_bytes(), Compress::Never, false).unwrap();
    }
    let mut count = 0;
    while count < 1000 {
        hub.poll(1000).unwrap();
        for event in hub.events() {
            assert_eq!(event.data(hub.data()), format!("{count}").as_bytes());
            count += 1;
        }
    }
    hub.connection(id).unwrap().unwrap().close(1000, b"").unwrap();
    assert!(next(&mut hub).0.is(EventKind::Close));
    let (event, _) = next(&mut hub);
    assert!(event.is(EventKind::Gone) && event.close_code == 1000 && event.error == 0, "{event:?}");
    assert_eq!(server.stop().causes(), [(1000, 0)]);
}

/// With TLS 16 KiB are one record, and the hub reads no more at a time than it has room for.
#[test]
fn who_does_not_read_is_not_read_from() {
    let authority = Authority::new();
    let config = with(Settings { high_water_len: 50_000, ..Settings::default() });
    let (server, port) = start(&authority.certify("localhost", 4096), config);
    let mut hub = trusting(&authority);
    let id = connect(&mut hub, port);
    let payload = |i: usize| vec![i as u8; 40_000];
    // The echoes fill the buffers between the two, and then the server's: it reads no more, and all of it waits here.
    assert!(hub.pause(id, true).unwrap());
    let (mut sent, mut refusals) = (0, 0);
    while refusals < 100 {
        match hub.send(id, Opcode::Binary, &payload(sent), Compress::Never, false) {
            Ok(_) => (sent, refusals) = (sent + 1, 0),
            Err(error) => {
                assert_eq!(error, Error::OutputFull);
                refusals += 1;
                hub.poll(1).unwrap();
                assert!(hub.events().iter().all(|event| event.is(EventKind::Drain)));
            }
        }
        assert!(sent < 2000, "all of it is taken");
    }
    assert!(hub.pause(id, false).unwrap());
    let mut came = 0;
    let begun = Instant::now();
    while came < sent && begun.elapsed() < PATIENCE {
        hub.poll(100).unwrap();
        for event in hub.events().iter().filter(|event| !event.is(EventKind::Drain)) {
            assert!(
                event.is(EventKind::Binary) && event.data(hub.data()) == payload(came),
                "message {came}: {event:?}"
            );
            came += 1;
        }
    }
    assert_eq!(came, sent);
    drop(hub);
    server.stop();
}

#[test]
fn a_server_has_to_be_who_it_says() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let served = [
        authority.certify("example.com", 4096),
        authority.certify("localhost", 2001),
        stranger.certify("localhost", 4096),
    ]
    .map(|identity| start(&identity, Config::default()));
    let mut hub = trusting(&authority);
    for (_, port) in &served {
        assert_eq!(failure(&mut hub, *port), Some(Error::UntrustedCertificate));
    }
    hub.trust(stranger.pem().as_bytes()).unwrap();
    connect(&mut hub, served[2].1);
    drop(hub);
    for (server, _) in served {
        server.stop();
    }
}

/// A certificate is changed for whoever comes from then on; who is there stays.
#[test]
fn a_certificate_is_changed_without_dropping_anybody() {
    let authority = Authority::new();
    let [old, new] = ["localhost", "127.0.0.1"].map(|name| authority.certify(name, 4096));
    let mut hub = trusting(&authority);
    let port = hub.listen("127.0.0.1:0", Listening::default(), Config::default()).unwrap();
    hub.set_certificate(port, old.chain.as_bytes(), old.key.as_bytes()).unwrap();
    let mut clients = Vec::new();
    for (host, identity) in [("localhost", &new), ("127.0.0.1", &new)] {
        let id = hub.connect(&format!("wss://{host}:{port}/"), None, &Config::default()).unwrap();
        while !next(&mut hub).0.is(EventKind::Open) || hub.events().iter().all(|event| event.connection != id) {}
        hub.set_certificate(port, identity.chain.as_bytes(), identity.key.as_bytes()).unwrap();
        clients.push(id);
    }
    for id in clients {
        assert!(hub.send(id, Opcode::Text, b"still here", Compress::Never, false).unwrap() > 0);
        assert_eq!(next(&mut hub).1, b"still here");
    }
}

#[test]
fn who_does_not_speak_tls_is_told_so() {
    let authority = Authority::new();
    let (server, port) = start(&authority.certify("localhost", 4096), Config::default());
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(REQUEST).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("wss://"), "{answer}");
    let log = server.stop();
    assert_eq!(log.causes(), [(1006, ErrorCode::Handshake as i32)]);

    let plain = Server::echo();
    let mut hub = trusting(&authority);
    assert_eq!(failure(&mut hub, plain.port), Some(Error::TlsToPlain));
    drop(hub);
    assert_eq!(plain.stop().causes(), [(1006, ErrorCode::Handshake as i32)]);
}

/// Somebody who says nothing, half of a hello, nonsense, or hangs up in the middle: no harm is done to others.
#[test]
fn who_does_not_go_on_with_tls_is_given_up() {
    let authority = Authority::new();
    let config = with(Settings { handshake_timeout_ms: 300, ..Settings::default() });
    let (server, port) = start(&authority.certify("localhost", 4096), config);
    let mut hub = trusting(&authority);
    let id = connect(&mut hub, port);
    let starts: [&[u8]; 4] = [b"", b"\x16\x03\x01\x02\0\x01", &[22; 100], b"\x16\x03\x03\0\x04\x09\0\0\0"];
    let clients = starts.map(|start| {
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(start).unwrap();
        client
    });
    drop(TcpStream::connect(("127.0.0.1", port)).unwrap());
    for mut client in clients {
        let mut said = Vec::new();
        let _ = client.read_to_end(&mut said);
        assert!(said.len() < 100, "an alert at most");
    }
    assert!(hub.send(id, Opcode::Text, b"bystander", Compress::Never, false).unwrap() > 0);
    assert_eq!(next(&mut hub).1, b"bystander");
    drop(hub);
    server.stop();
}

#[test]
fn compressed_messages_are_enciphered() {
    let authority = Authority::new();
    let config = || with(Settings { flags: ConfigFlag::Deflate as u32, ..Settings::default() });
    let (server, port) = start(&authority.certify("localhost", 4096), config());
    let mut hub = trusting(&authority);
    let id = hub.connect(&format!("wss://localhost:{port}/"), None, &config()).unwrap();
    assert!(next(&mut hub).0.is(EventKind::Open));
    assert!(hub.connection(id).unwrap().unwrap().deflate().is_some());
    hub.send(id, Opcode::Text, &[b'a'; 100_000], Compress::IfShorter, false).unwrap();
    assert_eq!(next(&mut hub).1, [b'a'; 100_000]);
    drop(hub);
    server.stop();
}

#[test]
fn what_is_no_certificate_is_refused() {
    let authority = Authority::new();
    let [one, other] = [authority.certify("a", 4096), authority.certify("b", 4096)];
    let mut hub = Hub::new(Limits::default()).unwrap();
    let port = hub.listen("127.0.0.1:0", Listening::default(), Config::default()).unwrap();
    let mut set = |port, chain: &str, key: &str| hub.set_certificate(port, chain.as_bytes(), key.as_bytes());
    assert_eq!(set(port, "", &one.key), Err(Error::InvalidCertificate));
    assert_eq!(set(port, &one.chain, ""), Err(Error::InvalidCertificate));
    assert_eq!(set(port, &one.chain, &other.key), Err(Error::InvalidCertificate));
    assert_eq!(set(port, &one.key, &one.key), Err(Error::InvalidCertificate));
    assert_eq!(set(0, &one.chain, &one.key), Err(Error::NoListener));
    assert_eq!(set(port ^ 1, &one.chain, &one.key), Err(Error::NoListener));
    assert_eq!(set(port, &one.chain, &one.key), Ok(()));
    assert_eq!(hub.trust(b"nobody"), Err(Error::InvalidCertificate));
}
