//! A thousand clients of all kinds at `examples/c/hub.c`, all at once and again and again: what each of them sends comes back
//! once, in order, as long as it stays; the server's numbers agree with theirs; and no memory stays.
//!
//! Ten seconds, or as many as the variable `SOAK_SECONDS` says: `make soak SECONDS=600`.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "numbers chosen by the test")]
#![allow(clippy::cast_possible_truncation, reason = "numbers chosen by the test")]

mod common;
#[path = "common/random.rs"]
mod random;
#[path = "common/serving.rs"]
mod serving;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};
use std::{env, fs};

use common::{release_library, root, run, scratch};
use random::Random;
use serving::{Client, REQUEST, masked, pattern};
use wsframe::connection::{Config, ConfigFlag, Connection, EventKind, Role, Settings};
use wsframe::frame::Opcode;

const CLIENTS: u64 = 1000;
/// Longer than anything here takes, with a thousand threads on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than a large buffer is kept for the next message, and a connection lingers.
const REST: Duration = Duration::from_secs(3);
/// The server may have that much more than after the first third of the time: some pages of its heap.
const GROWTH: u64 = 1 << 20;

/// The server.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let program = scratch("hub_soak").join("hub");
        run(Command::new("cc")
            .current_dir(root())
            .args(["-std=c99", "-O2", "-Iinclude", "examples/c/hub.c"])
            .arg(release_library().static_archive())
            .args(["-lpthread", "-ldl", "-lm", "-o"])
            .arg(&program));
        let mut process = Command::new(program)
            // From pages on, not from a heap with holes in it: so what is resident is what is held.
            .env("MALLOC_MMAP_THRESHOLD_", "4096")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let address = url.trim().trim_start_matches("ws://").trim_end_matches('/').parse().unwrap();
        Self { process, address }
    }

    /// How many bytes of memory it has.
    fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    }

    /// How many clients it has let in, and messages received, sent and dropped.
    fn stop(mut self) -> [u64; 4] {
        run(Command::new("kill").arg(self.process.id().to_string()));
        let mut said = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.process.wait().unwrap().success(), "{said}");
        let numbers: Vec<u64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        numbers.try_into().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What clients have done.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    clients: u64,
    /// Messages that were sent whole.
    sent: u64,
    /// Messages that came back.
    echoed: u64,
}

/// One client after the other.
struct Visitor {
    address: SocketAddr,
    random: Random,
    count: Count,
}

impl Visitor {
    fn reach(&mut self) -> Client<TcpStream> {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        self.count.clients += 1;
        Client { socket }
    }

    fn open(&mut self) -> Client<TcpStream> {
        let mut client = self.reach();
        client.open(REQUEST);
        client
    }

    fn send(&mut self, client: &mut Client<TcpStream>, first_byte: u8, payload: &[u8]) {
        client.send(first_byte, payload);
        self.count.sent += 1;
    }

    fn hear(&mut self, client: &mut Client<TcpStream>, first_byte: u8, payload: &[u8]) {
        assert!(client.frame() == (first_byte, payload.to_vec()), "not the next of {} bytes", payload.len());
        self.count.echoed += 1;
    }

    fn close(&mut self, client: &mut Client<TcpStream>) {
        client.send(0x88, b"\x03\xE8");
        assert_eq!(client.frame(), (0x88, b"\x03\xE8".to_vec()));
        client.assert_end();
    }

    /// A message that differs from others, and its first byte.
    fn message(&mut self) -> (u8, Vec<u8>) {
        let lens = [0, 1, 20, 125, 126, 1000, 16_384, 65_535, 65_536, 200_000];
        let mut payload = pattern(lens[self.random.below(lens.len())]);
        let is_text = self.random.is_one_in(2);
        let letter = b'a' + self.random.below(26).to_le_bytes()[0];
        payload.iter_mut().for_each(|byte| *byte = if is_text { letter } else { *byte ^ letter });
        (if is_text { 0x81 } else { 0x82 }, payload)
    }

    fn nap(&mut self, at_most_ms: usize) {
        sleep(Duration::from_millis(self.random.below(at_most_ms) as u64));
    }

    // The kinds.

