//! A hub among several peers, over Unix sockets. First each of them only says what it has to say, and hears what a connection
//! alone would have answered, however that was cut and whoever spoke between; then they come and leave as they like, while the
//! application does all that can be done with a hub.

#![no_main]

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use wsframe::connection::{
    Compress, Config, ConfigFlag, Connection, Event, EventKind, NEVER, Role, Settings, State, Without,
};
use wsframe::error::Error;
use wsframe::frame::{Header, Opcode};
use wsframe::hub::{Hub, Limits, Listening};
use wsframe_fuzz::{Counting, Cuts, Heard, Meter, frames};

#[global_allocator]
static COUNTING: Counting = Counting;

const PEERS: usize = 3;
/// What one peer says at most while it is compared: less than makes anybody wait.
const COMPARED_LEN: usize = 40_000;
/// More polls than there is ever something to do in.
const MANY: usize = 2000;

const REQUEST: &[u8] =
    b"GET /a HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

#[derive(Arbitrary, Debug)]
struct Plan<'a> {
    asks: bool,
    pieces: bool,
    deflates: bool,
    is_narrow: bool,
    seed: u32,
    said: [Said<'a>; PEERS],
    acts: Vec<Act>,
}

/// What one peer has to say.
#[derive(Arbitrary, Debug)]
struct Said<'a> {
    /// Whether it begins with something else than a request.
    is_rude: bool,
    words: Vec<Word<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Word<'a> {
    /// A frame with this first byte.
    Frame(u8, &'a [u8]),
    /// A long one, but not for the fuzzer.
    Long(bool, u8, u16),
    Raw(&'a [u8]),
}

/// What a peer or the application does.
#[derive(Arbitrary, Debug)]
enum Act {
    Comes(u8),
    Writes(u8, u16),
    Reads(u8),
    ClosesOneSide(u8),
    Leaves(u8),
    Poll,
    Wake,
    Send(u8, u8, u32),
    SendMany(u8, u8),
    Lent(u8, u8),
    Subscribe(u8, bool),
    Publish(bool, u8, u32),
    Pause(u8, bool),
    Close(u8, u16),
    Stop(u8),
}

impl Said<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = if self.is_rude { Vec::new() } else { REQUEST.to_vec() };
        for word in &self.words {
            match word {
                Word::Frame(first, payload) => put_frame(&mut bytes, *first, payload),
                Word::Long(is_text, byte, len) => {
                    let payload = vec![if *is_text { b'a' + byte % 26 } else { *byte }; (*len).into()];
                    put_frame(&mut bytes, if *is_text { 0x81 } else { 0x82 }, &payload);
                }
                Word::Raw(raw) => bytes.extend(*raw),
            }
        }
        bytes
    }
}

fn put_frame(bytes: &mut Vec<u8>, first: u8, payload: &[u8]) {
    bytes.push(first);
    match payload.len() {
        len @ 0..126 => bytes.push(0x80 | len as u8),
        len @ 126..65536 => {
            bytes.push(0xFE);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0xFF);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend([1, 2, 3, 4]);
    bytes.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, key)| byte ^ key));
}

fuzz_target!(|plan: Plan| {
    let mut meter = Meter::default();
    meter.measure(|| compare(&plan));
    meter.measure(|| live(&plan));
    assert_eq!(meter.held(), 0, "bytes of memory stay");
});

fn config(plan: &Plan, flags: u32) -> Config {
    let flags = flags | if plan.asks { ConfigFlag::Ask as u32 } else { 0 };
    let settings = Settings { flags, ping_interval_ms: NEVER, handshake_timeout_ms: NEVER, ..Settings::default() };
    Config { settings, ..Config::default() }
}

/// Where the hubs of this process listen.
fn path() -> PathBuf {
    std::env::temp_dir().join(format!("wsframe-fuzz-{}", std::process::id()))
}

fn listening(config: Config) -> Hub {
    let mut hub = Hub::new(Limits { max_connections: PEERS + 1, ..Limits::default() }).unwrap();
    let address = format!("unix:{}", path().display());
    hub.listen(&address, Listening::default(), config).unwrap();
    hub
}

fn connected() -> UnixStream {
    let socket = UnixStream::connect(path()).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

// --- What is compared

/// What became of a peer.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    heard: Heard,
    output: Vec<u8>,
}

