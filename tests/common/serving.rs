//! A hub in a thread, and clients of it that share nothing with the library. Each server checks for all of its tests that whoever
//! it was told of has exactly one last event.

#![allow(dead_code, reason = "not every test needs all of it")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "numbers chosen by the test")]
#![allow(clippy::cast_possible_truncation, reason = "numbers chosen by the test")]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wsframe::connection::{Compress, Config, Event, EventKind, NEVER, Settings};
use wsframe::frame::Opcode;
use wsframe::hub::{Hub, Limits, Listening, Stats, Waker};

pub(crate) const REQUEST: &[u8] =
    b"GET /chat?room=1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// Longer than anything here takes, also on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A hub in a thread of its own.
pub(crate) struct Server {
    pub(crate) port: u16,
    is_stopping: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<Log>>,
}

/// What it has seen.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The last event of each connection, once it has come.
    pub(crate) ends: HashMap<u64, Option<Event>>,
    pub(crate) stats: Stats,
}

impl Log {
    pub(crate) fn note(&mut self, event: &Event) {
        let end = self.ends.entry(event.connection).or_default();
        assert_eq!(*end, None, "an event after the last one: {event:?}");
        if event.is(EventKind::Gone) {
            *end = Some(*event);
        }
    }

    /// Close code and error of the last events, sorted.
    pub(crate) fn causes(&self) -> Vec<(u16, i32)> {
        let mut causes: Vec<_> =
            self.ends.values().map(|end| end.unwrap()).map(|end| (end.close_code, end.error)).collect();
        causes.sort_unstable();
        causes
    }
}

impl Server {
    /// Serves with what is to be done with each event.
    pub(crate) fn start(config: Config, handle: impl FnMut(&mut Hub, Event, &[u8]) + Send + 'static) -> Self {
        Self::start_with(Hub::new(Limits::default()).unwrap(), config, 1000, handle)
    }

    pub(crate) fn start_with(
        mut hub: Hub,
        config: Config,
        grace_ms: u32,
        mut handle: impl FnMut(&mut Hub, Event, &[u8]) + Send + 'static,
    ) -> Self {
        let port = hub.listen("127.0.0.1:0", Listening::default(), config).unwrap();
        let is_stopping = Arc::new(AtomicBool::new(false));
        let (waker, stops) = (hub.waker(), Arc::clone(&is_stopping));
        let serve = move || {
            let mut log = Log::default();
            while !hub.has_ended() {
                hub.poll(NEVER).unwrap();
                for i in 0..hub.events().len() {
                    let event = hub.events()[i];
                    log.note(&event);
                    let data = event.data(hub.data()).to_vec();
                    handle(&mut hub, event, &data);
                }
                if stops.swap(false, Ordering::Relaxed) {
                    hub.stop(grace_ms).unwrap();
                }
            }
            log.stats = hub.stats();
            log
        };
        Self { port, is_stopping, waker, thread: Some(thread::spawn(serve)) }
    }

    /// Sends each message back.
    pub(crate) fn echo() -> Self {
        Self::start(Config::default(), echo)
    }

    pub(crate) fn connect(&self) -> Client<TcpStream> {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { socket }
    }

    pub(crate) fn open(&self) -> Client<TcpStream> {
        let mut client = self.connect();
        client.open(REQUEST);
        client
    }

    pub(crate) fn stop(mut self) -> Log {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.waker.wake().unwrap();
        let log = self.thread.take().unwrap().join().unwrap();
        let lost: Vec<_> = log.ends.iter().filter(|(_, end)| end.is_none()).collect();
        assert!(lost.is_empty(), "nobody was told of their end: {lost:?}");
        assert_eq!(log.stats.connections, 0);
        log
    }

    /// Stops it while a client answers the close frame.
    pub(crate) fn stop_with<S: Read + Write + Send + 'static>(self, mut client: Client<S>) -> Log {
        let client = thread::spawn(move || {
            while client.frame().0 != 0x88 {}
            client.send(0x88, b"\x03\xE9");
            client.assert_end();
        });
        let log = self.stop();
        client.join().unwrap();
        log
    }
}

pub(crate) fn echo(hub: &mut Hub, event: Event, data: &[u8]) {
    let opcode = match event.kind {
        1 => Opcode::Text,
        2 => Opcode::Binary,
        _ => return,
    };
    assert!(hub.send(event.connection, opcode, data, Compress::IfShorter, false).is_ok());
}

/// A client that knows of frames what the RFC says, and no more.
pub(crate) struct Client<S> {
    pub(crate) socket: S,
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn open(&mut self, request: &[u8]) {
        self.socket.write_all(request).unwrap();
        self.expect_head("HTTP/1.1 101 ");
    }

    pub(crate) fn expect_head(&mut self, status: &str) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.socket.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(status.as_bytes()), "{}", String::from_utf8_lossy(&head));
    }

    pub(crate) fn send(&mut self, first_byte: u8, payload: &[u8]) {
        self.socket.write_all(&masked(first_byte, payload)).unwrap();
    }

    /// First byte and payload of the next frame.
    pub(crate) fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.socket.read_exact(&mut head).unwrap();
        let len = match head[1] {
            126 => {
                let mut len = [0; 2];
                self.socket.read_exact(&mut len).unwrap();
                u16::from_be_bytes(len).into()
            }
            127 => {
                let mut len = [0; 8];
                self.socket.read_exact(&mut len).unwrap();
                u64::from_be_bytes(len) as usize
            }
            len => usize::from(len),
        };
        let mut payload = vec![0; len];
        self.socket.read_exact(&mut payload).unwrap();
        (head[0], payload)
    }

    pub(crate) fn assert_echoes(&mut self, first_byte: u8, payload: &[u8]) {
        self.send(first_byte, payload);
        assert!(self.frame() == (first_byte, payload.to_vec()), "no echo of {} bytes", payload.len());
    }

    /// That the server has nothing more to say.
    pub(crate) fn assert_end(&mut self) {
        let mut rest = Vec::new();
        let read = self.socket.read_to_end(&mut rest);
        assert!(matches!(read, Ok(0)), "{read:?}: {rest:?}");
    }
}

pub(crate) fn masked(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first_byte];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len @ 126..65536 => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// Bytes that differ from place to place.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

pub(crate) fn with(settings: Settings) -> Config {
    Config { settings, ..Config::default() }
}
