//! The vectors in `tests/vectors`, which `README.md` there explains, over the Rust API and over the C functions.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its numbers are small"
)]

#[path = "common/failing.rs"]
mod failing;
#[path = "common/inflate.rs"]
mod inflate;
#[path = "common/random.rs"]
mod random;
#[cfg(unix)]
#[path = "vectors/sockets.rs"]
mod sockets;
#[path = "vectors/subject.rs"]
mod subject;
#[path = "vectors/vector.rs"]
mod vector;

use std::collections::BTreeSet;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{panic, thread};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use failing::ALLOCATED;
use inflate::Inflater;
use random::Random;
use sha1::{Digest as _, Sha1};
use subject::{C, Event, Rust, Subject};

use vector::{Action, Bytes, Doing, Expected, Out, Part, Step, Vector};
use wsframe::connection::{Config, ConfigFlag, Connection, Role, Settings};
use wsframe::cpu;
use wsframe::error::ErrorCode;

const SERVER: u32 = 0;
const FIRST: u8 = 0x20;
const LAST: u8 = 0x40;
const IN_PLACE: u8 = 0x80;
const COMPRESSED: u8 = 0x04;
/// The masking key of RFC 6455 section 5.7.
const MASK_KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
/// Below this every two-way split is tried.
const MANY_BYTES: usize = 1000;

#[test]
fn every_vector_over_the_rust_api() {
    run_all::<Rust>();
}

#[test]
fn every_vector_over_the_c_functions_at_every_cpu_level() {
    cpu::at_each_level(|_| run_all::<C>());
}

/// What goes over a socket comes in other pieces than it was sent, in any case: fewer cuts than above will do.
#[cfg(unix)]
#[test]
fn every_vector_that_a_hub_can_run_over_real_sockets() {
    let len = |vector: &Vector| Run::<sockets::Sockets>::default().input_len(vector, SERVER);
    let can_run = |vector: &Vector| sockets::can_run(vector, len(vector));
    let vectors: Vec<Vector> = vector::all().into_iter().filter(can_run).collect();
    assert!(vectors.len() > 750, "only {} vectors", vectors.len());
    run_each(sockets::Sockets::NAME, &vectors, |vector, role| {
        for cut in [Cut::Whole, Cut::Every(7), Cut::Random(1), Cut::Random(2)] {
            let failed = |failure: String| format!("cut {cut:?}: {failure}");
            Run::<sockets::Sockets>::default().run(vector, role, cut).map_err(failed)?;
        }
        Ok(())
    });
}

#[test]
fn every_rule_is_shown() {
    let shown: BTreeSet<u32> = vector::all().iter().flat_map(|vector| vector.rules.clone()).collect();
    let missing: Vec<u32> = (1..=44).filter(|rule| !shown.contains(rule)).collect();
    assert!(missing.is_empty(), "no vector says that it shows these rules of conformance.md: {missing:?}");
}

