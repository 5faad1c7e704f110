//! The hub among peers that do what no good client does, and without what the system should give it. Beside each of them there
//! is a bystander, whose messages all come back, in order and soon, as if nothing had happened.

#![cfg(unix)]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "numbers chosen by the test")]
#![allow(clippy::cast_possible_truncation, reason = "numbers chosen by the test")]

#[path = "common/serving.rs"]
mod serving;

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use serving::{Client, Log, PATIENCE, REQUEST, Server, echo, masked, pattern, with};
use wsframe::connection::{Config, ConfigFlag, Event, EventKind, NEVER, Settings, Without};
use wsframe::hub::{Hub, Limits, Listening};

/// What a bystander waits for an echo at most, while others do their worst.
const SOON: Duration = Duration::from_secs(2);

/// Somebody who sends and hears all the time, next to whoever does something wrong.
struct Bystander {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<u32>,
}

impl Bystander {
    fn of(server: &Server) -> Self {
        let mut client = server.open();
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let talk = move || {
            let mut echoes = 0_u32;
            while !ends.load(Ordering::Relaxed) {
                let begun = Instant::now();
                client.assert_echoes(0x81, format!("{echoes}").as_bytes());
                assert!(begun.elapsed() < SOON, "it waited for {:?}", begun.elapsed());
                echoes += 1;
                sleep(Duration::from_millis(1));
            }
            client.send(0x88, b"\x03\xE8");
            assert_eq!(client.frame(), (0x88, b"\x03\xE8".to_vec()));
            client.assert_end();
            echoes
        };
        Self { is_over, thread: thread::spawn(talk) }
    }

    fn assert_noticed_nothing(self) {
        self.is_over.store(true, Ordering::Relaxed);
        assert!(self.thread.join().unwrap() > 0);
    }
}

/// Does something at a server that has a bystander, and returns what the server has seen: of the bystander it is a clean end.
fn beside(server: Server, act: impl FnOnce(&Server)) -> Log {
    let bystander = Bystander::of(&server);
    act(&server);
    // Afterwards as well.
    sleep(Duration::from_millis(20));
    bystander.assert_noticed_nothing();
    let log = server.stop();
    assert!(log.causes().contains(&(1000, 0)), "{:?}", log.causes());
    log
}

