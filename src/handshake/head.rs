//! The head of an HTTP message: where it ends, and its fields (RFC 9112).

#![forbid(unsafe_code)]

use std::str;

use crate::error::Error;
use crate::memory::filled;

/// Finds the blank line at the end of a head, however it is cut into pieces, and looks at each byte once.
///
/// A byte that cannot be in a head ends it at once: a control character, or a line feed without its carriage return.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadReader {
    /// How many characters of CR LF CR LF the bytes so far end with.
    matched: u8,
}

impl HeadReader {
    /// Looks at the next bytes and returns how many of them belong to the head if it ends in them.
    ///
    /// # Errors
    ///
    /// [`Error::MalformedHead`].
    pub fn push(&mut self, piece: &[u8]) -> Result<Option<usize>, Error> {
        for (at, &byte) in piece.iter().enumerate() {
            self.matched = match (byte, self.matched) {
                (b'\r', 0) => 1,
                (b'\r', 2) => 3,
                (b'\n', 1) => 2,
                (b'\n', 3) => {
                    self.matched = 0;
                    return Ok(Some(at.saturating_add(1)));
                }
                (b'\r' | b'\n', _) | (_, 1 | 3) => return Err(Error::MalformedHead),
                (byte, _) if is_text(byte) => 0,
                _ => return Err(Error::MalformedHead),
            };
        }
        Ok(None)
    }
}

/// Not a control character, except the tab.
const fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// Whether a field may have this name: a token (RFC 9110 section 5.6.2).
#[must_use]
pub fn is_field_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// Whether a field may have this value: no control characters, so neither CR, LF nor NUL.
#[must_use]
pub fn is_field_value(value: &[u8]) -> bool {
    value.iter().all(|&byte| is_text(byte))
}

/// Appends the parts of a head.
///
/// # Errors
///
/// [`Error::OutOfMemory`]; nothing is appended then.
pub(super) fn put(out: &mut Vec<u8>, parts: &[&[u8]]) -> Result<(), Error> {
    let len = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add);
    out.try_reserve(len).map_err(|_| Error::OutOfMemory)?;
    for part in parts {
        out.extend_from_slice(part);
    }
    Ok(())
}

/// Takes a head of HTTP/1.2 or above for one of HTTP/1.1, as it is meant to be (RFC 9110 section 2.5).
///
/// The version stands at the end of a request's first line, and at the start of a response's.
pub fn lower_version(head: &mut [u8]) {
    let line_len = head.iter().position(|&byte| byte == b'\r').unwrap_or_default();
    let Some(line) = head.get_mut(..line_len) else { return };
    let is_response = line.starts_with(b"HTTP/");
    let version = if is_response { line.get_mut(..8) } else { line.last_chunk_mut::<8>().map(<[u8; 8]>::as_mut_slice) };
    if let Some([b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'2'..=b'9']) = version {
        *minor = b'1';
    }
}

/// The names and values of the fields of a head that was read before, in order and without the memory of a table.
pub fn fields_of(head: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    let lines = head.split(|&byte| byte == b'\n').skip(1).map(<[u8]>::trim_ascii);
    lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (name, value) = line.split_at_checked(colon)?;
        Some((str::from_utf8(name).ok()?, value.get(1..)?.trim_ascii()))
    })
}

/// The target of a request whose head was read before, as a path and query: also of a client that sends the whole address
/// (RFC 9112 section 3.2.2).
#[must_use]
pub fn target_of(head: &[u8]) -> Option<&str> {
    let line = head.split(|&byte| byte == b'\r').next()?;
    let target = str::from_utf8(line.split(|&byte| byte == b' ').nth(1)?).ok()?;
    let schemes = ["http://", "https://", "ws://", "wss://"];
    let is_scheme = |scheme: &&str| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let Some(address) = schemes.iter().find(|scheme| is_scheme(scheme)).and_then(|scheme| target.get(scheme.len()..))
    else {
        return Some(target);
    };
    match address.find(['/', '?']).and_then(|at| address.get(at..)) {
        Some(path) => Some(path),
        None => Some("/"),
    }
}