/// Rule 16. The list is RFC 6455 section 7.4 with the registry of section 11.7, written down a second time.
#[test]
fn every_close_code() {
    fn judge<S: Subject>(role: u32, words: &[&str], is_right: fn(u16) -> bool) {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        for code in 0..=u16::MAX {
            let what = format!("{code} over {} in the role {role}, {words:?}", S::NAME);
            let mut subject = S::new(role, &words).unwrap();
            let mut input = frame(role, 0x88, &code.to_be_bytes());
            assert_eq!(subject.receive(&mut input, false), 1, "{what}");
            let event = subject.batch().0[0];
            subject.turn(0, 0).unwrap();
            // With the flag: what is never on the wire is for options.txt.
            if words.len() == 1 || !matches!(code, 1005 | 1006 | 1015) {
                let (expected, answer) = if is_right(code) { ((8, code, 0), code) } else { ((19, 1002, -33), 1002) };
                assert_eq!((event.kind, event.close_code, event.error), expected, "{what}");
                let frames = read_frames(role, &subject.output()).unwrap();
                assert_eq!(frames, [(0x88, answer.to_be_bytes().to_vec())], "{what}");
            }
            let sent = S::new(role, &words).unwrap().act(&Action::Close(code.into(), b"bye".to_vec()));
            assert_eq!(sent >= 0, is_registered(code), "sending {what}: {sent}");
        }
    }
    const fn is_registered(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
    for role in 0..2 {
        judge::<Rust>(role, &["start_open"], is_registered);
        judge::<C>(role, &["start_open"], is_registered);
        judge::<Rust>(role, &["start_open", "accept_any_close_code"], |code| matches!(code, 1000..=4999));
    }
}

/// Rule 3: what a header declares is not allocated. Counts every byte that is, whatever for.
#[test]
fn memory_follows_what_is_received() {
    let words: Vec<String> = ["start_open".to_owned(), "max_message_len=9223372036854775807".to_owned()]
        .into_iter()
        .chain(["max_frame_len=9223372036854775807".to_owned()])
        .collect();
    let headers: [&[u8]; 3] = [
        b"\x82\xFE\xFF\xFF\0\0\0\0a",
        b"\x82\xFF\x00\x00\x00\x00\x00\xFF\xFF\xFF\0\0\0\0a",
        b"\x01\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0a",
    ];
    for header in headers {
        let mut subject = Rust::new(SERVER, &words).unwrap();
        let mut input = header.to_vec();
        ALLOCATED.set(0);
        assert_eq!(subject.receive(&mut input, false), 0, "{}", vector::show(header));
        let allocated = ALLOCATED.get();
        assert!(allocated < 2000, "{allocated} bytes are allocated for {}", vector::show(header));
    }
}

/// What comes or goes in small parts is not moved for each of them, not even where an allocator always moves what grows.
#[test]
fn what_grows_is_moved_seldom() {
    const LEN: usize = 4 << 20;
    let words: Vec<String> = ["start_open".to_owned(), "high_water_len=100000000".to_owned()].into();
    for part in [100, 1000, 100_000] {
        let what = format!("4 MiB in parts of {part} bytes");
        let payload = vec![b'a'; part];
        let mut subject = Rust::new(SERVER, &words).unwrap();
        let fragment = frame(SERVER, 0x00, &payload);
        let times = LEN / part;
        subject.receive(&mut frame(SERVER, 0x01, b""), false);
        ALLOCATED.set(0);
        for _ in 0..times {
            assert_eq!(subject.receive(&mut fragment.clone(), false), 0, "{what}");
        }
        let allocated = ALLOCATED.get() - times * fragment.len();
        assert!((LEN..12 * LEN).contains(&allocated), "{what}, received: {allocated} bytes are allocated");

        let mut subject = Rust::new(SERVER, &words).unwrap();
        ALLOCATED.set(0);
        for _ in 0..times {
            assert!(subject.act(&Action::Send(1, 0, payload.clone())) > 0, "{what}");
        }
        let allocated = ALLOCATED.get() - times * part;
        assert!((LEN..12 * LEN).contains(&allocated), "{what}, sent: {allocated} bytes are allocated");
    }
}

/// What is in one read costs no allocation by the frame: once there are buffers, none at all.
#[test]
fn a_read_of_many_frames_allocates_nothing() {
    let frames = [(0x81, &b"sixteen bytes, a"[..]), (0x82, &[0xFF; 200]), (0x89, b"ping"), (0x8A, b"pong")];
    let read: Vec<u8> = frames.iter().flat_map(|(first, payload)| frame(SERVER, *first, payload)).collect();
    let read = read.repeat(100);
    let settings = Settings { flags: ConfigFlag::StartOpen as u32, ..Settings::default() };
    for in_place in [false, true] {
        let mut connection = Connection::new(Role::Server, &Config { settings, ..Config::default() }).unwrap();
        let mut receive = || {
            let mut input = read.clone();
            ALLOCATED.set(0);
            let received = if in_place { connection.receive_in_place(&mut input) } else { connection.receive(&input) };
            let allocated = ALLOCATED.get();
            assert_eq!((received, connection.events().len()), (Ok(()), 400));
            let written = connection.waiting();
            assert!(connection.output(written, 0).unwrap().bytes.is_empty());
            allocated
        };
        assert!(receive() > 0, "it is counted");
        assert_eq!(receive(), 0, "in place: {in_place}");
    }
}

/// Rule 7 of the header: where memory ends a call says MEMORY, or a peer is closed with 1011, and the process lives. Every
/// allocation of every vector fails once. A call that says MEMORY has done nothing: made again, it does what the vector says.
#[test]
fn every_allocation_may_fail() {
    let vectors = vector::all();
    let (mut failed, mut refused, mut forgotten) = (0, 0, 0);
    // zlib-rs panics where memory ends, and the panic ends in the library.
    panic::set_hook(Box::new(|panic| {
        if !failing::is_armed() {
            eprintln!("{panic}");
        }
    }));
    for vector in &vectors {
        let compresses = vector.config.iter().any(|word| word == "deflate");
        for &role in &vector.roles {
            for n in 1.. {
                failing::fail_in(n);
                let run = Run::<C> { is_failing: true, ..Run::default() };
                let outcome = run.run(vector, role, Cut::Whole);
                let has_failed = failing::has_failed();
                failing::fail_in(0);
                let Vector { file, line, name, .. } = vector;
                match outcome {
                    Ok(Outcome::AsWritten) => {}
                    Ok(Outcome::OutOfMemory) => refused += 1,
                    // Without memory for the words a client is refused without any, or does not see them.
                    Err(failure) if has_failed && is_without_words(&failure) => refused += 1,
                    // Without memory to remember what was sent, the next message refers to nothing.
                    Err(failure) if has_failed && compresses && failure.contains("the output") => forgotten += 1,
                    Err(failure) => panic!("tests/vectors/{file}:{line}: {name}\n  allocation {n} fails: {failure}"),
                }
                if !has_failed {
                    break;
                }
                failed += 1;
            }
        }
    }
    let _ = panic::take_hook();
    let counted = format!("{failed} allocations failed, {refused} ended their connection, {forgotten} a context");
    assert!(failed > 5000 && refused * 2 < failed && forgotten * 50 < failed, "{counted}");
}

fn is_without_words(failure: &str) -> bool {
    failure.contains("error HANDSHAKE 0 ") || failure.contains(" is None instead of")
}

/// How the input of a vector is cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Whole,
    /// Into pieces of so many bytes.
    Every(usize),
    /// In two, at this byte of the input of all steps.
    At(usize),
    /// At places that follow from this seed.
    Random(u64),
}