impl Outcome {
    /// The head, the answers to messages, and those to control frames: how these two mix depends on the cuts.
    fn sorted(&self) -> (&[u8], Vec<(Header, Vec<u8>)>, Vec<(Header, Vec<u8>)>) {
        let blank = self.output.windows(4).position(|window| window == b"\r\n\r\n");
        let (head, rest) = self.output.split_at(blank.map_or(self.output.len(), |at| at + 4));
        if !head.starts_with(b"HTTP/1.1 101 ") {
            return (&self.output, Vec::new(), Vec::new());
        }
        let (control, data) = frames(rest).into_iter().partition(|(header, _)| header.opcode.is_control());
        (head, data, control)
    }
}

fn compare(plan: &Plan) {
    let config = config(plan, 0);
    let said = plan.said.each_ref().map(|said| {
        let mut bytes = said.bytes();
        bytes.truncate(COMPARED_LEN);
        bytes
    });
    let outcomes = serve(&config, &said, plan.seed);
    for (bytes, outcome) in said.iter().zip(&outcomes) {
        let expected = alone(&config, bytes);
        assert_eq!(outcome.heard, expected.heard);
        assert_eq!(outcome.sorted(), expected.sorted());
    }
}

/// What a connection makes of it that nobody else is beside.
fn alone(config: &Config, bytes: &[u8]) -> Outcome {
    let mut connection = Connection::new(Role::Server, config).unwrap();
    let mut outcome = Outcome::default();
    let mut input = bytes;
    loop {
        connection.receive(input).unwrap();
        input = &[];
        answer(&mut connection, &mut outcome.heard);
        if !connection.has_more() {
            break;
        }
    }
    loop {
        outcome.output.extend(connection.parts().flatten());
        if connection.output(connection.waiting(), 0).unwrap().bytes.is_empty() {
            break;
        }
    }
    if !outcome.heard.events.is_empty() || outcome.heard.unfinished_kind != 0 {
        connection.gone().unwrap();
        outcome.heard.note_last(connection.events()[0]);
    }
    outcome
}

/// Takes the events down and answers them, those as well that come of an answer.
fn answer(connection: &mut Connection, heard: &mut Heard) {
    let (events, data) = (connection.events().to_vec(), connection.data().to_vec());
    for event in events {
        heard.note_event(Event { connection: 0, ..event }, event.data(&data));
        respond(connection, event, event.data(&data), heard);
    }
}

fn respond(connection: &mut Connection, event: Event, data: &[u8], heard: &mut Heard) {
    match event.kind {
        kind if kind == EventKind::Text as u8 => drop(connection.send(Opcode::Text, data).unwrap()),
        kind if kind == EventKind::Binary as u8 => drop(connection.send(Opcode::Binary, data).unwrap()),
        kind if kind == EventKind::Http as u8 => drop(connection.respond(404, b"no").unwrap()),
        kind if kind == EventKind::Request as u8 && connection.state() == State::Asked => {
            connection.accept(None, Without::Nothing).unwrap();
            answer(connection, heard);
        }
        _ => {}
    }
}

/// What a hub makes of it, with all peers at once.
fn serve(config: &Config, said: &[Vec<u8>; PEERS], seed: u32) -> Vec<Outcome> {
    let mut hub = listening(config.clone());
    let mut cuts = Cuts::new(seed);
    let mut sockets = said.each_ref().map(|_| connected());
    hub.poll(0).unwrap();
    std::fs::remove_file(path()).unwrap();
    let mut outcomes: Vec<Outcome> = said.iter().map(|_| Outcome::default()).collect();
    let mut at = [0; PEERS];
    let mut has_left = [false; PEERS];
    for _ in 0..MANY * 10 {
        for (i, bytes) in said.iter().enumerate() {
            let rest = &bytes[at[i]..];
            let len = cuts.next_len(rest.len());
            match sockets[i].write(&rest[..len]) {
                Ok(len) => at[i] += len,
                // It has closed, or takes nothing for now.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => at[i] = bytes.len(),
            }
            if at[i] == bytes.len() {
                let _ = sockets[i].shutdown(Shutdown::Write);
            }
        }
        hub.poll(0).unwrap();
        for i in 0..hub.events().len() {
            let event = hub.events()[i];
            // Peers come in this order, each to a place of its own.
            let heard = &mut outcomes[(event.connection & 0xFFFF_FFFF) as usize].heard;
            if event.is(EventKind::Gone) {
                heard.note_last(event);
                continue;
            }
            let data = event.data(hub.data()).to_vec();
            heard.note_event(Event { connection: 0, ..event }, &data);
            if let Some(connection) = hub.connection(event.connection).unwrap() {
                respond(connection, event, &data, heard);
            }
        }
        for (i, socket) in sockets.iter_mut().enumerate() {
            has_left[i] |= read(socket, &mut outcomes[i].output);
        }
        if has_left == [true; PEERS] && hub.stats().connections == 0 {
            return outcomes;
        }
    }
    panic!("somebody is still there: {:?} {has_left:?} {at:?}", hub.stats());
}

