//! The hub without memory: each allocation of its calls fails once, and then all from each one on. The process goes on, whoever
//! something was done for is served or told, and a bystander is served when there is memory again.

#![cfg(unix)]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "numbers chosen by the test")]

#[path = "common/failing.rs"]
mod failing;
#[path = "common/serving.rs"]
mod serving;

use std::io::{self, Error as IoError, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

use failing::{armed, fail_from, fail_in, has_failed, is_armed};
use serving::{Log, PATIENCE, REQUEST, masked, pattern, with};
use wsframe::connection::{Compress, Config, ConfigFlag, Event, EventKind, NEVER, Settings, Without};
use wsframe::error::Error;
use wsframe::frame::Opcode;
use wsframe::hub::{Hub, Limits, Listening, Waker};

const NEWS: &[u8] = b"news";
/// Longer than a read, and longer than what goes into a batch.
const LARGE: usize = 300_000;

/// How memory fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// At one allocation.
    Once,
    /// From one allocation on, until it is back.
    FromThenOn,
}

/// A hub in a thread of its own, whose calls fail to allocate.
struct Server {
    port: u16,
    asking_port: u16,
    waker: Waker,
    is_failing: Arc<AtomicUsize>,
    is_stopping: Arc<AtomicBool>,
    thread: JoinHandle<(bool, Log)>,
}

const MEMORY_IS_BACK: usize = usize::MAX;

impl Server {
    fn start(way: Way) -> Self {
        let mut hub = Hub::new(Limits::default()).unwrap();
        let settings = Settings { flags: ConfigFlag::Deflate as u32, ..Settings::default() };
        let config = Config { settings, ..Config::default() };
        let port = hub.listen("127.0.0.1:0", Listening::default(), config.clone()).unwrap();
        let settings = Settings { flags: ConfigFlag::Ask as u32, max_head_len: 1 << 20, ..settings };
        let asking_port = hub.listen("127.0.0.1:0", Listening::default(), Config { settings, ..config }).unwrap();
        let (is_failing, is_stopping) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (waker, fails, stops) = (hub.waker(), Arc::clone(&is_failing), Arc::clone(&is_stopping));
        let serve = move || {
            let (mut log, mut app, mut failed) = (Log::default(), App::default(), false);
            while !hub.has_ended() {
                armed(|| hub.poll(NEVER)).unwrap();
                for i in 0..hub.events().len() {
                    let event = hub.events()[i];
                    log.note(&event);
                    let data = event.data(hub.data()).to_vec();
                    app.handle(&mut hub, event, &data);
                }
                app.close_lost(&mut hub);
                match (fails.swap(0, Ordering::Relaxed), way) {
                    (0, _) => {}
                    (MEMORY_IS_BACK, _) => {
                        failed = has_failed();
                        fail_in(0);
                        app.close_lost(&mut hub);
                    }
                    (n, Way::Once) => fail_in(n),
                    (n, Way::FromThenOn) => fail_from(n),
                }
                if stops.swap(false, Ordering::Relaxed) {
                    armed(|| hub.stop(1000)).unwrap();
                }
            }
            log.stats = hub.stats();
            (failed, log)
        };
        Self { port, asking_port, waker, is_failing, is_stopping, thread: thread::spawn(serve) }
    }

    fn fail(&self, n: usize) {
        self.is_failing.store(n, Ordering::Relaxed);
        self.waker.wake().unwrap();
        // Until it has.
        while self.is_failing.load(Ordering::Relaxed) != 0 {
            thread::yield_now();
        }
    }

    /// Whether an allocation has failed.
    fn stop(self) -> bool {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.waker.wake().unwrap();
        let (has_failed, log) = self.thread.join().unwrap();
        assert!(log.ends.values().all(Option::is_some), "nobody was told of their end: {:?}", log.ends);
        assert_eq!(log.stats.connections, 0);
        has_failed
    }
}

/// Answers, publishes, and ends who cannot be answered.
#[derive(Default)]
struct App {
    lost: Vec<u64>,
}

