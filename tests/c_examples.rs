//! `examples/c`: the servers among clients of all kinds, more than they have descriptors for, those that do not read, and their
//! own end; and the client.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "numbers chosen by the test")]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{release_library, root, run, scratch};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const MASKED_HELLO: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
/// Longer than anything here takes, also on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(20);

/// One of the examples, for a test of that name.
fn compiled(example: &str, test: &str) -> PathBuf {
    let program = scratch(&format!("c_examples-{test}")).join(example);
    run(Command::new("cc")
        .current_dir(root())
        .args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Iinclude"])
        .arg(format!("examples/c/{example}.c"))
        .arg(release_library().static_archive())
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&program));
    program
}

/// A server that runs, and ends with the test.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// One of the examples that are a server.
    fn start(example: &str, name: &str) -> Self {
        let mut process = Command::new(compiled(example, &format!("{name}-{example}")))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().trim_start_matches("ws://").trim_end_matches('/').to_owned();
        Self { process, address }
    }

    fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(&self.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    /// A client whose opening handshake is done.
    fn open(&self) -> TcpStream {
        let mut client = self.connect();
        client.write_all(REQUEST).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        client
    }

    /// Leaves it so many descriptors beside those that it has.
    fn limit_descriptors(&self, more: usize) {
        let own = fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count();
        let (process, limit) = (self.process.id().to_string(), format!("--nofile={}", own + more));
        run(Command::new("prlimit").args(["--pid", &process, &limit]));
    }

    /// How long it has run on a CPU, in hundredths of a second.
    fn cpu_time(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        // utime and stime are the fields 14 and 15; the first behind the name is the third.
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    fn terminate(&self) {
        run(Command::new("kill").arg(self.process.id().to_string()));
    }

    /// The exit code, when it has ended by itself.
    fn wait(&mut self) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The same test for each of the servers.
macro_rules! for_both {
    ($($test:ident)*) => {
        mod echo {
            $(#[test]
            fn $test() {
                super::$test(super::Server::start("echo", stringify!($test)));
            })*
        }

        mod hub {
            $(#[test]
            fn $test() {
                super::$test(super::Server::start("hub", stringify!($test)));
            })*
        }
    };
}

for_both! {
    without_descriptors_it_rests_until_a_client_leaves
    who_does_not_read_is_not_read_from
    sigterm_closes_its_connections_and_ends_it
}

fn assert_echoes(client: &mut TcpStream) {
    client.write_all(MASKED_HELLO).unwrap();
    let mut echo = [0; 7];
    client.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"\x81\x05Hello");
}

fn without_descriptors_it_rests_until_a_client_leaves(mut server: Server) {
    server.limit_descriptors(8);
    let mut inside: Vec<TcpStream> = (0..8).map(|_| server.open()).collect();
    let mut waiting: Vec<TcpStream> = (0..10).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.write_all(REQUEST).unwrap();
    }
    let before = server.cpu_time();
    sleep(Duration::from_secs(2));
    let used = server.cpu_time() - before;
    assert!(used <= 10, "it was busy for {used} hundredths of two seconds");

    inside.iter_mut().for_each(assert_echoes);
    drop(inside);
    for client in &mut waiting[..8] {
        let mut status = [0; 13];
        client.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 101 ");
    }
    drop(waiting);
    assert_echoes(&mut server.open());
    server.terminate();
    assert_eq!(server.wait(), Some(0));
}

