//! Reads the vectors. `README.md` beside them explains what is written there.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use wsframe::error::ErrorCode;

pub(crate) struct Vector {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) rules: Vec<u32>,
    pub(crate) roles: Vec<u32>,
    pub(crate) config: Vec<String>,
    pub(crate) steps: Vec<Step>,
}

/// Something that is done, and what must be true afterwards.
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) doing: Doing,
    pub(crate) events: Vec<Expected>,
    pub(crate) out: Vec<Out>,
    pub(crate) state: Option<isize>,
    pub(crate) target: Option<Option<Vec<u8>>>,
    pub(crate) subprotocol: Option<Option<Vec<u8>>>,
    /// What was agreed on for compressed messages; nothing if messages are not compressed.
    pub(crate) deflate: Option<Option<Deflate>>,
    pub(crate) fields: Vec<(String, Option<Vec<u8>>)>,
}

pub(crate) enum Doing {
    Input(Vec<Part>),
    Do(Action),
    Fails(isize, Action),
    /// The connection is over, and the call returns 0.
    Over(Action),
    Tick(u64, u32),
}

pub(crate) enum Part {
    Bytes(Bytes),
    /// How many, first byte, payload.
    Frames(usize, u8, Bytes),
}

/// Whether to compress: 0 for as the library thinks, or WSFRAME_OPCODE_PLAIN or _COMPRESSED.
pub(crate) type Compress = u32;
pub(crate) const PLAIN: Compress = 0x200;
pub(crate) const COMPRESSED: Compress = 0x400;
pub(crate) const PING: u32 = 9;
pub(crate) const PONG: u32 = 10;

/// Takeover of the server and of the client, and their windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deflate {
    pub(crate) no_takeover: [bool; 2],
    pub(crate) window_bits: [u8; 2],
}

#[derive(Debug)]
pub(crate) enum Action {
    /// Opcode, whether to compress, and payload.
    Send(u32, Compress, Vec<u8>),
    /// Several messages with one call.
    SendMany(u32, Compress, Vec<Vec<u8>>),
    /// A message is prepared with the vector's config, and sent.
    SendMessage(u32, Compress, Vec<u8>),
    /// Opcode, whether to compress, payload and whether it is the last.
    Piece(u32, Compress, Vec<u8>, bool),
    Close(u32, Vec<u8>),
    Request(Vec<u8>, Vec<u8>),
    AddField(Vec<u8>, Vec<u8>),
    /// The subprotocol, and whether to do without permessage-deflate.
    Accept(Vec<u8>, bool),
    Respond(u32, Vec<u8>),
    Receive(Vec<u8>),
    Gone,
    Write(Option<usize>),
    New,
}

pub(crate) enum Out {
    Exactly(Vec<u8>),
    Frames(usize, u8, Vec<u8>),
    /// First byte, and what its payload inflates to; whether nothing before it may be referred to.
    Inflated(u8, Vec<u8>, bool),
    Begins(Vec<u8>),
    Has(Vec<u8>),
    Lacks(Vec<u8>),
    /// Not to be looked at yet.
    Later,
}

/// An event: its kind with its numbers, and its data unless they do not matter.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) kind: String,
    pub(crate) data: Option<Vec<u8>>,
}

impl Expected {
    pub(crate) fn are(expected: &[Self], seen: &[Self]) -> bool {
        let is = |(expected, seen): (&Self, &Self)| {
            expected.kind == seen.kind && (expected.data.is_none() || expected.data == seen.data)
        };
        expected.len() == seen.len() && expected.iter().zip(seen).all(is)
    }
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.data.as_deref().map_or_else(|| "...".to_owned(), show))
    }
}

/// Bytes in which there may be a place for the accept key.
#[derive(Default)]
pub(crate) struct Bytes(Vec<Option<Vec<u8>>>);

impl Bytes {
    pub(crate) fn with_accept(&self, accept: &[u8]) -> Vec<u8> {
        self.0.iter().flat_map(|part| part.as_deref().unwrap_or(accept)).copied().collect()
    }

    fn fixed(self) -> Vec<u8> {
        self.0.into_iter().flat_map(|part| part.expect("{accept} stands in `in` only")).collect()
    }
}