fn run_all<S: Subject>() {
    run_each(S::NAME, &vector::all(), try_vector::<S>);
}

/// Tries each of them in each of its roles, and tells which fail.
fn run_each(subject: &str, vectors: &[Vector], attempt: impl Fn(&Vector, u32) -> Result<(), String> + Sync) {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failures = Vec::new();
        while let Some(vector) = vectors.get(next.fetch_add(1, Ordering::Relaxed)) {
            for &role in &vector.roles {
                if let Err(failure) = attempt(vector, role) {
                    let Vector { file, line, name, .. } = vector;
                    let role = if role == SERVER { "server" } else { "client" };
                    failures
                        .push(format!("\ntests/vectors/{file}:{line}: {name}\n  over {subject}, {role}, {failure}\n"));
                }
            }
        }
        failures
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let mut failures: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker does not panic")).collect()
    });
    failures.sort();
    assert!(failures.is_empty(), "{} vectors fail:\n{}", failures.len(), failures.concat());
}

/// Runs a vector in every way, and stops at the first that fails.
fn try_vector<S: Subject>(vector: &Vector, role: u32) -> Result<(), String> {
    let len = Run::<S>::default().input_len(vector, role);
    let mut cuts = vec![Cut::Whole, Cut::Every(if len > 1_000_000 { 4099 } else { 1 })];
    // Of long inputs fewer, which cost more.
    let tries = (1_000_000 / len.max(1)).clamp(2, 20);
    if len <= MANY_BYTES {
        cuts.extend((1..len).map(Cut::At));
    } else {
        let mut random = Random(7);
        cuts.extend((1..=tries).chain(len - tries..len).map(Cut::At));
        cuts.extend((0..tries).map(|_| Cut::At(random.below(len))));
    }
    cuts.extend((1..=tries as u64).map(Cut::Random));
    for cut in cuts {
        for in_place in [false, true] {
            let way = if in_place { "receive_in_place" } else { "receive" };
            let failed = |failure: String| format!("{way}, cut {cut:?}: {failure}");
            Run::<S> { in_place, ..Run::default() }.run(vector, role, cut).map_err(failed)?;
        }
    }
    S::try_more(vector, role)
}