/// What a client does not read costs the server no more than what was read from it once.
fn who_does_not_read_is_not_read_from(server: Server) {
    let mut client = server.open();
    client.set_nonblocking(true).unwrap();
    // 64 KiB of binary message, masked with zeroes.
    let message = [&b"\x82\xFF\0\0\0\0\0\x01\0\0\0\0\0\0"[..], &[b'x'; 1 << 16]].concat();
    let mut written = 0;
    let mut at = 0;
    let mut refused_since = Instant::now();
    // Until it has taken nothing for half a second.
    while refused_since.elapsed() < Duration::from_millis(500) {
        match client.write(&message[at..]) {
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
    // It serves others meanwhile, and goes on when the client reads.
    assert_echoes(&mut server.open());
    client.set_nonblocking(false).unwrap();
    let whole = written - at;
    let echoes = whole / message.len() * (message.len() - 4);
    let mut in_buffer = vec![0; 1 << 16];
    let mut read = 0;
    while read < echoes {
        let len = client.read(&mut in_buffer).unwrap();
        assert!(len > 0, "it hung up after {read} of {echoes} bytes");
        read += len;
    }
}

fn sigterm_closes_its_connections_and_ends_it(mut server: Server) {
    let mut clients: Vec<TcpStream> = (0..3).map(|_| server.open()).collect();
    server.terminate();
    for client in &mut clients {
        let mut close = [0; 4];
        client.read_exact(&mut close).unwrap();
        assert_eq!(&close, b"\x88\x02\x03\xE9", "a close frame with 1001");
        // The same back, masked with zeroes; then TCP ends.
        client.write_all(b"\x88\x82\0\0\0\0\x03\xE9").unwrap();
        assert_eq!(client.read(&mut close).unwrap(), 0);
    }
    drop(clients);
    assert_eq!(server.wait(), Some(0));
}

/// What the client printed, and its exit code.
fn client(test: &str, arguments: &[&str]) -> (String, String, Option<i32>) {
    said_by("client", test, arguments)
}

fn said_by(example: &str, test: &str, arguments: &[&str]) -> (String, String, Option<i32>) {
    let Output { status, stdout, stderr } = Command::new(compiled(example, test)).args(arguments).output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (stdout, stderr, status.code())
}

#[test]
fn the_client_prints_what_comes_back() {
    let server = Server::start("echo", "client-server");
    let long = "what is compressed ".repeat(1000);
    for option in [&[][..], &["--no-context-takeover"]] {
        let address = format!("ws://{}/a@b?c=d", server.address);
        let arguments = [option, &[&address, "Hello", &long, ""]].concat();
        let expected = (format!("Hello\n{long}\n\n"), String::new(), Some(0));
        assert_eq!(client("client", &arguments), expected);
    }
}

#[test]
fn the_client_of_the_hub_prints_what_comes_back_or_says_why_not() {
    let server = Server::start("hub", "hub-client-server");
    let long = "what is compressed ".repeat(1000);
    for option in [&[][..], &["--no-context-takeover"]] {
        let address = format!("ws://{}/a@b?c=d", server.address.replace("127.0.0.1", "localhost"));
        let arguments = [option, &[&address, "Hello", &long, ""]].concat();
        let expected = (format!("Hello\n{long}\n\n"), String::new(), Some(0));
        assert_eq!(said_by("hub_client", "hub-client", &arguments), expected);
    }
    let nobodys = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, code, why) in [
        (format!("ws://{nobodys}/"), 1, "nobody listens"),
        (format!("wss://{}/", server.address), 1, "TLS"),
        ("http://a/".to_owned(), 2, "wss://"),
        (String::new(), 2, "wss://"),
    ] {
        let (stdout, stderr, found) = said_by("hub_client", "hub-client-usage", &[&url, "Hello"]);
        assert_eq!((stdout.as_str(), found), ("", Some(code)), "{stderr}");
        assert!(stderr.starts_with("hub_client: ") && stderr.contains(why), "{stderr}");
    }
}

#[test]
fn the_client_says_why_there_is_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("ws://{}/", listener.local_addr().unwrap());
    let answers: [(&[u8], &str); 3] = [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "HTTP status 403"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "does not upgrade"),
        (b"", "without an answer"),
    ];
    for (answer, reason) in answers {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut peer, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    peer.read_exact(&mut byte).unwrap();
                    request.push(byte[0]);
                }
                peer.write_all(answer).unwrap();
            });
            let (stdout, stderr, code) = client("client-refused", &[&address, "Hello"]);
            assert_eq!((stdout.as_str(), code), ("", Some(1)));
            assert!(stderr.contains(reason), "{reason} is not in: {stderr}");
        });
    }
    drop(listener);
    for (arguments, code) in [(&[address.as_str()][..], 1), (&["wss://a/"], 2), (&["ws://a@b/"], 2), (&[], 2)] {
        let (_, stderr, found) = client("client-usage", arguments);
        assert_eq!(found, Some(code), "{stderr}");
        assert!(stderr.starts_with("client"), "{stderr}");
    }
}
