//! The hub as a client, with sockets of others, and as the loop for whatever else a program waits for. It is its own server here.

#![cfg(unix)]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "numbers chosen by the test")]

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use wsframe::connection::{Compress, Config, ConfigFlag, Event, EventKind, NEVER, Role, Settings, State, Without};
use wsframe::error::{Error, ErrorCode};
use wsframe::frame::Opcode;
use wsframe::hub::{Adopted, Hub, Limits, Listening, WatchFlag};

/// Longer than anything here takes, also on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(20);
const READ: u8 = WatchFlag::Read as u8;
const WRITE: u8 = WatchFlag::Write as u8;

fn flags(flags: ConfigFlag) -> Config {
    with(Settings { flags: flags as u32, ..Settings::default() })
}

fn with(settings: Settings) -> Config {
    Config { settings, ..Config::default() }
}

/// A hub, and where it listens.
fn listening(config: Config) -> (Hub, u16) {
    let mut hub = Hub::new(Limits::default()).unwrap();
    let port = hub.listen("127.0.0.1:0", Listening::default(), config).unwrap();
    (hub, port)
}

/// Polls until there is an event that is wanted, and returns it with its data. The server's half of the hub sends back what it
/// gets: `clients` are those that are not served.
fn next(hub: &mut Hub, clients: &HashSet<u64>, is_wanted: impl Fn(&Event) -> bool) -> (Event, Vec<u8>) {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        hub.poll(100).unwrap();
        for i in 0..hub.events().len() {
            let event = hub.events()[i];
            let data = event.data(hub.data()).to_vec();
            if is_wanted(&event) {
                return (event, data);
            }
            let opcode = if event.is(EventKind::Text) { Opcode::Text } else { Opcode::Binary };
            if !clients.contains(&event.connection) && (event.is(EventKind::Text) || event.is(EventKind::Binary)) {
                hub.send(event.connection, opcode, &data, compress(data.len()), false).unwrap();
            }
        }
    }
    panic!("it does not come");
}

/// What is longer than [`Settings::max_inflated_len`] must not come compressed.
fn compress(len: usize) -> Compress {
    if len > 1 << 20 { Compress::Never } else { Compress::IfShorter }
}

/// The next event of a client.
fn next_of(hub: &mut Hub, id: u64) -> (Event, Vec<u8>) {
    next(hub, &HashSet::from([id]), |event| event.connection == id)
}

/// That a client is told of its end, and nothing else before: the code of the failure, and its cause.
fn failure_of(hub: &mut Hub, id: u64) -> (i32, Option<Error>) {
    let (event, _) = next_of(hub, id);
    assert!(event.is(EventKind::Gone) && event.close_code == 1006, "{event:?}");
    (event.error, hub.connection(id).unwrap().unwrap().error())
}

#[test]
fn a_client_and_a_server_of_one_hub_talk() {
    let (mut hub, port) = listening(flags(ConfigFlag::Deflate));
    for (config, is_compressed) in [(Config::default(), false), (flags(ConfigFlag::Deflate), true)] {
        let id = hub.connect(&format!("ws://127.0.0.1:{port}/room?a=b"), None, &config).unwrap();
        assert_eq!(hub.connection(id).unwrap().unwrap().state(), State::Connecting);
        assert_eq!(hub.send(id, Opcode::Text, b"early", Compress::IfShorter, false), Ok(0));
        let (event, head) = next_of(&mut hub, id);
        assert!(event.is(EventKind::Open) && head.starts_with(b"HTTP/1.1 101 "), "{event:?}");
        assert_eq!(hub.connection(id).unwrap().unwrap().deflate().is_some(), is_compressed);
        for len in [0, 5, 126, 65_536, 3 << 20] {
            let payload: Vec<u8> = (b'a'..=b'w').cycle().take(len).collect();
            assert!(hub.send(id, Opcode::Binary, &payload, compress(len), false).unwrap() > 0);
            let (event, data) = next_of(&mut hub, id);
            assert!(event.is(EventKind::Binary) && data == payload, "{event:?}");
        }
        hub.connection(id).unwrap().unwrap().close(1000, b"bye").unwrap();
        assert_eq!(next_of(&mut hub, id).0.close_code, 1000);
        let (event, _) = next_of(&mut hub, id);
        assert!(event.is(EventKind::Gone) && event.close_code == 1000 && event.error == 0, "{event:?}");
        assert_eq!(next(&mut hub, &HashSet::new(), |event| event.is(EventKind::Gone)).0.close_code, 1000);
    }
}