impl App {
    fn handle(&mut self, hub: &mut Hub, event: Event, data: &[u8]) {
        let id = event.connection;
        let result = if event.is(EventKind::Open) {
            armed(|| hub.subscribe(id, &id.to_be_bytes())).and_then(|_| armed(|| hub.subscribe(id, b"all"))).map(drop)
        } else if event.is(EventKind::Request) {
            return self.accept(hub, id);
        } else if event.is(EventKind::Text) && data.starts_with(NEWS) {
            // Who does not get it for lack of memory is a number in the stats.
            let _ = armed(|| hub.publish(b"all", id, Opcode::Text, data, Compress::IfShorter));
            armed(|| hub.unsubscribe(id, &id.to_be_bytes())).unwrap();
            armed(|| hub.send_many([(id, data)].into_iter(), Opcode::Text, Compress::Never)).map(drop)
        } else if event.is(EventKind::Text) || event.is(EventKind::Binary) {
            let opcode = if event.is(EventKind::Text) { Opcode::Text } else { Opcode::Binary };
            armed(|| hub.send(id, opcode, data, Compress::IfShorter, false)).map(drop)
        } else {
            Ok(())
        };
        match result {
            Ok(()) => {}
            Err(Error::OutOfMemory) => self.lost.push(id),
            Err(error) => panic!("{error:?}"),
        }
    }

    fn accept(&mut self, hub: &mut Hub, id: u64) {
        let Some(connection) = hub.connection(id).unwrap() else { return };
        if armed(|| connection.accept(None, Without::Nothing)).is_err() {
            self.lost.push(id);
            return;
        }
        let (events, data) = (connection.events().to_vec(), connection.data().to_vec());
        for inner in events {
            self.handle(hub, Event { connection: id, ..inner }, inner.data(&data));
        }
    }

    /// Says goodbye to those for whom there was no memory, as soon as there is some for that.
    fn close_lost(&mut self, hub: &mut Hub) {
        self.lost.retain(|&id| {
            let Some(connection) = hub.connection(id).unwrap() else { return false };
            let said = armed(|| match connection.respond(503, b"") {
                Err(Error::NothingAsked) => connection.close(1011, b""),
                said => said,
            });
            said == Err(Error::OutOfMemory)
        });
    }
}

/// A client that is told what it is not served.
struct Peer {
    socket: TcpStream,
    /// What no other has: its port is not, as others may have the same to another address.
    number: usize,
}

/// What one of them has to say: whether all of it was answered, or else how it was told.
type Served = io::Result<()>;

fn told() -> IoError {
    ErrorKind::ConnectionAborted.into()
}

impl Peer {
    fn open(port: u16, request: &[u8]) -> io::Result<Self> {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let mut peer = Self { socket: TcpStream::connect(("127.0.0.1", port))?, number };
        peer.socket.set_read_timeout(Some(PATIENCE))?;
        peer.socket.write_all(request)?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            peer.socket.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        if head.starts_with(b"HTTP/1.1 101 ") { Ok(peer) } else { Err(told()) }
    }

    /// What its own news end with.
    fn name(&self) -> Vec<u8> {
        format!(" {}", self.number).into_bytes()
    }

    /// The next frame that is not the news of others.
    fn frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        loop {
            let mut head = [0; 2];
            self.socket.read_exact(&mut head)?;
            let mut len = [0; 8];
            let short = match head[1] {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            self.socket.read_exact(&mut len[8 - short..])?;
            let len = if short == 0 { head[1].into() } else { usize::try_from(u64::from_be_bytes(len)).unwrap() };
            let mut payload = vec![0; len];
            self.socket.read_exact(&mut payload)?;
            let is_others = payload.starts_with(NEWS) && !payload.ends_with(&self.name());
            match head[0] {
                0x88 if payload != b"\x03\xE8" => return Err(told()),
                _ if is_others => {}
                first => return Ok((first, payload)),
            }
        }
    }

    fn assert_echoes(&mut self, first_byte: u8, payload: &[u8]) -> Served {
        self.socket.write_all(&masked(first_byte, payload))?;
        let (first, echo) = self.frame()?;
        assert_eq!(first, first_byte);
        assert!(echo == payload, "{} bytes for {}", echo.len(), payload.len());
        Ok(())
    }

    fn talk(&mut self) -> Served {
        for len in [0, 5, 1000, 20_000, LARGE] {
            self.assert_echoes(0x82, &pattern(len))?;
        }
        let pieces = [masked(0x01, b"ab"), masked(0x89, b"ping"), masked(0x80, b"c")].concat();
        self.socket.write_all(&pieces)?;
        assert_eq!(self.frame()?, (0x8A, b"ping".to_vec()));
        assert_eq!(self.frame()?, (0x81, b"abc".to_vec()));
        for len in [0, 20_000] {
            let news = [NEWS, &vec![b'x'; len], &self.name()].concat();
            self.assert_echoes(0x81, &news)?;
        }
        self.socket.write_all(&masked(0x88, b"\x03\xE8"))?;
        assert_eq!(self.frame()?, (0x88, b"\x03\xE8".to_vec()));
        Ok(())
    }
}