/// Bytes for a message to a person, cut if they are many.
pub(crate) fn show(bytes: &[u8]) -> String {
    let shown = format!("\"{}\"", bytes[..bytes.len().min(400)].escape_ascii());
    if bytes.len() > 400 { format!("{shown}... of {} bytes", bytes.len()) } else { shown }
}

/// All vectors of all files. A mistake in them ends the test with the file and the line.
pub(crate) fn all() -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut files: Vec<String> = fs::read_dir(&folder)
        .expect("tests/vectors is a folder")
        .map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".txt"))
        .collect();
    files.sort();
    assert!(files.len() > 9, "the vectors are missing: {files:?}");
    files.iter().flat_map(|file| read_file(file, &fs::read_to_string(folder.join(file)).expect("it is text"))).collect()
}

fn read_file(file: &str, text: &str) -> Vec<Vector> {
    let mut vectors: Vec<Vector> = Vec::new();
    let mut is_open = false;
    for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line)) {
        let line = line.trim_end();
        if line.is_empty() {
            is_open = false;
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let value = value.trim_start();
        let at = format!("tests/vectors/{file}:{number}");
        if key == "vector" {
            assert!(!is_open, "{at}: there is no blank line above");
            is_open = true;
            vectors.push(Vector {
                file: file.to_owned(),
                line: number,
                name: value.to_owned(),
                rules: Vec::new(),
                roles: Vec::new(),
                config: Vec::new(),
                steps: Vec::new(),
            });
            continue;
        }
        assert!(is_open, "{at}: this line belongs to no vector");
        vectors.last_mut().unwrap().add(key, value, number).unwrap_or_else(|error| panic!("{at}: {error}"));
    }
    let names: BTreeSet<&str> = vectors.iter().map(|vector| vector.name.as_str()).collect();
    assert_eq!(names.len(), vectors.len(), "two vectors in {file} have one name");
    for Vector { name, roles, rules, steps, .. } in &vectors {
        assert!(!roles.is_empty() && !rules.is_empty() && !steps.is_empty(), "{file}: {name}: a line is missing");
    }
    vectors
}

impl Vector {
    fn add(&mut self, key: &str, value: &str, line: usize) -> Result<(), String> {
        let words = words(value)?;
        let numbers = || words.iter().map(|word| word.parse::<u32>().map_err(|_| format!("{word} is no number")));
        match key {
            "rule" => self.rules = numbers().collect::<Result<_, _>>()?,
            "role" => {
                self.roles = match value {
                    "server" => vec![0],
                    "client" => vec![1],
                    "both" => vec![0, 1],
                    _ => return Err(format!("unknown role {value}")),
                }
            }
            "config" => self.config = words,
            "in" => self.add_input(Part::Bytes(bytes(&words)?), line),
            "head" => {
                let &[role] = &self.roles[..] else { return Err("a head is of one role".to_owned()) };
                self.add_input(Part::Bytes(head(role, &words)?), line);
            }
            "frame" => {
                let (times, first, payload) = frame(&words)?;
                self.add_input(Part::Frames(times, first, payload), line);
            }
            "do" => self.add_step(Doing::Do(action(&words)?), line),
            "fails" => {
                let (code, words) = words.split_first().ok_or("no code")?;
                self.add_step(Doing::Fails(error_number(code)?, action(words)?), line);
            }
            "over" => self.add_step(Doing::Over(action(&words)?), line),
            "tick" => {
                let [now, due] = &words[..] else { return Err("not a time and what is due".to_owned()) };
                let due = match due.as_str() {
                    "close" => 0,
                    "never" => u32::MAX,
                    wait => wait.parse().map_err(|_| format!("{wait} is no number"))?,
                };
                self.add_step(Doing::Tick(now.parse().map_err(|_| format!("{now} is no number"))?, due), line);
            }
            _ => self.steps.last_mut().ok_or("there is no step above")?.add(key, &words)?,
        }
        Ok(())
    }

    /// Lines of input that follow each other are one step.
    fn add_input(&mut self, part: Part, line: usize) {
        if let Some(Step { doing: Doing::Input(parts), events, out, state: None, .. }) = self.steps.last_mut()
            && events.is_empty()
            && out.is_empty()
        {
            parts.push(part);
        } else {
            self.add_step(Doing::Input(vec![part]), line);
        }
    }