#[test]
fn a_request_says_what_the_application_wants() {
    let (mut hub, port) = listening(flags(ConfigFlag::Ask));
    let url = format!("ws://localhost:{port}?a=b");
    let id = hub.connect(&url, None, &Config::default()).unwrap();
    hub.connection(id).unwrap().unwrap().add_field(b"Authorization", b"Bearer of news").unwrap();
    let (event, head) = next(&mut hub, &HashSet::new(), |event| event.is(EventKind::Request));
    assert!(head.starts_with(b"GET /?a=b HTTP/1.1\r\n"));
    let server = hub.connection(event.connection).unwrap().unwrap();
    assert_eq!(server.field("host"), Some(format!("localhost:{port}").as_bytes()));
    assert_eq!(server.field("authorization"), Some(&b"Bearer of news"[..]));
    server.accept(None, Without::Nothing).unwrap();
    assert!(next_of(&mut hub, id).0.is(EventKind::Open));
    let too_late = hub.connection(id).unwrap().unwrap().add_field(b"a", b"b");
    assert_eq!(too_late, Err(Error::TooLateForField));

    let refused = hub.connect(&url, None, &Config::default()).unwrap();
    let (event, _) = next(&mut hub, &HashSet::new(), |event| event.is(EventKind::Request));
    hub.connection(event.connection).unwrap().unwrap().respond(403, b"not you").unwrap();
    let (event, answer) = next_of(&mut hub, refused);
    assert!(event.is(EventKind::Error) && event.close_code == 403 && answer.ends_with(b"not you"), "{event:?}");
    assert!(next_of(&mut hub, refused).0.is(EventKind::Gone));
}

#[test]
fn a_client_is_told_why_it_did_not_get_there() {
    let (mut hub, port) = listening(flags(ConfigFlag::Ask));
    let nobodys = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let impatient = with(Settings { handshake_timeout_ms: 200, ..Settings::default() });
    let mut fails = |url: &str, address: Option<&str>, config: &Config| {
        let id = hub.connect(url, address, config).unwrap();
        failure_of(&mut hub, id)
    };
    let (io, timeout) = (ErrorCode::Io as i32, ErrorCode::Timeout as i32);
    let refused = (io, Some(Error::ConnectRefused));
    assert_eq!(fails(&format!("ws://127.0.0.1:{nobodys}/"), None, &Config::default()), refused);
    assert_eq!(fails(&format!("ws://localhost:{nobodys}/"), None, &Config::default()), refused);
    assert_eq!(fails("ws://a/", Some("unix:/nobody/is/there"), &Config::default()), refused);
    // Nobody answers the request, or the system's question for the name.
    let silence = (timeout, Some(Error::HandshakeTimedOut));
    assert_eq!(fails(&format!("ws://127.0.0.1:{port}/"), None, &impatient), silence);
    let unknown = fails("ws://nobody.invalid/", None, &impatient);
    assert!(unknown == (io, Some(Error::ResolveFailed)) || unknown == silence, "{unknown:?}");
    assert_eq!(hub.stats().connections, 1, "the server's half is still there to be answered");
}

#[test]
fn what_cannot_be_connected_to_is_refused() {
    let mut hub = Hub::new(Limits::default()).unwrap();
    let mut refused = |url, address| hub.connect(url, address, &Config::default()).unwrap_err();
    assert_eq!(refused("http://a/", None), Error::InvalidUrl);
    assert_eq!(refused("ws://a b/", None), Error::InvalidHost);
    assert_eq!(refused("ws://a/ b", None), Error::InvalidTarget);
    assert_eq!(refused("ws://a/", Some("localhost:80")), Error::InvalidAddress);
    assert_eq!(hub.stats().connections, 0);
    hub.stop(0).unwrap();
    assert_eq!(hub.connect("ws://a/", None, &Config::default()), Err(Error::HubStopped));
}