fn talk_plainly(port: u16) -> Served {
    Peer::open(port, REQUEST)?.talk()
}

fn with_fields(fields: &str) -> Vec<u8> {
    let request = String::from_utf8_lossy(REQUEST);
    format!("{}{fields}\r\n\r\n", request.strip_suffix("\r\n").unwrap()).into_bytes()
}

/// What comes compressed is not looked into. News are text, all else is not.
fn talk_compressed(port: u16) -> Served {
    let mut peer = Peer::open(port, &with_fields("Sec-WebSocket-Extensions: permessage-deflate"))?;
    // The examples of RFC 7692 section 7.2.3: "Hello", and then the same again.
    let hellos = [&b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..], b"\xf2\x00\x11\x00\x00"].map(|hello| masked(0xC2, hello));
    for message in [&hellos[..], &[masked(0x82, &vec![7; LARGE])]].concat() {
        peer.socket.write_all(&message)?;
        while peer.frame()?.0 & 0x0F != 0x02 {}
    }
    Ok(())
}

/// With a request that is longer than what goes into a batch, and messages behind it.
fn ask(port: u16) -> Served {
    let mut request = with_fields(&format!("X-Filler: {}", "x".repeat(60_000)));
    request.extend([masked(0x81, b"Hello"), masked(0x82, &pattern(20_000))].concat());
    let mut peer = Peer::open(port, &request)?;
    assert_eq!(peer.frame()?, (0x81, b"Hello".to_vec()));
    assert!(peer.frame()? == (0x82, pattern(20_000)));
    peer.talk()
}

/// Whether all were served.
fn run(way: Way, n: usize, is_bystander_first: bool) -> (bool, bool) {
    let server = Server::start(way);
    let bystander = is_bystander_first.then(|| Peer::open(server.port, REQUEST).unwrap());
    server.fail(n);
    let (port, asking_port) = (server.port, server.asking_port);
    let talks = [
        thread::spawn(move || talk_plainly(port)),
        thread::spawn(move || talk_compressed(port)),
        thread::spawn(move || ask(asking_port)),
    ];
    if way == Way::FromThenOn {
        sleep(Duration::from_millis(30));
        server.fail(MEMORY_IS_BACK);
    }
    let mut all_served = true;
    for talk in talks {
        if let Err(error) = talk.join().unwrap() {
            let is_told = ![ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind());
            assert!(is_told, "neither served nor told: {error}");
            all_served = false;
        }
    }
    if way == Way::Once && n != MEMORY_IS_BACK {
        server.fail(MEMORY_IS_BACK);
    }
    let mut bystander = bystander.unwrap_or_else(|| Peer::open(port, REQUEST).unwrap());
    bystander.talk().unwrap();
    drop(bystander);
    (server.stop(), all_served)
}

#[test]
fn nothing_is_missing_when_nothing_fails() {
    assert!(run(Way::Once, MEMORY_IS_BACK, false).1);
}

#[test]
fn each_allocation_may_fail() {
    // zlib-rs panics where memory ends, and the panic ends in the library.
    panic::set_hook(Box::new(|panic| {
        if !is_armed() {
            eprintln!("{panic}");
        }
    }));
    for is_bystander_first in [false, true] {
        // How many there are follows from how the reads fall, too: three runs that have fewer are the end.
        let (mut n, mut misses) = (1, 0);
        while misses < 3 {
            misses = if run(Way::Once, n, is_bystander_first).0 { 0 } else { misses + 1 };
            n += 1;
        }
        println!("{n} allocations");
        assert!(n > 100, "only {n} allocations are there to fail");
    }
}

#[test]
fn all_allocations_may_fail_from_one_on() {
    for is_bystander_first in [false, true] {
        let mut n = 1;
        while run(Way::FromThenOn, n, is_bystander_first).0 {
            n += 1;
        }
        assert!(n > 10, "memory grows only {n} times");
    }
}

/// A hub that cannot be made, and an address that cannot be listened at, are errors, and the next attempt succeeds.
#[test]
fn a_hub_is_made_when_there_is_memory() {
    type Step = fn(&mut Option<Hub>) -> Result<(), Error>;
    let steps: [Step; 3] = [
        |hub| Hub::new(Limits::default()).map(|made| *hub = Some(made)),
        |hub| hub.as_mut().unwrap().listen("127.0.0.1:0", Listening::default(), Config::default()).map(drop),
        |hub| hub.as_mut().unwrap().fd().map(drop),
    ];
    let mut has_refused = 0;
    for n in 1.. {
        let mut hub = None;
        fail_from(n);
        for step in &steps {
            if let Err(error) = armed(|| step(&mut hub)) {
                assert_eq!(error, Error::OutOfMemory);
                has_refused += 1;
                step(&mut hub).unwrap();
            }
        }
        armed(|| hub.unwrap().poll(0)).unwrap();
        if !has_failed() {
            break;
        }
    }
    fail_in(0);
    assert!(has_refused > 3, "{has_refused} calls");
}

