//! What one end sends comes out the same at the other, however the bytes between them are cut.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use wsframe::connection::{Compress, Config, ConfigFlag, Connection, EventKind, Message, Role, Settings, State};
use wsframe::error::Error;
use wsframe::frame::Opcode;
use wsframe_fuzz::{Counting, Cuts, Heard, Meter, end, receive, take_all, turn};

#[global_allocator]
static COUNTING: Counting = Counting;

#[derive(Arbitrary, Debug)]
struct Talk<'a> {
    is_client: bool,
    pieces: bool,
    in_place: bool,
    opens: bool,
    /// Whether all that waits is written at once, and received at once.
    at_once: bool,
    seed: u32,
    acts: Vec<Act<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Act<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    /// A binary message of one byte, repeated: long, but not for the fuzzer.
    Long(u8, u32),
    /// The same, prepared for many connections.
    Prepared(u8, u32),
    /// Many messages with one call.
    Many(bool, Vec<&'a str>),
    /// The message, text if it is, in pieces of so many bytes.
    Pieces(&'a [u8], u8),
    /// A piece, and whether it is the last.
    Piece(bool, &'a [u8], bool),
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    Close(u16, &'a [u8]),
    /// Lets the receiver have what is there.
    Deliver,
}

struct Ends {
    sender: Connection,
    receiver: Connection,
    heard: Heard,
    answered: Heard,
    cuts: Cuts,
    in_place: bool,
    at_once: bool,
}

impl Ends {
    fn new(talk: &Talk) -> Self {
        let start_open = if talk.opens { 0 } else { ConfigFlag::StartOpen as u32 };
        let pieces = if talk.pieces { ConfigFlag::Pieces as u32 } else { 0 };
        let end = |role, flags| {
            let high_water_len = 16 << 20;
            let settings = Settings { flags: flags | start_open, high_water_len, ..Settings::default() };
            Connection::new(role, &Config { settings, ..Config::default() }).unwrap()
        };
        let (sender, receiver) =
            if talk.is_client { (Role::Client, Role::Server) } else { (Role::Server, Role::Client) };
        let mut ends = Self {
            sender: end(sender, 0),
            receiver: end(receiver, pieces),
            heard: Heard::default(),
            answered: Heard::default(),
            cuts: Cuts::new(talk.seed),
            in_place: talk.in_place,
            at_once: talk.at_once,
        };
        if talk.opens {
            let client = if talk.is_client { &mut ends.sender } else { &mut ends.receiver };
            client.request(b"example.com", b"/chat").unwrap();
            ends.answer();
            ends.deliver();
            ends.answer();
            assert_eq!((ends.sender.state(), ends.receiver.state()), (State::Open, State::Open));
            ends.heard = Heard::default();
            ends.answered = Heard::default();
        }
        ends
    }

    /// From the sender to the receiver.
    fn deliver(&mut self) {
        let (heard, cuts) = (&mut self.heard, &mut self.cuts);
        carry(&mut self.sender, &mut self.receiver, cuts, self.in_place, self.at_once, heard);
    }

    /// And back.
    fn answer(&mut self) {
        let (heard, cuts) = (&mut self.answered, &mut self.cuts);
        carry(&mut self.receiver, &mut self.sender, cuts, self.in_place, self.at_once, heard);
    }
}

fn carry(
    from: &mut Connection,
    to: &mut Connection,
    cuts: &mut Cuts,
    in_place: bool,
    at_once: bool,
    heard: &mut Heard,
) {
    let mut meter = Meter::default();
    if at_once {
        let mut all = Vec::new();
        take_all(from, 0, &mut all, &mut meter);
        return receive(to, &mut all, in_place, 16 << 20, heard, &mut meter);
    }
    // A close frame that answers one is put there with the end of a turn.
    turn(from, 0, 0, &mut Vec::new(), &mut meter);
    while from.waiting() > 0 {
        let len = cuts.next_len(from.waiting());
        // A long output also in long parts, or it takes too long.
        let len = if from.waiting() > 3000 { len.max(from.waiting() / 3) } else { len };
        let mut part = Vec::new();
        turn(from, len, 0, &mut part, &mut meter);
        receive(to, &mut part, in_place, 16 << 20, heard, &mut meter);
    }
}

/// The message that is sent in pieces: its opcode, and what was sent of it.
type Begun = Option<(Opcode, Vec<u8>)>;

/// Sends a message or the next piece of one, and returns the message if it is complete.
fn send(sender: &mut Connection, begun: &mut Begun, opcode: Opcode, data: &[u8], more: bool) -> Option<Vec<u8>> {
    let is_open = sender.state() == State::Open;
    let fits = begun.as_ref().is_none_or(|(begun, _)| *begun == opcode);
    let so_far = match &*begun {
        Some((_, so_far)) => [so_far, data].concat(),
        None => data.to_vec(),
    };
    let is_valid = opcode != Opcode::Text
        || match std::str::from_utf8(&so_far) {
            Ok(_) => true,
            Err(error) => more && error.error_len().is_none(),
        };
    let sent = sender.send_as(opcode, data, Compress::IfShorter, more).map(|waiting| waiting > 0);
    let wanted = match (is_open, fits, is_valid) {
        (false, ..) => Ok(false),
        (_, false, _) => Err(Error::MessageNotFinished),
        (.., false) => Err(Error::SendInvalidUtf8),
        _ => Ok(true),
    };
    assert_eq!(sent, wanted);
    if sent != Ok(true) {
        return None;
    }
    *begun = more.then(|| (opcode, so_far.clone()));
    (!more).then_some(so_far)
}

fuzz_target!(|talk: Talk| {
    let mut ends = Ends::new(&talk);
    let mut expected = Heard::default();
    let mut pongs = Vec::new();
    let mut begun: Begun = None;
    let mut expect =
        |kind: EventKind, code: u16, data: &[u8]| expected.events.push((kind as u8, code, 0, data.to_vec()));
    let mut total = 0;
    for act in &talk.acts {
        let is_open = ends.sender.state() == State::Open;
        let sender = &mut ends.sender;
        match act {
            Act::Text(text) => {
                if let Some(message) = send(sender, &mut begun, Opcode::Text, text.as_bytes(), false) {
                    expect(EventKind::Text, 0, &message);
                }
            }
            Act::Binary(data) => {
                if let Some(message) = send(sender, &mut begun, Opcode::Binary, data, false) {
                    expect(EventKind::Binary, 0, &message);
                }
            }
            Act::Long(byte, len) => {
                let data = vec![*byte; *len as usize % 300_000];
                total += data.len();
                if total > 4 << 20 {
                    return;
                }
                if let Some(message) = send(sender, &mut begun, Opcode::Binary, &data, false) {
                    expect(EventKind::Binary, 0, &message);
                }
            }
            Act::Prepared(byte, len) => {
                let data = vec![*byte; *len as usize % 300_000];
                total += data.len();
                if total > 4 << 20 {
                    return;
                }
                let config = Config::default();
                let message = Message::new(Opcode::Binary, &data, Compress::IfShorter, &config).unwrap();
                match sender.send_message(&message) {
                    Ok(waiting) => assert_eq!(waiting > 0, is_open),
                    Err(error) => assert!(error == Error::MessageNotFinished && begun.is_some() && is_open, "{error}"),
                }
                if is_open && begun.is_none() {
                    expect(EventKind::Binary, 0, &data);
                }
            }
            Act::Many(is_text, texts) => {
                let (opcode, kind) =
                    if *is_text { (Opcode::Text, EventKind::Text) } else { (Opcode::Binary, EventKind::Binary) };
                let payloads = texts.iter().map(|text| text.as_bytes());
                match sender.send_many(opcode, payloads.clone(), Compress::IfShorter) {
                    Ok(sent) => assert_eq!(sent, if is_open { texts.len() } else { 0 }),
                    Err(error) => assert!(error == Error::MessageNotFinished && begun.is_some() && is_open, "{error}"),
                }
                if is_open && begun.is_none() {
                    payloads.for_each(|payload| expect(kind, 0, payload));
                }
            }
            Act::Pieces(data, len) => {
                if begun.is_some() || !is_open {
                    continue;
                }
                let (opcode, kind) = match std::str::from_utf8(data) {
                    Ok(_) => (Opcode::Text, EventKind::Text),
                    Err(_) => (Opcode::Binary, EventKind::Binary),
                };
                for piece in data.chunks(usize::from(*len).max(1)) {
                    assert_eq!(send(sender, &mut begun, opcode, piece, true), None);
                }
                let message = send(sender, &mut begun, opcode, b"", false);
                expect(kind, 0, &message.expect("a message"));
            }
            Act::Piece(is_text, data, last) => {
                let (opcode, kind) =
                    if *is_text { (Opcode::Text, EventKind::Text) } else { (Opcode::Binary, EventKind::Binary) };
                if let Some(message) = send(sender, &mut begun, opcode, data, !last) {
                    expect(kind, 0, &message);
                }
            }
            Act::Ping(data) => match sender.send(Opcode::Ping, data) {
                Ok(0) => assert!(!is_open),
                Ok(_) => {
                    expect(EventKind::Ping, 0, data);
                    pongs.push(data.to_vec());
                }
                Err(error) => assert!(error == Error::BuildOversizedControl && is_open && data.len() > 125, "{error}"),
            },
            Act::Pong(data) => match sender.send(Opcode::Pong, data) {
                // Behind its own close frame an end may still answer, but the other one does not look any more.
                Ok(waiting) if !is_open => assert!(waiting > 0 || sender.state() != State::Closing),
                Ok(_) => expect(EventKind::Pong, 0, data),
                Err(error) => assert!(error == Error::BuildOversizedControl && data.len() > 125, "{error}"),
            },
            Act::Close(code, reason) => match sender.close(*code, reason) {
                Ok(0) => assert!(!is_open),
                Ok(_) => {
                    assert!(is_open && reason.len() <= 123 && std::str::from_utf8(reason).is_ok());
                    expect(EventKind::Close, *code, reason);
                    assert_eq!(sender.state(), State::Closing);
                }
                Err(error) => assert!(
                    matches!(error, Error::SendInvalidCloseCode | Error::SendLongCloseReason | Error::SendInvalidUtf8),
                    "{error}"
                ),
            },
            Act::Deliver => ends.deliver(),
        }
    }
    ends.deliver();
    if let Some((_, data)) = begun {
        // Not ended: in pieces it may be there, as far as characters are whole.
        assert!(data.starts_with(&ends.heard.unfinished));
    }
    assert_eq!(ends.heard.events, expected.events);
    assert_eq!(ends.receiver.error(), None);

    // Each ping is answered, unless so many waited that only the last was; a close by the same code.
    let backlog = ends.receiver.waiting() > 60_000;
    ends.answer();
    assert_eq!(ends.sender.error(), None);
    let answered = |kind: EventKind| ends.answered.events.iter().filter(move |event| event.0 == kind as u8);
    if !backlog {
        assert!(answered(EventKind::Pong).map(|event| &event.3).eq(&pongs));
    }
    let close = expected.events.last().filter(|event| event.0 == EventKind::Close as u8);
    assert_eq!(answered(EventKind::Close).map(|event| event.1).next(), close.map(|event| event.1));
    if close.is_some() {
        assert_eq!((ends.sender.state(), ends.receiver.state()), (State::Closed, State::Closed));
    }
    // What is shared by a thread lives as long as one of its connections.
    let other = Connection::new(Role::Server, &Config::default()).unwrap();
    let (sender, receiver) = if talk.is_client { (Role::Client, Role::Server) } else { (Role::Server, Role::Client) };
    end(ends.sender, sender);
    end(ends.receiver, receiver);
    drop(other);
});