/// One run of one vector in one way.
struct Run<S> {
    subject: Option<S>,
    in_place: bool,
    has_pieces: bool,
    /// The key that the last `do request` has put into the output.
    key: Vec<u8>,
    /// What has come of a message, in pieces: its kind, whether it came compressed, and its data.
    message: Option<(u8, bool, Vec<u8>)>,
    seen: Vec<Expected>,
    /// How much input the steps before have had.
    received: usize,
    /// The output that the steps before have been compared with.
    before: Vec<u8>,
    /// Goes on from message to message of the output.
    inflater: Inflater,
    /// What time it is.
    now: u64,
    /// Whether an allocation may fail: then a call that says so is made again.
    is_failing: bool,
    /// Whether memory ran out so that the connection ended with it.
    is_out_of_memory: bool,
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    AsWritten,
    /// An allocation failed, and the connection was ended for it.
    OutOfMemory,
}

const MEMORY: isize = ErrorCode::Memory as isize;

impl<S> Default for Run<S> {
    fn default() -> Self {
        Self {
            subject: None,
            in_place: false,
            has_pieces: false,
            key: Vec::new(),
            message: None,
            seen: Vec::new(),
            received: 0,
            before: Vec::new(),
            inflater: Inflater::new(true, 15),
            now: 0,
            is_failing: false,
            is_out_of_memory: false,
        }
    }
}

impl<S: Subject> Run<S> {
    fn run(mut self, vector: &Vector, role: u32, cut: Cut) -> Result<Outcome, String> {
        self.has_pieces = vector.config.iter().any(|word| word == "pieces");
        let new = || S::new(role, &vector.config);
        let made = match new() {
            Err(MEMORY) if self.is_failing => new(),
            made => made,
        };
        match (made, &vector.steps[0].doing) {
            (Err(code), Doing::Fails(expected, Action::New)) if code == *expected => return Ok(Outcome::AsWritten),
            (Err(code), _) => return Err(format!("the connection cannot be made: {code}")),
            (Ok(_), Doing::Fails(_, Action::New)) => return Err("the connection can be made".to_owned()),
            (Ok(subject), _) => self.subject = Some(subject),
        }
        for (at, step) in vector.steps.iter().enumerate() {
            let is_last = at + 1 == vector.steps.len();
            // Whatever is done before a tick is done as late as that.
            let next = vector.steps[at..].iter().find_map(|step| match step.doing {
                Doing::Tick(now, _) => Some(now),
                _ => None,
            });
            self.now = next.unwrap_or(self.now);
            let failed = |failure| format!("the step in line {}: {failure}", step.line);
            let done = self.step(step, role, cut, is_last);
            if self.is_out_of_memory {
                return Ok(Outcome::OutOfMemory);
            }
            done.map_err(failed)?;
        }
        Ok(Outcome::AsWritten)
    }

    /// Makes a call, and again if there was no memory for it.
    fn act(&mut self, action: &Action) -> isize {
        let returned = self.subject().act(action);
        match action {
            _ if !self.is_failing => returned,
            // Those that were not sent.
            Action::SendMany(opcode, compress, messages) if (1..messages.len() as isize).contains(&returned) => {
                let rest = messages[returned.unsigned_abs()..].to_vec();
                returned + self.subject().act(&Action::SendMany(*opcode, *compress, rest))
            }
            _ if returned == MEMORY => self.subject().act(action),
            _ => returned,
        }
    }