/// Reads what is there, and returns whether that was all there will ever be.
fn read(socket: &mut UnixStream, heard: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 1 << 12];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return true,
            Ok(len) => heard.extend(&buffer[..len]),
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}

// --- What is lived through

/// A peer, its words, and what it has heard of whole frames.
struct Peer {
    said: Vec<u8>,
    at: usize,
    socket: Option<UnixStream>,
    heard: Vec<u8>,
}

impl Peer {
    fn come(&mut self) {
        if self.socket.is_none() {
            *self = Self { said: std::mem::take(&mut self.said), at: 0, socket: Some(connected()), heard: Vec::new() };
        }
    }

    fn write(&mut self, len: usize) {
        let Some(socket) = &mut self.socket else { return };
        let rest = &self.said[self.at..];
        if let Ok(len) = socket.write(&rest[..len.min(rest.len())]) {
            self.at += len;
        }
    }

    fn read(&mut self) {
        if let Some(socket) = &mut self.socket {
            read(socket, &mut self.heard);
        }
        check_frames(&self.heard);
    }
}

/// One frame stands behind the other, and nothing is between them.
fn check_frames(heard: &[u8]) {
    let Some(blank) = heard.windows(4).position(|window| window == b"\r\n\r\n") else { return };
    let mut rest = &heard[blank + 4..];
    if !heard.starts_with(b"HTTP/1.1 101 ") {
        return;
    }
    while let Some((header, len)) = Header::parse(rest).unwrap() {
        assert_eq!(header.mask_key, None);
        let Some(next) = rest.get(len + usize::try_from(header.payload_len).unwrap()..) else { return };
        rest = next;
        assert!(header.opcode != Opcode::Close || rest.is_empty(), "{} bytes behind a close frame", rest.len());
    }
}

/// What the application knows.
#[derive(Default)]
struct Known {
    ids: Vec<u64>,
    /// Whether a connection has ended.
    ends: HashMap<u64, bool>,
    messages: u64,
}

impl Known {
    fn id(&self, number: u8) -> u64 {
        // Also of those that are gone, and of nobody.
        self.ids.get(usize::from(number)).or(self.ids.last()).copied().unwrap_or(number.into())
    }

    fn poll(&mut self, hub: &mut Hub) {
        hub.poll(0).unwrap();
        for event in hub.events() {
            let data = event.data(hub.data());
            assert_eq!(data.len() as u64, event.len);
            let has_ended = self.ends.entry(event.connection).or_insert_with(|| {
                self.ids.push(event.connection);
                false
            });
            assert!(!*has_ended, "{event:?} after the last one");
            *has_ended = event.is(EventKind::Gone);
            if event.is(EventKind::Text) {
                std::str::from_utf8(data).unwrap();
            }
            self.messages += u64::from(event.is(EventKind::Text) || event.is(EventKind::Binary));
        }
    }
}