    fn talk(&mut self) {
        let mut client = self.open();
        for _ in 0..=self.random.below(5) {
            let messages: Vec<_> = (0..=self.random.below(3)).map(|_| self.message()).collect();
            messages.iter().for_each(|(first, payload)| self.send(&mut client, *first, payload));
            messages.iter().for_each(|(first, payload)| self.hear(&mut client, *first, payload));
            self.nap(20);
        }
        self.close(&mut client);
    }

    fn flood(&mut self) {
        let mut client = self.open();
        let count = 500 + self.random.below(1500);
        let frames: Vec<u8> = (0..count).flat_map(|i| masked(0x82, &i.to_be_bytes())).collect();
        client.socket.write_all(&frames).unwrap();
        self.count.sent += count as u64;
        for i in 0..count {
            self.hear(&mut client, 0x82, &i.to_be_bytes());
        }
        self.close(&mut client);
    }

    fn read_slowly(&mut self) {
        let mut client = self.open();
        let count = 20 + self.random.below(20);
        let mut writer = client.socket.try_clone().unwrap();
        let frames = masked(0x82, &pattern(50_000)).repeat(count);
        let writing = thread::Builder::new().stack_size(STACK).spawn(move || writer.write_all(&frames).unwrap());
        for _ in 0..count {
            self.nap(30);
            self.hear(&mut client, 0x82, &pattern(50_000));
        }
        writing.unwrap().join().unwrap();
        self.count.sent += count as u64;
        self.close(&mut client);
    }

    /// Without a word, while answers are on their way.
    fn leave(&mut self) {
        let mut client = self.open();
        let messages: Vec<_> = (0..4).map(|_| self.message()).collect();
        messages.iter().for_each(|(first, payload)| self.send(&mut client, *first, payload));
        let heard = self.random.below(4);
        messages[..heard].iter().for_each(|(first, payload)| self.hear(&mut client, *first, payload));
    }

    /// The same in the middle of a frame, with a reset.
    fn reset(&mut self) {
        let mut client = self.open();
        let frame = masked(0x82, &pattern(200_000));
        let cut = self.random.below(frame.len());
        client.socket.write_all(&frame[..cut]).unwrap();
        self.nap(10);
        socket2::SockRef::from(&client.socket).set_linger(Some(Duration::ZERO)).unwrap();
    }

    fn say_nothing(&mut self) {
        let mut client = if self.random.is_one_in(3) { self.reach() } else { self.open() };
        self.nap(500);
        if self.random.is_one_in(2) {
            client.socket.shutdown(Shutdown::Both).unwrap();
        } else {
            client.socket.shutdown(Shutdown::Write).unwrap();
            client.assert_end();
        }
    }

    fn send_bytewise(&mut self) {
        let mut client = self.reach();
        client.socket.set_nodelay(true).unwrap();
        let frames = [masked(0x01, "ä".as_bytes()), masked(0x89, b"?"), masked(0x80, b"b")].concat();
        for byte in [REQUEST, &frames].concat() {
            client.socket.write_all(&[byte]).unwrap();
        }
        self.count.sent += 1;
        client.expect_head("HTTP/1.1 101 ");
        assert_eq!(client.frame(), (0x8A, b"?".to_vec()));
        self.hear(&mut client, 0x81, "äb".as_bytes());
        self.close(&mut client);
    }

    fn close_one_side(&mut self) {
        let mut client = self.open();
        let messages: Vec<_> = (0..3).map(|_| self.message()).collect();
        messages.iter().for_each(|(first, payload)| self.send(&mut client, *first, payload));
        client.socket.shutdown(Shutdown::Write).unwrap();
        messages.iter().for_each(|(first, payload)| self.hear(&mut client, *first, payload));
        client.assert_end();
    }

    fn break_a_rule(&mut self) {
        let mut client = self.open();
        self.send(&mut client, 0x81, b"valid");
        client.socket.write_all(b"\x83\x80\0\0\0\0").unwrap();
        self.hear(&mut client, 0x81, b"valid");
        assert_eq!(client.frame(), (0x88, b"\x03\xEA".to_vec()));
        client.assert_end();
    }