    fn subject(&mut self) -> &mut S {
        self.subject.as_mut().unwrap()
    }

    fn step(&mut self, step: &Step, role: u32, cut: Cut, is_last: bool) -> Result<(), String> {
        match &step.doing {
            Doing::Input(parts) => {
                let input = self.input(parts, role);
                self.receive(&input, cut)?;
            }
            Doing::Tick(now, due) => {
                let mut found = self.subject().turn(0, *now).map_err(|code| format!("tick returned {code}"))?;
                if self.is_failing && failing::has_failed() {
                    found = self.subject().turn(0, *now).map_err(|code| format!("tick returned {code}"))?;
                }
                if found != *due {
                    return Err(format!("tick {now} returned {found} instead of {due}"));
                }
                if found == 0 {
                    check("nothing waits when TCP is to be closed", self.subject().output().is_empty())?;
                    self.before.clear();
                }
            }
            Doing::Do(Action::Write(len)) => {
                let len = len.unwrap_or(self.before.len());
                let now = self.now;
                check("the output can be written", self.subject().turn(len, now).is_ok())?;
                self.before.drain(..len);
            }
            Doing::Do(action) => {
                let returned = self.act(action);
                let is_done = if let Action::SendMany(.., messages) = action {
                    returned == messages.len() as isize
                } else {
                    returned >= 0
                };
                if !is_done {
                    return Err(format!("the call returned {returned}"));
                }
                if matches!(action, Action::Gone) {
                    // What waited is not written any more.
                    self.before.clear();
                }
                if matches!(action, Action::Receive(_) | Action::Accept(..) | Action::Gone) {
                    self.collect_all(returned, &[])?;
                }
            }
            Doing::Over(action) => {
                let returned = self.act(action);
                if returned != 0 {
                    return Err(format!("the call returned {returned} although the connection is over"));
                }
            }
            Doing::Fails(code, action) => {
                let returned = self.act(action);
                if returned != *code {
                    return Err(format!("the call returned {returned} instead of {code}"));
                }
            }
        }
        self.check(step, role, is_last)
    }

    fn check(&mut self, step: &Step, role: u32, is_last: bool) -> Result<(), String> {
        let state = self.subject().state();
        let is_alive = matches!(state, 2 | 3);
        if is_last
            && is_alive
            && let Some((kind, _, data)) = self.message.take()
        {
            let name = if kind == 1 { "unfinished text" } else { "unfinished binary" };
            self.seen.push(Expected { kind: name.to_owned(), data: Some(data) });
        }
        let seen = std::mem::take(&mut self.seen);
        if !Expected::are(&step.events, &seen) {
            return Err(format!("the events are\n    {seen:?}\n  instead of\n    {:?}", step.events));
        }
        if let Some(expected) = step.state
            && state != expected
        {
            return Err(format!("the state is {state} instead of {expected}"));
        }
        let compare = |what: &str, found: Option<Vec<u8>>, expected: &Option<Vec<u8>>| {
            let show = |value: &Option<Vec<u8>>| value.as_deref().map(vector::show);
            if found == *expected {
                return Ok(());
            }
            Err(format!("{what} is {:?} instead of {:?}", show(&found), show(expected)))
        };
        if let Some(expected) = &step.target {
            compare("target", self.subject().target(), expected)?;
        }
        if let Some(expected) = &step.subprotocol {
            compare("subprotocol", self.subject().subprotocol(), expected)?;
        }
        if let Some(expected) = step.deflate {
            let found = self.subject().deflate();
            if found != expected {
                return Err(format!("deflate is {found:?} instead of {expected:?}"));
            }
        }
        for (name, expected) in &step.fields {
            compare(name, self.subject().field(name), expected)?;
        }
        // Last: what the events lend lives until the turn ends.
        if step.out.iter().any(|out| matches!(out, Out::Later)) { Ok(()) } else { self.check_output(step, role) }
    }