fn live(plan: &Plan) {
    let flag = |is_set, flag: ConfigFlag| if is_set { flag as u32 } else { 0 };
    let mut config = config(plan, flag(plan.pieces, ConfigFlag::Pieces) | flag(plan.deflates, ConfigFlag::Deflate));
    if plan.is_narrow {
        config.settings.high_water_len = 1000;
        config.settings.max_message_len = 10_000;
    }
    let mut hub = listening(config);
    let mut known = Known::default();
    let mut peers =
        plan.said.each_ref().map(|said| Peer { said: said.bytes(), at: 0, socket: None, heard: Vec::new() });
    let mut is_stopping = false;
    for act in &plan.acts {
        let peer = |number: &u8| usize::from(*number) % PEERS;
        match act {
            Act::Comes(number) if !is_stopping => peers[peer(number)].come(),
            Act::Comes(_) => {}
            Act::Writes(number, len) => peers[peer(number)].write((*len).into()),
            Act::Reads(number) => peers[peer(number)].read(),
            Act::ClosesOneSide(number) => {
                peers[peer(number)].socket.iter().for_each(|socket| drop(socket.shutdown(Shutdown::Write)));
            }
            Act::Leaves(number) => peers[peer(number)].socket = None,
            Act::Poll => known.poll(&mut hub),
            Act::Wake => hub.waker().wake().unwrap(),
            Act::Stop(grace_ms) => {
                hub.stop((*grace_ms).into()).unwrap();
                is_stopping = true;
            }
            act => apply(&mut hub, &known, act),
        }
    }
    hub.stop(0).unwrap();
    for _ in 0..MANY {
        if hub.has_ended() {
            break;
        }
        known.poll(&mut hub);
    }
    assert!(hub.has_ended());
    assert!(known.ends.values().all(|has_ended| *has_ended), "nobody was told of an end: {:?}", known.ends);
    let stats = hub.stats();
    assert_eq!((stats.connections, stats.messages_received), (0, known.messages));
    assert!(stats.accepted >= known.ids.len() as u64 && stats.refused == 0);
    peers.iter_mut().for_each(Peer::read);
    std::fs::remove_file(path()).unwrap();
}

/// What the application does.
fn apply(hub: &mut Hub, known: &Known, act: &Act) {
    let opcode = |bits: u8| if bits & 1 == 0 { Opcode::Binary } else { Opcode::Text };
    let compress = |bits: u8| [Compress::IfShorter, Compress::Never, Compress::Always][usize::from(bits / 4 % 3)];
    // Up to what does not go into the buffers of a socket.
    let payload = |bits: u8, len: u32| vec![b'a' + bits % 26; (len % (1 << 19)) as usize];
    match *act {
        Act::Send(number, bits, len) => {
            let sent = hub.send(known.id(number), opcode(bits), &payload(bits, len), compress(bits), bits & 2 != 0);
            let expected = [Error::OutputFull, Error::NotOpenYet, Error::MessageNotFinished];
            assert!(sent.is_ok_and(|_| true) || expected.iter().any(|error| sent == Err(*error)), "{sent:?}");
        }
        Act::SendMany(number, bits) => {
            let messages = known.ids.iter().map(|id| (*id, &b"many"[..])).skip(number.into());
            let _ = hub.send_many(messages, opcode(bits), compress(bits));
        }
        Act::Lent(number, what) => {
            let Some(connection) = hub.connection(known.id(number)).unwrap() else { return };
            let _ = match what % 4 {
                0 => connection.accept(None, Without::Nothing).map(|()| 0),
                1 => connection.respond(200 + u16::from(what), b"words"),
                2 => connection.send(Opcode::Ping, b"ping"),
                _ => connection.add_field(b"X-Field", b"value").map(|()| 0),
            };
        }
        Act::Subscribe(number, subscribes) => {
            let (id, topic) = (known.id(number), &[number % 2 + 1]);
            if subscribes { hub.subscribe(id, topic) } else { hub.unsubscribe(id, topic) }.unwrap();
        }
        Act::Publish(is_to_all, bits, len) => {
            let topic = [bits % 2 + 1];
            let topic = if is_to_all { &[][..] } else { &topic };
            let sent = hub.publish(topic, known.id(bits), opcode(bits), &payload(bits, len), compress(bits)).unwrap();
            assert!(sent <= hub.subscribers(topic).unwrap());
        }
        Act::Pause(number, is_paused) => drop(hub.pause(known.id(number), is_paused).unwrap()),
        Act::Close(number, code) => {
            let Some(connection) = hub.connection(known.id(number)).unwrap() else { return };
            let _ = connection.close(code, b"bye");
        }
        _ => {}
    }
}