/// Of a hub that stops nobody is left over who was on his way.
#[test]
fn who_is_on_his_way_is_told_that_the_hub_stops() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://127.0.0.1:{}/", silent.local_addr().unwrap().port());
    let mut hub = Hub::new(Limits::default()).unwrap();
    let ids = ["ws://localhost:1/", &url].map(|url| hub.connect(url, None, &Config::default()).unwrap());
    hub.stop(1000).unwrap();
    let mut told = HashSet::new();
    while !hub.has_ended() {
        hub.poll(NEVER).unwrap();
        told.extend(hub.events().iter().filter(|event| event.is(EventKind::Gone)).map(|event| event.connection));
    }
    assert_eq!(told, HashSet::from(ids));
}

#[test]
fn a_unix_socket_is_connected_to() {
    let path = std::env::temp_dir().join(format!("wsframe-hub-client-{}", std::process::id()));
    let address = format!("unix:{}", path.display());
    let mut hub = Hub::new(Limits::default()).unwrap();
    hub.listen(&address, Listening::default(), Config::default()).unwrap();
    let id = hub.connect("ws://example.com/", Some(&address), &Config::default()).unwrap();
    assert!(next_of(&mut hub, id).0.is(EventKind::Open));
    assert_eq!(hub.address(id), Ok(Some(&*address)));
    hub.send(id, Opcode::Text, b"Hello", Compress::Never, false).unwrap();
    assert_eq!(next_of(&mut hub, id).1, b"Hello");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn sockets_of_others_are_served() {
    let mut hub = Hub::new(Limits::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    assert_eq!(
        hub.adopt(listener.as_fd(), Role::Server, Listening::default(), Config::default()),
        Ok(Adopted::Listener(port))
    );
    drop(listener);
    let id = hub.connect(&format!("ws://127.0.0.1:{port}/"), None, &Config::default()).unwrap();
    assert!(next_of(&mut hub, id).0.is(EventKind::Open));

    let (ours, theirs) = UnixStream::pair().unwrap();
    let open = flags(ConfigFlag::StartOpen);
    let adopted = [(ours, Role::Server), (theirs, Role::Client)].map(|(end, role)| {
        let adopted = hub.adopt(end.as_fd(), role, Listening::default(), open.clone());
        let Ok(Adopted::Connection(id)) = adopted else { panic!("{adopted:?}") };
        id
    });
    hub.send(adopted[1], Opcode::Text, b"Hello", Compress::IfShorter, false).unwrap();
    assert_eq!(next_of(&mut hub, adopted[1]).1, b"Hello");
    assert!(hub.terminate(adopted[0]).unwrap());
    assert!(next_of(&mut hub, adopted[1]).0.is(EventKind::Gone));

    let (asks, mut answers) = UnixStream::pair().unwrap();
    let adopted = hub.adopt(asks.as_fd(), Role::Client, Listening::default(), Config::default());
    let Ok(Adopted::Connection(id)) = adopted else { panic!("{adopted:?}") };
    hub.connection(id).unwrap().unwrap().request(b"example.com", b"/").unwrap();
    hub.poll(0).unwrap();
    let mut line = [0; 16];
    answers.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"GET / HTTP/1.1\r\n");

    let files = File::open("/dev/null").unwrap();
    let packets = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for (fd, role) in [(files.as_fd(), Role::Server), (packets.as_fd(), Role::Server), (listener.as_fd(), Role::Client)]
    {
        assert_eq!(hub.adopt(fd, role, Listening::default(), Config::default()), Err(Error::AdoptFailed));
    }
}

/// The hub has a descriptor of its own for a listener that was adopted; when it stops, nobody is let in any more.
#[test]
fn an_adopted_listener_is_left_alone_after_the_stop() {
    let mut hub = Hub::new(Limits::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    hub.adopt(listener.as_fd(), Role::Server, Listening::default(), Config::default()).unwrap();
    hub.stop(0).unwrap();
    let _waits = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    hub.poll(0).unwrap();
    assert!(hub.has_ended());
    assert_eq!(hub.stats().accepted, 0);
    listener.set_nonblocking(true).unwrap();
    listener.accept().unwrap();
}

#[test]
fn a_connection_knows_its_peer_and_what_the_application_keeps() {
    let (mut hub, port) = listening(Config::default());
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let address = client.local_addr().unwrap().to_string();
    (&client).write_all(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n").unwrap();
    (&client).write_all(b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").unwrap();
    let id = next(&mut hub, &HashSet::new(), |event| event.is(EventKind::Open)).0.connection;
    assert_eq!(hub.address(id), Ok(Some(&*address)));
    assert_eq!((hub.user(id), hub.set_user(id, 17), hub.user(id)), (Ok(0), Ok(true), Ok(17)));
    assert_eq!((hub.terminate(id), hub.terminate(id), hub.address(id)), (Ok(true), Ok(false), Ok(None)));
    assert_eq!(hub.send(id, Opcode::Text, b"a", Compress::Never, false), Ok(0));
    let (event, _) = next(&mut hub, &HashSet::new(), |event| event.connection == id);
    assert!(event.is(EventKind::Gone) && event.close_code == 1006);
    assert_eq!(hub.user(id), Ok(17), "until the last event was delivered");
    hub.poll(0).unwrap();
    assert_eq!((hub.user(id), hub.set_user(id, 1), hub.terminate(id)), (Ok(0), Ok(false), Ok(false)));
    let mut answer = Vec::new();
    // That it ended is seen; what was on its way may be lost, as nobody has said goodbye.
    let _ = (&client).read_to_end(&mut answer);
}

#[test]
fn a_hub_tells_what_it_has_to_do_with() {
    let (mut hub, port) = listening(Config::default());
    let _says_nothing = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let id = hub.connect(&format!("ws://127.0.0.1:{port}/"), None, &Config::default()).unwrap();
    assert!(next_of(&mut hub, id).0.is(EventKind::Open));
    let stats = hub.stats();
    assert_eq!((stats.connections, stats.opening, stats.closing, stats.paused), (3, 1, 0, 0));
    hub.pause(id, true).unwrap();
    hub.send(id, Opcode::Binary, &[7; 100], Compress::Never, false).unwrap();
    let stats = hub.stats();
    assert_eq!((stats.paused, stats.waiting_len, stats.messages_sent), (1, 2 + 4 + 100, 1));
    hub.pause(id, false).unwrap();
    hub.connection(id).unwrap().unwrap().close(1000, b"").unwrap();
    assert_eq!((hub.stats().closing, hub.stats().paused), (1, 0));
    std::thread::sleep(Duration::from_millis(5));
    hub.poll(0).unwrap();
    let stats = hub.stats();
    assert!(stats.polls >= 3 && stats.busy_us > 0 && stats.application_us >= 5000, "{stats:?}");
}

#[test]
fn who_takes_what_waited_is_told_of() {
    let config = with(Settings { high_water_len: 64 << 10, ..Settings::default() });
    let (mut hub, port) = listening(config);
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n").unwrap();
    client.write_all(b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").unwrap();
    let id = next(&mut hub, &HashSet::new(), |event| event.is(EventKind::Open)).0.connection;
    let begun = Instant::now();
    loop {
        match hub.send(id, Opcode::Binary, &[7; 8 << 10], Compress::Never, false) {
            Ok(_) => {}
            Err(error) => break assert_eq!(error, Error::OutputFull),
        }
        hub.poll(0).unwrap();
        assert!(hub.events().is_empty() && begun.elapsed() < PATIENCE);
    }
    let reads = std::thread::spawn(move || {
        let mut all = Vec::new();
        client.read_to_end(&mut all).map(|_| all.len())
    });
    let (event, _) = next(&mut hub, &HashSet::new(), |event| event.connection == id);
    assert!(event.is(EventKind::Drain), "{event:?}");
    assert!(hub.connection(id).unwrap().unwrap().waiting() <= 32 << 10);
    assert!(hub.send(id, Opcode::Text, b"on", Compress::Never, false).unwrap() > 0);
    hub.stop(1).unwrap();
    while !hub.has_ended() {
        hub.poll(NEVER).unwrap();
        assert!(hub.events().iter().all(|event| !event.is(EventKind::Drain)), "once");
    }
    let _ = reads.join().unwrap();
}

#[test]
fn timers_come_in_their_order_and_once() {
    let mut hub = Hub::new(Limits::default()).unwrap();
    let begun = Instant::now();
    for (number, in_ms) in [(1, 60), (2, 30), (3, 1), (4, 5), (u64::MAX, 0), (1, 90), (2, 60), (4, NEVER), (5, NEVER)] {
        hub.timer(number, in_ms).unwrap();
    }
    let mut came = Vec::new();
    while came.len() < 4 {
        hub.poll(NEVER).unwrap();
        for event in hub.events() {
            assert!(event.is(EventKind::Timer) && event.len == 0);
            came.push(event.connection);
        }
    }
    assert_eq!(came, [u64::MAX, 3, 2, 1]);
    assert!(begun.elapsed() >= Duration::from_millis(90), "{:?}", begun.elapsed());
    hub.poll(1).unwrap();
    assert!(hub.events().is_empty());
}

#[test]
fn descriptors_of_others_are_watched() {
    let mut hub = Hub::new(Limits::default()).unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let fd = ours.as_raw_fd();
    let ready = |hub: &mut Hub, within_ms| {
        hub.poll(within_ms).unwrap();
        hub.events().iter().map(|event| (event.kind, event.connection, event.flags)).collect::<Vec<_>>()
    };
    let told = |flags| vec![(EventKind::Ready as u8, fd.cast_unsigned().into(), flags)];
    hub.watch(fd, READ).unwrap();
    assert_eq!(ready(&mut hub, 0), []);
    theirs.write_all(b"ab").unwrap();
    // As long as something is there, whether some of it was read or not.
    assert_eq!(ready(&mut hub, NEVER), told(READ));
    assert_eq!(ready(&mut hub, NEVER), told(READ));
    (&ours).read_exact(&mut [0]).unwrap();
    assert_eq!(ready(&mut hub, NEVER), told(READ));
    (&ours).read_exact(&mut [0]).unwrap();
    assert_eq!(ready(&mut hub, 0), []);
    hub.watch(fd, READ | WRITE).unwrap();
    assert_eq!(ready(&mut hub, NEVER), told(WRITE));
    hub.watch(fd, READ).unwrap();
    assert_eq!(ready(&mut hub, 0), []);
    theirs.shutdown(Shutdown::Write).unwrap();
    assert_eq!(ready(&mut hub, NEVER), told(READ));
    hub.watch(fd, 0).unwrap();
    hub.watch(fd, 0).unwrap();
    assert_eq!(ready(&mut hub, 0), []);

    // Closed while it was watched, and the number is another's by now.
    hub.watch(fd, WRITE).unwrap();
    drop((ours, theirs));
    assert_eq!(ready(&mut hub, 0), []);
    let (ours, _theirs) = UnixStream::pair().unwrap();
    hub.watch(ours.as_raw_fd(), WRITE).unwrap();
    assert_eq!(ready(&mut hub, NEVER).len(), 1);

    let files = File::open(file!()).unwrap();
    assert_eq!(hub.watch(files.as_raw_fd(), READ), Err(Error::WatchFailed));
    assert_eq!(hub.watch(fd, 4), Err(Error::UnknownBits));
}

/// Whoever waits for the hub in a loop of his own sees timers and watched descriptors there.
#[cfg(target_os = "linux")]
#[test]
fn the_descriptor_of_the_hub_tells_of_timers_and_of_what_is_watched() {
    let mut hub = Hub::new(Limits::default()).unwrap();
    let mut outer = Hub::new(Limits::default()).unwrap();
    let fd = hub.fd().unwrap();
    outer.watch(fd, READ).unwrap();
    let is_told = |outer: &mut Hub, within_ms| {
        outer.poll(within_ms).unwrap();
        !outer.events().is_empty()
    };
    assert!(!is_told(&mut outer, 0));
    hub.timer(1, 20).unwrap();
    assert!(is_told(&mut outer, NEVER));
    hub.poll(0).unwrap();
    assert_eq!(hub.events().len(), 1);
    assert!(!is_told(&mut outer, 0));
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    hub.watch(ours.as_raw_fd(), READ).unwrap();
    theirs.write_all(b"a").unwrap();
    for _ in 0..3 {
        assert!(is_told(&mut outer, NEVER));
        hub.poll(0).unwrap();
        assert_eq!(hub.events().len(), 1);
    }
    (&ours).read_exact(&mut [0]).unwrap();
    hub.poll(0).unwrap();
    assert!(!is_told(&mut outer, 0));
}