    /// By a connection of the library, which compresses.
    fn compress(&mut self) {
        let mut socket = self.reach().socket;
        let settings = Settings { flags: ConfigFlag::Deflate as u32, ..Settings::default() };
        let mut connection = Connection::new(Role::Client, &Config { settings, ..Config::default() }).unwrap();
        connection.request(b"a", b"/").unwrap();
        let mut buffer = [0; 4096];
        let (mut waits_for, mut left) = (None, 1 + self.random.below(6));
        while waits_for.is_some() || left > 0 {
            if waits_for.is_none() && connection.deflate().is_some() {
                let (first, payload) = self.message();
                let opcode = if first == 0x81 { Opcode::Text } else { Opcode::Binary };
                connection.send(opcode, &payload).unwrap();
                self.count.sent += 1;
                waits_for = Some(payload);
                left -= 1;
            }
            let output: Vec<u8> = connection.parts().flatten().copied().collect();
            socket.write_all(&output).unwrap();
            connection.output(output.len(), 0).unwrap();
            let len = socket.read(&mut buffer).unwrap();
            assert!(len > 0, "it hung up");
            connection.receive(&buffer[..len]).unwrap();
            for event in connection.events() {
                match waits_for.take() {
                    Some(payload) => {
                        assert!(event.data(connection.data()) == payload);
                        self.count.echoed += 1;
                    }
                    None => assert!(event.is(EventKind::Open), "{event:?}"),
                }
            }
        }
    }
}

type Kind = (&'static str, fn(&mut Visitor));

const KINDS: [Kind; 10] = [
    ("talk", Visitor::talk),
    ("flood", Visitor::flood),
    ("read slowly", Visitor::read_slowly),
    ("leave", Visitor::leave),
    ("reset", Visitor::reset),
    ("say nothing", Visitor::say_nothing),
    ("send bytewise", Visitor::send_bytewise),
    ("close one side", Visitor::close_one_side),
    ("break a rule", Visitor::break_a_rule),
    ("compress", Visitor::compress),
];

/// Of a client's thread.
const STACK: usize = 256 << 10;

/// Lets clients come and go for so long, and waits until all have gone. Returns what those of each kind have done.
fn soak(address: SocketAddr, seconds: f64) -> BTreeMap<&'static str, Count> {
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let come_and_go = move |seed| {
        let mut visitor = Visitor { address, random: Random(seed), count: Count::default() };
        let mut counts = BTreeMap::<_, Count>::new();
        while Instant::now() < end {
            let (name, kind) = KINDS[visitor.random.below(KINDS.len())];
            visitor.count = Count::default();
            kind(&mut visitor);
            add(counts.entry(name).or_default(), visitor.count);
        }
        counts
    };
    let clients: Vec<_> = (0..CLIENTS)
        .map(|seed| thread::Builder::new().stack_size(STACK).spawn(move || come_and_go(seed)).unwrap())
        .collect();
    let mut all = BTreeMap::<_, Count>::new();
    for client in clients {
        for (name, count) in client.join().unwrap() {
            add(all.entry(name).or_default(), count);
        }
    }
    sleep(REST);
    all
}

fn add(sum: &mut Count, count: Count) {
    sum.clients += count.clients;
    sum.sent += count.sent;
    sum.echoed += count.echoed;
}

#[test]
fn a_thousand_clients_leave_nothing() {
    let seconds: f64 = env::var("SOAK_SECONDS").map_or(10.0, |seconds| seconds.parse().unwrap());
    // Each client has one descriptor, and a second one while it reads slowly.
    let limit = format!("--nofile={}:", 3 * CLIENTS);
    run(Command::new("prlimit").args(["--pid", &std::process::id().to_string(), &limit]));
    let server = Server::start();
    let first = soak(server.address, seconds / 3.0);
    let before = server.resident();
    let second = soak(server.address, seconds * 2.0 / 3.0);
    let grown = server.resident().saturating_sub(before);
    let [accepted, received, sent, dropped] = server.stop();
    let mut all = Count::default();
    first.values().chain(second.values()).for_each(|count| add(&mut all, *count));
    println!("{second:#?}\n{all:?}, {} KiB and then {} KiB more", before >> 10, grown >> 10);
    assert_eq!(second.len(), KINDS.len());
    assert_eq!(accepted, all.clients, "each of them was let in once");
    assert!((all.echoed..=all.sent).contains(&received), "{received} messages came of {all:?}");
    assert!((all.echoed..=received).contains(&sent), "{sent} messages were sent of {all:?}");
    assert_eq!(dropped, 0, "who does not read is not read from");
    assert!(grown < GROWTH, "{grown} bytes more than {before}");
}