    fn add_step(&mut self, doing: Doing, line: usize) {
        self.steps.push(Step {
            line,
            doing,
            events: Vec::new(),
            out: Vec::new(),
            state: None,
            target: None,
            subprotocol: None,
            deflate: None,
            fields: Vec::new(),
        });
    }
}

impl Step {
    fn add(&mut self, key: &str, words: &[String]) -> Result<(), String> {
        let value = || match words {
            [none] if none == "none" => Ok(None),
            words => Ok::<_, String>(Some(bytes(words)?.fixed())),
        };
        match key {
            "event" => {
                let (times, words) = times(words);
                self.events.extend(vec![event(words)?; times]);
            }
            "out" if words == ["later"] => self.out.push(Out::Later),
            "out" => self.out.push(Out::Exactly(bytes(words)?.fixed())),
            "out-frame" => {
                let (times, first, payload) = frame(words)?;
                self.out.push(Out::Frames(times, first, payload.fixed()));
            }
            "out-inflated" | "out-inflated-alone" => {
                let (times, first, message) = frame(words)?;
                if times != 1 {
                    return Err("each message is compressed differently".to_owned());
                }
                self.out.push(Out::Inflated(first, message.fixed(), key == "out-inflated-alone"));
            }
            "out-begins" => self.out.push(Out::Begins(bytes(words)?.fixed())),
            "out-has" => self.out.push(Out::Has(bytes(words)?.fixed())),
            "out-lacks" => self.out.push(Out::Lacks(bytes(words)?.fixed())),
            "state" => {
                let names = ["connecting", "asked", "open", "closing", "closed", "failed"];
                let number = names.iter().position(|name| words == [*name]).ok_or("unknown state")?;
                self.state = Some(number as isize);
            }
            "target" => self.target = Some(value()?),
            "subprotocol" => self.subprotocol = Some(value()?),
            "deflate" if words == ["none"] => self.deflate = Some(None),
            "deflate" => self.deflate = Some(Some(deflate(words)?)),
            "field" => {
                let (name, words) = words.split_first().ok_or("no name")?;
                let is_none = words == ["none"];
                self.fields.push((name.clone(), if is_none { None } else { Some(bytes(words)?.fixed()) }));
            }
            _ => return Err(format!("unknown key {key}")),
        }
        Ok(())
    }
}

/// The lines of the usual head, which the peer of a server and the peer of a client send.
const USUAL_HEADS: [&[&str]; 2] = [
    &[
        r#""GET / HTTP/1.1""#,
        r#""Host: a""#,
        r#""Upgrade: websocket""#,
        r#""Connection: Upgrade""#,
        r#""Sec-WebSocket-Version: 13""#,
        r#""Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==""#,
    ],
    &[
        r#""HTTP/1.1 101 Switching Protocols""#,
        r#""Upgrade: websocket""#,
        r#""Connection: Upgrade""#,
        r#""Sec-WebSocket-Accept: " {accept}"#,
    ],
];