    fn check_output(&mut self, step: &Step, role: u32) -> Result<(), String> {
        let now = self.now;
        self.subject().turn(0, now).map_err(|code| format!("the turn ends with {code}"))?;
        if self.is_failing && failing::has_failed() {
            // What there was no memory for is put there a little later.
            self.subject().turn(0, now).map_err(|code| format!("the turn ends with {code}"))?;
        }
        let output = self.subject().output();
        let grown = output.strip_prefix(&self.before[..]).ok_or("the output has lost what was in it")?;
        if matches!(step.doing, Doing::Do(Action::Request(..))) {
            let text = String::from_utf8_lossy(grown);
            let key = text.split_once("Sec-WebSocket-Key: ").and_then(|(_, rest)| rest.split_once("\r\n"));
            self.key = key.map_or_else(Vec::new, |(key, _)| key.as_bytes().to_vec());
        }
        check_output(role, &step.out, grown, &mut self.inflater)?;
        self.before = output;
        Ok(())
    }

    fn receive(&mut self, input: &[u8], cut: Cut) -> Result<(), String> {
        let start = self.received;
        self.received += input.len();
        let mut rest = input;
        let mut random = Random(if let Cut::Random(seed) = cut { seed } else { 1 });
        let most = 1 + random.below(input.len().min(40) + 1);
        loop {
            let at = match cut {
                Cut::Whole => rest.len(),
                Cut::Every(len) => len,
                Cut::At(at) => {
                    at.checked_sub(start + input.len() - rest.len()).filter(|&at| at > 0).unwrap_or(rest.len())
                }
                Cut::Random(_) => 1 + random.below(most),
            };
            let (piece, after) = rest.split_at(at.min(rest.len()));
            let (in_place, mut piece) = (self.in_place, piece.to_vec());
            let mut returned = self.subject().receive(&mut piece, in_place);
            if returned == MEMORY && self.is_failing {
                returned = self.subject().receive(&mut piece, in_place);
            }
            if returned < 0 {
                return Err(format!("receiving returned {returned}"));
            }
            self.collect_all(returned, &piece)?;
            rest = after;
            if rest.is_empty() || self.seen.last().is_some_and(|event| event.kind.starts_with("error")) {
                return Ok(());
            }
        }
    }

    /// Takes down the events of a call, and of those that deliver what it has left.
    fn collect_all(&mut self, returned: isize, input: &[u8]) -> Result<(), String> {
        self.collect(returned, input)?;
        while self.subject().has_more() {
            let in_place = self.in_place;
            let returned = self.subject().receive(&mut [], in_place);
            check("there is more", returned > 0)?;
            self.collect(returned, &[])?;
        }
        Ok(())
    }

    /// Takes down the events of a call, and checks what is true of all of them.
    fn collect(&mut self, returned: isize, input: &[u8]) -> Result<(), String> {
        let (events, data) = self.subject().batch();
        check("what is returned is the number of events", returned == events.len() as isize)?;
        for event in events {
            let Event { kind, flags, close_code, error, .. } = event;
            if error as isize == MEMORY {
                self.is_out_of_memory = true;
                check("an allocation has failed", self.is_failing && failing::has_failed())?;
                check(
                    "the peer is told 1011, or 400",
                    matches!((kind, close_code), (19, 1011 | 400 | 0) | (20, 1006)),
                )?;
                check("the connection has failed", self.subject().state() == 5)?;
                return Ok(());
            }
            let is_in_place = flags & IN_PLACE != 0;
            let from = if is_in_place { input } else { &data };
            let (start, len) = (event.offset as usize, event.len as usize);
            let data = from.get(start..start + len).ok_or(format!("an event's data lie outside: {event:?}"))?;
            check("the place is right", !is_in_place || self.in_place && matches!(kind, 1 | 2 | 8..=10))?;
            check("connection is 0", event.connection == 0)?;
            check("close_code is 0", close_code == 0 || matches!(kind, 8 | 19 | 20))?;
            check("error is 0", (error != 0) == (kind == 19) || kind == 20)?;
            check(
                "there is a sentence after an error",
                self.subject().has_sentence() == (self.subject().state() == 5) || kind == 20,
            )?;
            if matches!(kind, 1 | 2) {
                self.add_to_message(kind, flags & !IN_PLACE, data)?;
                continue;
            }
            check("only messages are first, last or compressed", flags & !IN_PLACE == 0)?;
            let name = match kind {
                8 => format!("close {close_code}"),
                9 => "ping".to_owned(),
                10 => "pong".to_owned(),
                16 => "request".to_owned(),
                17 => "http".to_owned(),
                18 => "open".to_owned(),
                19 => format!("error {} {close_code}", vector::error_name(error)),
                20 if error == 0 => format!("gone {close_code}"),
                20 => format!("gone {close_code} {}", vector::error_name(error)),
                _ => return Err(format!("unknown event {event:?}")),
            };
            self.seen.push(Expected { kind: name, data: Some(data.to_vec()) });
        }
        Ok(())
    }