impl Client<TcpStream> {
    /// Ends TCP without a word, whatever is on its way.
    fn reset(self) {
        socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Writes the same over and over as long as the server takes it, for so long at most; whether it still does then.
    fn flood(&mut self, bytes: &[u8], at_most: Duration) -> bool {
        let (begun, mut at) = (Instant::now(), 0);
        self.socket.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        while begun.elapsed() < at_most {
            match self.socket.write(&bytes[at..]) {
                Ok(len) => at = (at + len) % bytes.len(),
                Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// Reads until the server has nothing more to say or has reset.
    fn drain(&mut self) {
        while self.socket.read(&mut [0; 1 << 16]).is_ok_and(|len| len > 0) {}
    }
}

#[test]
fn peers_that_send_a_byte_at_a_time_are_served() {
    let log = beside(Server::echo(), |server| {
        let mut slow: Vec<_> = (0..20).map(|_| server.connect()).collect();
        let sent = [
            REQUEST,
            &masked(0x81, "äöü".as_bytes()),
            &masked(0x02, &pattern(130)),
            &masked(0x89, b"between"),
            &masked(0x00, b""),
            &masked(0x80, &pattern(200)),
        ];
        for client in &slow {
            client.socket.set_nodelay(true).unwrap();
        }
        for byte in sent.concat() {
            for client in &mut slow {
                client.socket.write_all(&[byte]).unwrap();
            }
        }
        for client in &mut slow {
            client.expect_head("HTTP/1.1 101 ");
            assert_eq!(client.frame(), (0x81, "äöü".as_bytes().to_vec()));
            assert_eq!(client.frame(), (0x8A, b"between".to_vec()));
            assert_eq!(client.frame(), (0x82, [pattern(130), pattern(200)].concat()));
        }
    });
    assert_eq!(log.stats.accepted, 21);
}

/// At every byte of a request and of frames, with and without answers that it has not read.
#[test]
fn a_reset_anywhere_is_the_end_of_one_connection() {
    let frames = [masked(0x02, b"ab"), masked(0x89, b"ping"), masked(0x80, &pattern(200)), masked(0x88, b"\x03\xE8")];
    let frames = frames.concat();
    let log = beside(Server::echo(), |server| {
        for cut in (0..REQUEST.len()).step_by(7) {
            let mut client = server.connect();
            client.socket.write_all(&REQUEST[..cut]).unwrap();
            client.reset();
        }
        for cut in 0..=frames.len() {
            let mut client = server.open();
            client.socket.write_all(&frames[..cut]).unwrap();
            client.reset();
        }
        for _ in 0..10 {
            let mut client = server.open();
            // The server has much to write to it when it leaves.
            client.flood(&masked(0x82, &pattern(100_000)), Duration::from_millis(20));
            client.reset();
        }
    });
    assert!(log.causes().iter().all(|(_, error)| *error == 0), "a peer that leaves has broken no rule");
}

#[test]
fn a_peer_that_closes_one_side_is_answered_and_ended() {
    let log = beside(Server::echo(), |server| {
        let whole = [masked(0x81, b"Hello"), masked(0x82, &pattern(300_000))].concat();
        let half = &masked(0x82, &pattern(300_000))[..100_000];
        let sends: [(&[u8], usize); 4] = [(b"", 0), (&masked(0x81, b"Hello"), 1), (&whole, 2), (half, 0)];
        for (sent, echoes) in sends {
            let mut client = server.open();
            client.socket.write_all(sent).unwrap();
            client.socket.shutdown(Shutdown::Write).unwrap();
            for _ in 0..echoes {
                client.frame();
            }
            client.assert_end();
        }
        for request in [&b""[..], &REQUEST[..30]] {
            let mut client = server.connect();
            client.socket.write_all(request).unwrap();
            client.socket.shutdown(Shutdown::Write).unwrap();
            client.assert_end();
        }
        let mut client = server.connect();
        client.socket.write_all(REQUEST).unwrap();
        client.socket.shutdown(Shutdown::Write).unwrap();
        client.expect_head("HTTP/1.1 101 ");
        client.assert_end();
    });
    assert_eq!(log.ends.len(), 6, "of the requests that were not complete nobody was told");
}

/// It may take its time, as long as it takes something; who takes nothing has two seconds.
#[test]
fn a_peer_that_closes_one_side_may_read_slowly() {
    let settings = Settings { high_water_len: 128 << 20, ..Settings::default() };
    let server = Server::start(with(settings), |hub, event, data| {
        // Much more than there is room for on the way.
        let times = if data == b"much" { 40 } else { 1 };
        (0..times).for_each(|_| echo(hub, event, if times == 1 { data } else { &MUCH }));
    });
    beside(server, |server| {
        let [mut slow, deaf] = [server.open(), server.open()].map(|mut client| {
            socket2::SockRef::from(&client.socket).set_recv_buffer_size(64 << 10).unwrap();
            client.send(0x82, b"much");
            client.socket.shutdown(Shutdown::Write).unwrap();
            client
        });
        let begun = Instant::now();
        for i in 0..40 {
            sleep(Duration::from_millis(if i < 30 { 100 } else { 0 }));
            assert!(slow.frame() == (0x82, MUCH.to_vec()), "{i} after {:?}", begun.elapsed());
        }
        slow.assert_end();
        assert!(begun.elapsed() > Duration::from_secs(3));
        // It is ended meanwhile, and what was on its way is cut off.
        let mut deaf = deaf;
        let mut rest = Vec::new();
        let _ = deaf.socket.read_to_end(&mut rest);
        assert!(rest.len() < 40 * MUCH.len());
    });
}

/// A message of which many are more than what is on the way between two sockets.
static MUCH: [u8; 1 << 20] = [7; 1 << 20];

/// While it waits for the application's answer, too.
#[test]
fn a_peer_that_asks_and_closes_one_side_is_ended() {
    let config = with(Settings { flags: ConfigFlag::Ask as u32, ..Settings::default() });
    let server = Server::start(config, |hub, event, data| {
        let is_bystander = !data.starts_with(b"GET /chat?room=2 ");
        if event.is(EventKind::Request) && is_bystander {
            hub.connection(event.connection).unwrap().unwrap().accept(None, Without::Nothing).unwrap();
        }
        echo(hub, event, data);
    });
    let log = beside(server, |server| {
        for is_reset in [false, true] {
            let mut client = server.connect();
            let request = String::from_utf8_lossy(REQUEST).replace("room=1", "room=2");
            client.socket.write_all(request.as_bytes()).unwrap();
            sleep(Duration::from_millis(50));
            if is_reset {
                client.reset();
            } else {
                client.socket.shutdown(Shutdown::Write).unwrap();
                client.assert_end();
            }
        }
    });
    assert_eq!(log.causes(), [(1000, 0), (1006, 0), (1006, 0)]);
}

/// Whether they read what they are answered or not, and whether that is anything or not.
#[test]
fn floods_keep_nobody_waiting() {
    let pings = masked(0x89, &pattern(125)).repeat(500);
    let pongs = masked(0x8A, b"").repeat(10_000);
    let empty_messages = masked(0x82, b"").repeat(10_000);
    let tiny_messages = masked(0x81, b"a").repeat(10_000);
    let fragments = [masked(0x02, b""), masked(0x00, b"").repeat(5_000), masked(0x80, b"")].concat();
    let log = beside(Server::echo(), |server| {
        let floods: Vec<_> = [&pings, &pongs, &empty_messages, &tiny_messages, &fragments]
            .into_iter()
            .flat_map(|flood| [(flood.clone(), true), (flood.clone(), false)])
            .map(|(flood, reads)| {
                let mut client = server.open();
                let mut reader = Client { socket: client.socket.try_clone().unwrap() };
                let reading = reads.then(|| thread::spawn(move || reader.drain()));
                thread::spawn(move || {
                    assert!(client.flood(&flood, Duration::from_millis(700)), "no rule was broken");
                    client.socket.shutdown(Shutdown::Both).unwrap();
                    reading.map(JoinHandle::join)
                })
            })
            .collect();
        floods.into_iter().for_each(|flood| drop(flood.join().unwrap()));
    });
    assert_eq!(log.ends.len(), 11);
    assert_eq!(log.stats.dropped, 0, "who does not read is not read from");
}

#[test]
fn empty_fragments_without_an_end_are_too_many() {
    let settings = Settings { max_fragments: 1000, ..Settings::default() };
    let log = beside(Server::start(with(settings), echo), |server| {
        let mut client = server.open();
        client.socket.write_all(&[masked(0x02, b""), masked(0x00, b"").repeat(999)].concat()).unwrap();
        client.send(0x89, b"there?");
        assert_eq!(client.frame(), (0x8A, b"there?".to_vec()));
        client.send(0x00, b"");
        assert_eq!(client.frame(), (0x88, 1009_u16.to_be_bytes().to_vec()));
        client.assert_end();
    });
    assert_eq!(log.causes().len(), 2);
}

/// Thousands that come and leave at once, some of them with a word.
#[test]
fn who_comes_and_leaves_at_once_leaves_nothing() {
    let log = beside(Server::echo(), |server| {
        for i in 0..3000 {
            let mut client = server.connect();
            if i % 3 == 0 {
                client.socket.write_all(REQUEST).unwrap();
            }
            if i % 2 == 0 {
                client.reset();
            }
        }
    });
    assert_eq!(log.stats.connections, 0);
    assert!(log.stats.accepted <= 3001, "{:?}", log.stats);
}

/// 100 kB come with the request, and the application takes its time to answer it.
#[test]
fn what_comes_behind_a_request_waits_for_its_answer() {
    let mut asked = Vec::new();
    let config = with(Settings { flags: ConfigFlag::Ask as u32, ..Settings::default() });
    let server = Server::start(config, move |hub, event, data| {
        if !event.is(EventKind::Request) {
            echo(hub, event, data);
        }
        if event.is(EventKind::Request) && data.starts_with(b"GET /chat?room=2 ") {
            asked.push(event.connection);
            return;
        }
        // The first message of somebody else makes up its mind.
        let all = if event.is(EventKind::Request) { vec![event.connection] } else { std::mem::take(&mut asked) };
        for id in all {
            let connection = hub.connection(id).unwrap().unwrap();
            connection.accept(None, Without::Nothing).unwrap();
            let (events, data) = (connection.events().to_vec(), connection.data().to_vec());
            for inner in &events {
                echo(hub, Event { connection: id, ..*inner }, inner.data(&data));
            }
        }
    });
    let mut client = server.connect();
    let frames: Vec<Vec<u8>> = (0..100).map(|i| masked(0x82, &pattern(1000 + i))).collect();
    let request = String::from_utf8_lossy(REQUEST).replace("room=1", "room=2").into_bytes();
    let writer = {
        let mut socket = client.socket.try_clone().unwrap();
        thread::spawn(move || socket.write_all(&[request, frames.concat()].concat()).unwrap())
    };
    sleep(Duration::from_millis(300));
    let bystander = Bystander::of(&server);
    client.expect_head("HTTP/1.1 101 ");
    for i in 0..100 {
        assert!(client.frame() == (0x82, pattern(1000 + i)), "frame {i}");
    }
    writer.join().unwrap();
    bystander.assert_noticed_nothing();
    drop(client);
    server.stop();
}

/// As fast as they can, and slowly; and with 100 kB of what is no frame behind it.
#[test]
fn requests_that_never_end_are_refused() {
    let settings = Settings { handshake_timeout_ms: 500, ..Settings::default() };
    let log = beside(Server::start(with(settings), echo), |server| {
        let fields =
            &[&REQUEST[..REQUEST.len() - 2], &b"X-Filler: abcdefghijklmnopqrstuvwxyz\r\n".repeat(1000)].concat();
        for _ in 0..30 {
            let mut client = server.connect();
            client.socket.write_all(fields).unwrap();
            client.expect_head("HTTP/1.1 431 ");
        }
        let mut slow = server.connect();
        let begun = Instant::now();
        while slow.socket.write_all(b"X").is_ok() {
            assert!(begun.elapsed() < PATIENCE);
            sleep(Duration::from_millis(5));
        }
        let mut client = server.connect();
        client.socket.write_all(&[REQUEST, &[0xFF; 100_000]].concat()).unwrap();
        client.expect_head("HTTP/1.1 101 ");
        assert_eq!(client.frame(), (0x88, b"\x03\xEA".to_vec()));
        client.assert_end();
    });
    assert_eq!(log.stats.accepted, 33);
}

/// All is said, but it does not hang up, and goes on to send: it has two seconds.
#[test]
fn who_does_not_hang_up_is_hung_up_on() {
    let log = beside(Server::echo(), |server| {
        let [mut quiet, mut loud] = [server.open(), server.open()];
        for client in [&mut quiet, &mut loud] {
            client.send(0x88, b"\x03\xE8");
            assert_eq!(client.frame(), (0x88, b"\x03\xE8".to_vec()));
            client.assert_end();
        }
        assert!(!loud.flood(&pattern(100_000), PATIENCE), "it may send without end");
        // There is nobody any more who would take it.
        while quiet.socket.write_all(b"?").is_ok() {
            sleep(Duration::from_millis(10));
        }
    });
    assert_eq!(log.causes(), [(1000, 0); 3]);
}

/// A hub that has no more descriptors lets nobody in, says so in its stats, rests, serves those who are inside, and goes on when
/// one of them leaves. It is a process of its own: this test once more, with a variable.
#[cfg(target_os = "linux")]
#[test]
fn without_descriptors_it_rests_until_somebody_leaves() {
    const CHILD: &str = "WSFRAME_TEST_SERVES";
    if std::env::var_os(CHILD).is_some() {
        let server = Server::echo();
        println!("port {}", server.port);
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        println!("pauses {}", server.stop().stats.accept_pauses);
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "without_descriptors_it_rests_until_somebody_leaves", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut number = |name| {
        let line = lines.find(|line| line.contains(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u16>().unwrap()
    };
    let port = number("port ");
    let open_files = fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap().count();
    let (pid, limit) = (child.id().to_string(), format!("--nofile={}", open_files + 8));
    assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
    let connect = || {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { socket }
    };
    let mut inside: Vec<_> = (0..8).map(|_| connect()).collect();
    inside.iter_mut().for_each(|client| client.open(REQUEST));
    let mut waiting: Vec<_> = (0..20).map(|_| connect()).collect();
    for client in &mut waiting {
        client.socket.write_all(REQUEST).unwrap();
    }
    let begun = (cpu_time(child.id()), Instant::now());
    while begun.1.elapsed() < Duration::from_secs(2) {
        sleep(Duration::from_millis(100));
        inside.iter_mut().for_each(|client| client.assert_echoes(0x81, b"inside"));
    }
    let used = cpu_time(child.id()) - begun.0;
    assert!(used <= 20, "it was busy for {used} hundredths of two seconds");
    drop(inside);
    for client in &mut waiting[..8] {
        client.expect_head("HTTP/1.1 101 ");
        client.assert_echoes(0x81, b"inside");
    }
    drop(waiting);
    // Those who waited and left are soon seen to have gone.
    let mut last = connect();
    last.open(REQUEST);
    last.assert_echoes(0x81, b"inside");
    drop((last, child.stdin.take()));
    let pauses = number("pauses ");
    let seconds = begun.1.elapsed().as_secs();
    // One a second, and one with each of those who left that let in one too many.
    assert!((1..seconds + 30).contains(&pauses.into()), "{pauses} pauses in {seconds} seconds");
    assert!(child.wait().unwrap().success());
}

/// How long a process has run on a CPU, in hundredths of a second.
#[cfg(target_os = "linux")]
fn cpu_time(process: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // utime and stime are the fields 14 and 15; the first behind the name is the third.
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Whoever waits for the descriptor is told that the hub has ended, and of a time to stop in that is shorter.
#[cfg(target_os = "linux")]
#[test]
fn the_descriptor_tells_of_a_stop() {
    let mut hub = Hub::new(Limits::default()).unwrap();
    hub.listen("127.0.0.1:0", Listening::default(), Config::default()).unwrap();
    hub.fd().unwrap();
    hub.poll(0).unwrap();
    hub.stop(60_000).unwrap();
    assert!(is_readable(&mut hub, PATIENCE), "nobody is inside: it has ended");

    let mut hub = Hub::new(Limits::default()).unwrap();
    let config = with(Settings { close_timeout_ms: NEVER, ..Settings::default() });
    let port = hub.listen("127.0.0.1:0", Listening::default(), config).unwrap();
    hub.fd().unwrap();
    let mut deaf = TcpStream::connect(("127.0.0.1", port)).unwrap();
    deaf.write_all(REQUEST).unwrap();
    while hub.events().is_empty() {
        hub.poll(NEVER).unwrap();
    }
    hub.stop(60_000).unwrap();
    while is_readable(&mut hub, Duration::from_millis(100)) {
        hub.poll(0).unwrap();
    }
    hub.stop(200).unwrap();
    while !hub.has_ended() {
        assert!(is_readable(&mut hub, PATIENCE), "the time to stop in is over");
        hub.poll(0).unwrap();
    }
}

/// Whether the hub's descriptor says in this time that there is something to do.
#[cfg(target_os = "linux")]
fn is_readable(hub: &mut Hub, in_time: Duration) -> bool {
    let (mut poll, mut events) = (mio::Poll::new().unwrap(), mio::Events::with_capacity(1));
    let fd = hub.fd().unwrap();
    poll.registry().register(&mut mio::unix::SourceFd(&fd), mio::Token(0), mio::Interest::READABLE).unwrap();
    poll.poll(&mut events, Some(in_time)).unwrap();
    !events.is_empty()
}