/// The usual head of the peer of a connection in this role, changed as the words say.
fn head(role: u32, changes: &[String]) -> Result<Bytes, String> {
    let mut lines = USUAL_HEADS[role as usize].to_vec();
    for (at, change) in changes.iter().enumerate() {
        let (sign, rest) = change.split_at_checked(1).ok_or("an empty word")?;
        let name = rest.trim_start_matches('"').split(':').next().unwrap_or_default();
        let is_named = |line: &&str| line[1..].split(':').next().is_some_and(|found| found.eq_ignore_ascii_case(name));
        let place = || lines.iter().position(is_named).ok_or_else(|| format!("the head has no field {name}"));
        match sign {
            "\"" if at == 0 => lines[0] = change,
            "+" if rest.starts_with('"') => lines.push(rest),
            "=" if rest.starts_with('"') => {
                let place = place()?;
                lines[place] = rest;
            }
            "-" => {
                let place = place()?;
                lines.remove(place);
            }
            _ => return Err(format!("{change} is no change of a head")),
        }
    }
    bytes(&words(&format!(r#"{} "\r\n\r\n""#, lines.join(r#" "\r\n" "#)))?)
}

/// Splits at spaces that are not between quotes; a sign may stand before a quote.
fn words(value: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = value.trim_start();
    while !rest.is_empty() {
        let quoted = rest.strip_prefix(['+', '=']).unwrap_or(rest);
        let end = if quoted.starts_with('"') {
            let mut is_escaped = false;
            let closes = |(_, c): &(usize, char)| {
                let closes = *c == '"' && !is_escaped;
                is_escaped = *c == '\\' && !is_escaped;
                closes
            };
            let before = rest.len() - quoted.len();
            before + quoted.char_indices().skip(1).find(closes).ok_or("a quote is not closed")?.0 + 1
        } else {
            rest.find(' ').unwrap_or(rest.len())
        };
        let (word, after) = rest.split_at(end);
        if !after.is_empty() && !after.starts_with(' ') {
            return Err(format!("no space behind {word}"));
        }
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Ok(words)
}

fn bytes(words: &[String]) -> Result<Bytes, String> {
    let mut bytes = Vec::new();
    let mut times = 1;
    for word in words {
        if let Some(count) = word.strip_prefix('x') {
            times = count.parse::<usize>().map_err(|_| format!("{word} is no count"))?;
            continue;
        }
        let part = match word.strip_prefix('"') {
            _ if word == "{accept}" => None,
            Some(text) => Some(unescape(text.strip_suffix('"').ok_or("a quote is not closed")?)?.repeat(times)),
            None => Some(hex(word)?.repeat(times)),
        };
        bytes.push(part);
        times = 1;
    }
    Ok(Bytes(bytes))
}

fn hex(word: &str) -> Result<Vec<u8>, String> {
    if !word.is_ascii() || !word.len().is_multiple_of(2) {
        return Err(format!("{word} is not an even number of hex digits"));
    }
    let byte = |at: usize| u8::from_str_radix(&word[at..at + 2], 16).map_err(|_| format!("{word} is not hex"));
    (0..word.len()).step_by(2).map(byte).collect()
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend(rest[..at].bytes());
        let escape = rest[at + 1..].chars().next().ok_or("a lonely \\")?;
        let mut len = 2;
        match escape {
            'r' => bytes.push(b'\r'),
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            '\\' | '"' => bytes.push(escape as u8),
            'x' => {
                bytes.extend(hex(rest.get(at + 2..at + 4).ok_or("\\x without two digits")?)?);
                len = 4;
            }
            _ => return Err(format!("unknown escape \\{escape}")),
        }
        rest = &rest[at + len..];
    }
    bytes.extend(rest.bytes());
    Ok(bytes)
}

/// A count at the start, for the whole line.
fn times(words: &[String]) -> (usize, &[String]) {
    let count = words.first().and_then(|word| word.strip_prefix('x')?.parse().ok());
    count.map_or((1, words), |count| (count, &words[1..]))
}

fn frame(words: &[String]) -> Result<(usize, u8, Bytes), String> {
    let (times, words) = times(words);
    let (first, payload) = words.split_first().ok_or("no first byte")?;
    let first = hex(first)?;
    let [first] = first[..] else { return Err("the first byte is not one byte".to_owned()) };
    Ok((times, first, bytes(payload)?))
}

/// What is not named is not so, or 15.
fn deflate(words: &[String]) -> Result<Deflate, String> {
    let mut agreed = Deflate { no_takeover: [false; 2], window_bits: [15; 2] };
    for word in words {
        let (name, number) = word.split_once('=').unwrap_or((word, ""));
        let bits = number.parse().map_err(|_| format!("{word}: not a number"));
        match name {
            "server_no_context_takeover" => agreed.no_takeover[0] = true,
            "client_no_context_takeover" => agreed.no_takeover[1] = true,
            "server_max_window_bits" => agreed.window_bits[0] = bits?,
            "client_max_window_bits" => agreed.window_bits[1] = bits?,
            _ => return Err(format!("unknown parameter {word}")),
        }
    }
    Ok(agreed)
}

fn event(words: &[String]) -> Result<Expected, String> {
    let names = match words.first().map(String::as_str) {
        Some("error") if words.len() < 3 => return Err("an error has a code and a number".to_owned()),
        Some("error") => {
            error_number(&words[1])?;
            3
        }
        Some("close" | "unfinished" | "compressed") if words.len() > 1 => 2,
        Some("gone") if words.len() > 1 => words.len(),
        Some("text" | "binary" | "ping" | "pong" | "open" | "request" | "http") => 1,
        _ => return Err("unknown event".to_owned()),
    };
    let has_head = matches!(words[0].as_str(), "open" | "request" | "http" | "error");
    let data = if has_head && words.len() == names { None } else { Some(bytes(&words[names..])?.fixed()) };
    Ok(Expected { kind: words[..names].join(" "), data })
}

fn action(words: &[String]) -> Result<Action, String> {
    let (verb, words) = words.split_first().ok_or("no action")?;
    let all = |from: usize| Ok::<_, String>(bytes(words.get(from..).ok_or("an argument is missing")?)?.fixed());
    let each =
        || words.iter().map(|word| Ok(bytes(std::slice::from_ref(word))?.fixed())).collect::<Result<Vec<_>, String>>();
    let pair = || <[Vec<u8>; 2]>::try_from(each()?).map_err(|_| "not two arguments".to_owned());
    let number = || {
        let word = words.first().ok_or("a number is missing")?;
        word.parse::<u32>().map_err(|_| format!("{word} is no number"))
    };
    let opcode = || match words.first().map(String::as_str) {
        Some("text") => Ok(1),
        Some("binary") => Ok(2),
        _ => Err("neither text nor binary".to_owned()),
    };
    // Whether to compress, and where the bytes begin.
    let (compress, payload) = match words.get(1).map(String::as_str) {
        Some("plain") => (PLAIN, 2),
        Some("compressed") => (COMPRESSED, 2),
        _ => (0, 1),
    };
    Ok(match verb.as_str() {
        "send" => Action::Send(opcode()?, compress, all(payload)?),
        "send_many" => {
            let opcode = opcode()?;
            let messages = words[payload..].iter().map(|word| Ok(bytes(std::slice::from_ref(word))?.fixed()));
            Action::SendMany(opcode, compress, messages.collect::<Result<_, String>>()?)
        }
        "send_message" => Action::SendMessage(opcode()?, compress, all(payload)?),
        "piece" => Action::Piece(opcode()?, compress, all(payload)?, false),
        "last" => Action::Piece(opcode()?, compress, all(payload)?, true),
        "ping" => Action::Send(PING, 0, all(0)?),
        "pong" => Action::Send(PONG, 0, all(0)?),
        "close" => Action::Close(number()?, all(1)?),
        "request" => {
            let [host, target] = pair()?;
            Action::Request(host, target)
        }
        "add_field" => {
            let [name, value] = pair()?;
            Action::AddField(name, value)
        }
        "accept" if words.first().is_some_and(|word| word == "without_deflate") => Action::Accept(all(1)?, true),
        "accept" => Action::Accept(all(0)?, false),
        "respond" => Action::Respond(number()?, all(1)?),
        "gone" => Action::Gone,
        "receive" => Action::Receive(all(0)?),
        "write" if words.is_empty() => Action::Write(None),
        "write" => Action::Write(Some(number()? as usize)),
        "new" => Action::New,
        _ => return Err(format!("unknown action {verb}")),
    })
}

const CODES: [(&str, ErrorCode); 12] = [
    ("ARGUMENT", ErrorCode::Argument),
    ("STATE", ErrorCode::State),
    ("SPACE", ErrorCode::Space),
    ("MEMORY", ErrorCode::Memory),
    ("INTERNAL", ErrorCode::Internal),
    ("IO", ErrorCode::Io),
    ("HANDSHAKE", ErrorCode::Handshake),
    ("PROTOCOL", ErrorCode::Protocol),
    ("UTF8", ErrorCode::Utf8),
    ("TOO_BIG", ErrorCode::TooBig),
    ("POLICY", ErrorCode::Policy),
    ("TIMEOUT", ErrorCode::Timeout),
];

pub(crate) fn error_number(name: &str) -> Result<isize, String> {
    let code = CODES.iter().find(|(found, _)| *found == name).ok_or_else(|| format!("unknown code {name}"))?;
    Ok(code.1 as isize)
}

pub(crate) fn error_name(number: i32) -> String {
    let mut name = String::new();
    let code = CODES.iter().find(|(_, code)| *code as isize == number as isize);
    let _ = write!(name, "{}", code.map_or("?", |(name, _)| name));
    name
}
