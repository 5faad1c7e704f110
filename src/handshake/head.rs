//! The head of an HTTP message: where it ends, and its fields (RFC 9112).

#![forbid(unsafe_code)]

use std::str;

use crate::error::Error;

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
pub(super) fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// The fields of a head, in order.
#[derive(Debug)]
pub struct Fields<'a>(Vec<httparse::Header<'a>>);

impl<'a> Fields<'a> {
    pub(super) fn new(fields: &[httparse::Header<'a>]) -> Self {
        Self(fields.to_vec())
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