/// A message of which a part was written, and no memory for the rest: nothing follows that part but the end.
#[test]
fn nothing_follows_half_a_message() {
    let large = pattern(16 << 20);
    let config = with(Settings { high_water_len: 64 << 20, ..Settings::default() });
    let mut ways = [0; 3];
    for n in 1.. {
        let mut hub = Hub::new(Limits::default()).unwrap();
        let port = hub.listen("127.0.0.1:0", Listening::default(), config.clone()).unwrap();
        let opening = thread::spawn(move || Peer::open(port, REQUEST).unwrap());
        while hub.events().is_empty() {
            hub.poll(NEVER).unwrap();
        }
        let id = hub.events()[0].connection;
        hub.poll(0).unwrap();
        let mut peer = opening.join().unwrap();
        fail_from(n);
        let sent = armed(|| hub.send(id, Opcode::Binary, &large, Compress::Never, false));
        let failed = has_failed();
        fail_in(0);
        assert_eq!(sent.is_err(), failed);
        let after = hub.send(id, Opcode::Text, b"after", Compress::Never, false).unwrap();
        let reading = thread::spawn(move || {
            let mut heard = Vec::new();
            while !heard.ends_with(b"\x81\x05after") {
                let mut part = vec![0; 1 << 20];
                match peer.socket.read(&mut part) {
                    Ok(0) | Err(_) => break,
                    Ok(len) => heard.extend(&part[..len]),
                }
            }
            (peer, heard)
        });
        hub.poll(0).unwrap();
        let mut is_gone = hub.events().iter().any(|event| event.is(EventKind::Gone));
        while !reading.is_finished() {
            hub.poll(10).unwrap();
            is_gone |= !hub.events().is_empty();
        }
        let (_peer, heard) = reading.join().unwrap();
        let way = match heard.len() {
            7 => 0,
            len if len > large.len() => 1,
            _ => 2,
        };
        ways[way] += 1;
        assert_eq!(way == 1, sent.is_ok());
        // Half of it, and then the end, of which the application is told.
        assert_eq!(way == 2, is_gone);
        assert_eq!(way == 2, after == 0);
        if !failed {
            break;
        }
    }
    assert!(ways[1] > 0 && ways[2] > 0, "{ways:?}");
}

/// Where there is no memory for the form that some of them need, the others get it, and are counted.
#[test]
fn what_is_published_is_counted_if_anybody_gets_it() {
    let news = [NEWS; 5000].concat();
    let mut counts = [0; 3];
    for n in 1.. {
        let mut hub = Hub::new(Limits::default()).unwrap();
        let compressing = with(Settings { flags: ConfigFlag::Deflate as u32, ..Settings::default() });
        let request = with_fields("Sec-WebSocket-Extensions: permessage-deflate");
        let mut peers = Vec::new();
        for (config, request) in [(Config::default(), REQUEST.to_vec()), (compressing, request)] {
            let port = hub.listen("127.0.0.1:0", Listening::default(), config).unwrap();
            let opening = thread::spawn(move || Peer::open(port, &request).unwrap());
            hub.poll(NEVER).unwrap();
            let id = hub.events()[0].connection;
            hub.subscribe(id, b"all").unwrap();
            hub.poll(0).unwrap();
            peers.push(opening.join().unwrap());
        }
        fail_from(n);
        let published = armed(|| hub.publish(b"all", 0, Opcode::Text, &news, Compress::IfShorter));
        let failed = has_failed();
        fail_in(0);
        hub.poll(0).unwrap();
        let gets = |peer: &mut Peer| {
            peer.socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            peer.socket.read(&mut [0]).is_ok()
        };
        let count = peers.iter_mut().filter_map(|peer| gets(peer).then_some(())).count();
        assert_eq!(published, if count == 0 { Err(Error::OutOfMemory) } else { Ok(count) });
        assert_eq!(hub.stats().messages_sent, count as u64);
        counts[count] += 1;
        if !failed {
            break;
        }
    }
    assert!(counts.iter().all(|&times| times > 0), "{counts:?}");
}