    fn add_to_message(&mut self, kind: u8, flags: u8, data: &[u8]) -> Result<(), String> {
        check("these are flags of a message", flags & !(FIRST | LAST | COMPRESSED) == 0)?;
        let (is_first, is_last) = (flags & FIRST != 0, flags & LAST != 0);
        check("a message is whole", self.has_pieces || is_first && is_last)?;
        check("only the first piece is first", is_first == self.message.is_none())?;
        check("a piece has bytes", !data.is_empty() || is_last)?;
        let is_compressed = flags & COMPRESSED != 0;
        let (begun, began_compressed, message) = self.message.get_or_insert((kind, is_compressed, Vec::new()));
        check("the pieces are of one kind", (*begun, *began_compressed) == (kind, is_compressed))?;
        message.extend(data);
        // Pieces of text are cut between characters.
        check("text is UTF-8", kind == 2 || S::skips_utf8(self.subject()) || std::str::from_utf8(data).is_ok())?;
        if is_last {
            let data = self.message.take().map(|(.., message)| message);
            let name = if kind == 1 { "text" } else { "binary" };
            let name = if is_compressed { format!("compressed {name}") } else { name.to_owned() };
            self.seen.push(Expected { kind: name, data });
        }
        Ok(())
    }

    fn input(&self, parts: &[Part], role: u32) -> Vec<u8> {
        let bytes = |bytes: &Bytes| bytes.with_accept(&accept(&self.key));
        let part = |part: &Part| match part {
            Part::Bytes(given) => bytes(given),
            Part::Frames(times, first, payload) => frame(role, *first, &bytes(payload)).repeat(*times),
        };
        parts.iter().map(part).collect::<Vec<_>>().concat()
    }

    fn input_len(&self, vector: &Vector, role: u32) -> usize {
        let len = |step: &Step| match &step.doing {
            Doing::Input(parts) => self.input(parts, role).len(),
            _ => 0,
        };
        vector.steps.iter().map(len).sum()
    }
}

fn check(what: &str, is_true: bool) -> Result<(), String> {
    if is_true { Ok(()) } else { Err(format!("not true: {what}")) }
}

/// What the payload of a frame is to be.
#[derive(Clone)]
enum Payload {
    Exactly(Vec<u8>),
    /// To inflate to this; whether on its own.
    Inflated(Vec<u8>, bool),
}