/// The fields of a head, in order.
#[derive(Debug)]
pub struct Fields<'a>(Vec<httparse::Header<'a>>);

impl<'a> Fields<'a> {
    /// Room for as many fields, and then the fields that `parse` has put there and counted.
    pub(super) fn read<T>(
        max_fields: usize,
        parse: impl FnOnce(&mut [httparse::Header<'a>]) -> Result<(T, usize), Error>,
    ) -> Result<(T, Self), Error> {
        let mut fields = filled(httparse::EMPTY_HEADER, max_fields)?;
        let (parsed, count) = parse(&mut fields)?;
        fields.truncate(count);
        Ok((parsed, Self(fields)))
    }

    /// The values of all fields of this name, whatever its letters' case.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// The value of a field that may stand there once.
    ///
    /// # Errors
    ///
    /// `error` if it stands there more than once.
    pub fn single(&self, name: &str, error: Error) -> Result<Option<&'a [u8]>, Error> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() { Err(error) } else { Ok(first) }
    }

    /// The elements of a field that is a list, over all fields of this name (RFC 9110 section 5.6.1).
    pub fn list(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.all(name)
            .filter_map(|value| str::from_utf8(value).ok())
            .flat_map(|value| value.split(','))
            .map(|element| element.trim_matches([' ', '\t']))
            .filter(|element| !element.is_empty())
    }

    /// Whether a list has this element, whatever its letters' case.
    #[must_use]
    pub fn lists(&self, name: &str, element: &str) -> bool {
        self.list(name).any(|found| found.eq_ignore_ascii_case(element))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_at_every_split() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let input = [head, &b"\x81\x00"[..]].concat();
        for cut in 0..=input.len() {
            let mut reader = HeadReader::default();
            let (first, second) = input.split_at(cut);
            let found = match reader.push(first).unwrap() {
                Some(end) => end,
                None => first.len() + reader.push(second).unwrap().unwrap(),
            };
            assert_eq!(found, head.len(), "cut at {cut}");
        }
    }

    #[test]
    fn what_cannot_be_in_a_head_ends_it_at_once() {
        let cases: [&[u8]; 6] = [b"GET /\n", b"GET /\r\rX", b"GET /\rX", b"\x16\x03\x01", b"a\0", b"a\r\n\n"];
        for input in cases {
            assert_eq!(HeadReader::default().push(input), Err(Error::MalformedHead), "{input:x?}");
        }
    }

    #[test]
    fn a_later_version_is_lowered() {
        let cases: [(&[u8], &[u8]); 6] = [
            (b"GET / HTTP/1.2\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"),
            (b"HTTP/1.9 101 HTTP/1.3\r\n\r\n", b"HTTP/1.1 101 HTTP/1.3\r\n\r\n"),
            (b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"),
            (b"GET / HTTP/2.2\r\n\r\n", b"GET / HTTP/2.2\r\n\r\n"),
            (b"GET /\r\nA: HTTP/1.2\r\n\r\n", b"GET /\r\nA: HTTP/1.2\r\n\r\n"),
            (b"\r\n", b"\r\n"),
        ];
        for (head, expected) in cases {
            let mut lowered = head.to_vec();
            lower_version(&mut lowered);
            assert_eq!(lowered, expected);
        }
    }

    #[test]
    fn fields_are_read_again_as_they_were_read() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nEmpty:\r\nX: \t b c: d \t\r\nhost:e\r\n\r\nFrames: f\r\n";
        let found: Vec<_> = fields_of(head).collect();
        assert_eq!(found, [("Host", &b"a"[..]), ("Empty", b""), ("X", b"b c: d"), ("host", b"e")]);
    }

    #[test]
    fn names_and_values() {
        assert!(is_field_name(b"X-Custom_1"));
        for name in [&b""[..], b"a b", b"a:", b"a\r", b"\xE9"] {
            assert!(!is_field_name(name), "{name:x?}");
        }
        assert!(is_field_value("some text\t\u{e9}".as_bytes()));
        for value in [&b"a\r\nSet-Cookie: x"[..], b"a\n", b"a\0", b"\x7F"] {
            assert!(!is_field_value(value), "{value:x?}");
        }
    }
}