fn check_output(role: u32, expected: &[Out], grown: &[u8], inflater: &mut Inflater) -> Result<(), String> {
    let found = || vector::show(grown);
    let mut exact: Option<Vec<u8>> = None;
    let mut frames: Option<Vec<(u8, Payload)>> = None;
    for out in expected {
        match out {
            Out::Exactly(bytes) => exact.get_or_insert_default().extend(bytes),
            Out::Frames(times, first, payload) => {
                let frame = (*first, Payload::Exactly(payload.clone()));
                frames.get_or_insert_default().extend(vec![frame; *times]);
            }
            Out::Inflated(first, message, alone) => {
                frames.get_or_insert_default().push((*first, Payload::Inflated(message.clone(), *alone)));
            }
            Out::Begins(bytes) if !grown.starts_with(bytes) => {
                return Err(format!("the output {} does not begin with {}", found(), vector::show(bytes)));
            }
            Out::Has(bytes) if !has(grown, bytes) => {
                return Err(format!("the output {} does not have {}", found(), vector::show(bytes)));
            }
            Out::Lacks(bytes) if has(grown, bytes) => {
                return Err(format!("the output {} has {}", found(), vector::show(bytes)));
            }
            _ => {}
        }
    }
    if let Some(frames) = frames {
        let read = read_frames(role, grown)?;
        let are_right = read.len() == frames.len()
            && read.iter().zip(frames).all(|((first, payload), (expected_first, expected))| {
                *first == expected_first && is_payload(*first, payload, &expected, inflater)
            });
        return if are_right { Ok(()) } else { Err(format!("the output has other frames: {}", found())) };
    }
    let exact = if expected.is_empty() { Some(Vec::new()) } else { exact };
    match exact {
        Some(exact) if exact != grown => {
            Err(format!("the output has grown by {} instead of {}", found(), vector::show(&exact)))
        }
        _ => Ok(()),
    }
}

fn is_payload(first: u8, payload: &[u8], expected: &Payload, inflater: &mut Inflater) -> bool {
    match expected {
        Payload::Exactly(expected) => payload == expected,
        Payload::Inflated(expected, alone) => {
            if *alone {
                *inflater = Inflater::new(true, 15);
            }
            let is_last = first & 0x80 != 0;
            let inflated = if is_last { inflater.message(payload) } else { inflater.piece(payload) };
            inflated.as_ref() == Some(expected)
        }
    }
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// What the peer of a connection in this role sends, with the shortest length.
fn frame(role: u32, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = if role == SERVER { 0x80 } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(mask | len as u8),
        len @ 126..=0xFFFF => {
            frame.push(mask | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(mask | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    if role == SERVER {
        frame.extend(MASK_KEY);
        frame.extend(payload.iter().zip(MASK_KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    } else {
        frame.extend(payload);
    }
    frame
}

/// Takes apart what a connection in this role has sent: first bytes and payloads.
fn read_frames(role: u32, mut output: &[u8]) -> Result<Vec<(u8, Vec<u8>)>, String> {
    let mut frames = Vec::new();
    let mut keys = Vec::new();
    while !output.is_empty() {
        let cut = || format!("the output ends inside a frame: {}", vector::show(output));
        let mut take = |len: usize| {
            let (taken, rest) = output.split_at_checked(len).ok_or_else(cut)?;
            output = rest;
            Ok::<_, String>(taken)
        };
        let head = take(2)?;
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, &byte| number << 8 | usize::from(byte));
        let len = match head[1] & 0x7F {
            127 => number(take(8)?),
            126 => number(take(2)?),
            len => len.into(),
        };
        let shortest = match len {
            0..=125 => head[1] & 0x7F == len as u8,
            126..=0xFFFF => head[1] & 0x7F == 126,
            _ => true,
        };
        check("the length of a frame has its shortest form", shortest)?;
        check("frames of a client, and only those, are masked", (head[1] & 0x80 == 0) == (role == SERVER))?;
        let key = if role == SERVER { vec![0; 4] } else { take(4)?.to_vec() };
        let payload = take(len)?;
        frames.push((head[0], payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()));
        keys.push(key);
    }
    let is_fresh = role == SERVER || keys.windows(2).all(|keys| keys[0] != keys[1]);
    check("every frame has a masking key of its own", is_fresh)?;
    Ok(frames)
}

/// RFC 6455 section 4.2.2.
fn accept(key: &[u8]) -> Vec<u8> {
    let digest = Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    let mut accept = vec![0; 28];
    assert_eq!(STANDARD.encode_slice(digest, &mut accept), Ok(28));
    accept
}
