//! The response of the opening handshake: a server writes it, a client reads and judges it.

#![forbid(unsafe_code)]

use super::head::{Fields, is_field_name, is_field_value, put};
use crate::error::Error;

/// Fields that an application adds to a request or a response.
#[derive(Clone, Debug, Default)]
pub struct Extra(Vec<u8>);

impl Extra {
    /// Adds a field.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidField`] if `name` is no token, `value` has a control character, or the field is one that the
    /// handshake writes itself.
    pub fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        if !is_field_name(name) || !is_field_value(value) || is_of_the_handshake(name) {
            return Err(Error::InvalidField);
        }
        put(&mut self.0, &[name, b": ", value, b"\r\n"])
    }

    /// Whether there is a field of this name.
    fn has(&self, name: &[u8]) -> bool {
        let is_it = |line: &[u8]| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        self.0.split(|&byte| byte == b'\n').any(|line| is_it(line) && line.get(name.len()) == Some(&b':'))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn is_of_the_handshake(name: &[u8]) -> bool {
    const WRITTEN: [&[u8]; 5] = [b"host", b"connection", b"upgrade", b"content-length", b"transfer-encoding"];
    const PREFIX: &[u8] = b"sec-websocket-";
    let has_prefix = name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
    has_prefix || WRITTEN.iter().any(|written| written.eq_ignore_ascii_case(name))
}

/// Writes the response that accepts an opening handshake (RFC 6455 section 4.2.2).
///
/// # Errors
///
/// [`Error::InvalidKey`] unless `key` is the base64 of 16 bytes, or [`Error::OutOfMemory`].
pub fn write_acceptance(
    key: &[u8],
    subprotocol: Option<&str>,
    extensions: Option<&str>,
    extra: &Extra,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let accept_key = super::accept_key(key)?;
    let (protocol_field, protocol, protocol_end) = line(b"Sec-WebSocket-Protocol: ", subprotocol);
    let (extensions_field, extensions, extensions_end) = line(b"Sec-WebSocket-Extensions: ", extensions);
    put(
        out,
        &[
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
            &accept_key,
            b"\r\n",
            protocol_field,
            protocol,
            protocol_end,
            extensions_field,
            extensions,
            extensions_end,
            extra.as_bytes(),
            b"\r\n",
        ],
    )
}

/// The parts of a field that may be missing.
fn line<'a>(name: &'a [u8], value: Option<&'a str>) -> (&'a [u8], &'a [u8], &'a [u8]) {
    value.map_or((b"", b"", b""), |value| (name, value.as_bytes(), b"\r\n"))
}

/// Writes the response that refuses an opening handshake because of `error` and says so, with the fields that its status
/// asks for.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub fn write_refusal(error: Error, extra: &Extra, out: &mut Vec<u8>) -> Result<(), Error> {
    let status = error.http_status();
    let required: &[u8] = match status {
        405 => b"Allow: GET\r\n",
        426 => b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
        _ => b"",
    };
    // To HEAD there is no content, and the field says enough to the others.
    let sentence: &[u8] = if status == 405 { b"" } else { error.sentence().as_bytes() };
    let end: &[u8] = if status == 405 { b"" } else { b"\n" };
    write_any(
        status,
        &[extra.as_bytes(), required],
        Some(TEXT).filter(|_| !extra.has(CONTENT_TYPE)),
        &[sentence, end],
        out,
    )
}

const CONTENT_TYPE: &[u8] = b"Content-Type";
const TEXT: &[u8] = b"Content-Type: text/plain; charset=utf-8\r\n";

/// Writes a response after which the connection is closed. For a request with HEAD the body only tells its length.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub fn write_response(
    status: u16,
    extra: &Extra,
    body: &[u8],
    is_for_head: bool,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let begin = out.len();
    // These have no content (RFC 9110 section 15).
    let body = if matches!(status, 204 | 205 | 304) { &[] } else { body };
    write_any(status, &[extra.as_bytes()], None, &[body], out)?;
    if is_for_head {
        out.truncate(out.len().saturating_sub(body.len()).max(begin));
    }
    Ok(())
}

fn write_any(
    status: u16,
    fields: &[&[u8]],
    content_type: Option<&[u8]>,
    body: &[&[u8]],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let begin = out.len();
    let body_len = body.iter().map(|part| part.len()).fold(0, usize::saturating_add);
    let mut write = || {
        put(out, &[b"HTTP/1.1 ", Decimal::new(status.into()).digits(), b" ", reason_phrase(status).as_bytes()])?;
        put(out, &[b"\r\nConnection: close\r\n"])?;
        // 204 has not even a length (RFC 9110 section 8.6).
        if status != 204 {
            put(out, &[b"Content-Length: ", Decimal::new(body_len).digits(), b"\r\n"])?;
        }
        put(out, fields)?;
        put(out, &[content_type.unwrap_or_default(), b"\r\n"])?;
        put(out, body)
    };
    let written = write();
    if written.is_err() {
        out.truncate(begin);
    }
    written
}

/// A number in decimal digits, without the memory of a string.
struct Decimal {
    digits: [u8; 20],
    begin: usize,
}

impl Decimal {
    fn new(number: usize) -> Self {
        let mut decimal = Self { digits: [b'0'; 20], begin: 20 };
        let mut left = number;
        for (at, digit) in decimal.digits.iter_mut().enumerate().rev() {
            if left > 0 || decimal.begin == 20 {
                *digit = b"0123456789".get(left % 10).copied().unwrap_or(b'0');
                decimal.begin = at;
                left /= 10;
            }
        }
        decimal
    }

    fn digits(&self) -> &[u8] {
        self.digits.get(self.begin..).unwrap_or_default()
    }
}

/// The phrase for the statuses that servers of WebSocket use; that of others may be empty (RFC 9112 section 4).
const fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        205 => "Reset Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "",
    }
}

/// The head of a response.
#[derive(Debug)]
pub struct Response<'a> {
    /// The status, for instance 101.
    pub status: u16,
    /// The fields.
    pub fields: Fields<'a>,
}

impl<'a> Response<'a> {
    /// Reads a head up to its blank line.
    ///
    /// # Errors
    ///
    /// [`Error::MalformedHead`], or [`Error::HeadTooLarge`] if it has more than `max_fields` fields.
    pub fn parse(head: &'a [u8], max_fields: usize) -> Result<Self, Error> {
        let (status, fields) = Fields::read(max_fields, |fields| {
            let mut response = httparse::Response::new(fields);
            match response.parse(head) {
                Ok(httparse::Status::Complete(_)) => {}
                Err(httparse::Error::TooManyHeaders) => return Err(Error::HeadTooLarge),
                _ => return Err(Error::MalformedHead),
            }
            match (response.code, response.version) {
                (Some(status), Some(1)) => Ok((status, response.headers.len())),
                _ => Err(Error::MalformedHead),
            }
        })?;
        Ok(Self { status, fields })
    }

    /// Whether the final response is still to come (RFC 9110 section 15.2).
    #[must_use]
    pub const fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }

    /// Checks that this answers the request with `key` that offered `subprotocols` (RFC 6455 section 4.1). Its extensions
    /// are for [`super::check_response`].
    ///
    /// # Errors
    ///
    /// [`Error::NotSwitching`], [`Error::ResponseNotUpgrade`], [`Error::InvalidAccept`] or
    /// [`Error::UnofferedSubprotocol`].
    pub fn check(&self, key: &[u8], subprotocols: &[String]) -> Result<(), Error> {
        if self.status != 101 {
            return Err(Error::NotSwitching);
        }
        let upgrade = self.fields.single("Upgrade", Error::ResponseNotUpgrade)?.unwrap_or_default();
        if !upgrade.eq_ignore_ascii_case(b"websocket") || !self.fields.lists("Connection", "upgrade") {
            return Err(Error::ResponseNotUpgrade);
        }
        let accept_key = self.fields.single("Sec-WebSocket-Accept", Error::InvalidAccept)?;
        if accept_key != Some(&super::accept_key(key)?) {
            return Err(Error::InvalidAccept);
        }
        match self.fields.single("Sec-WebSocket-Protocol", Error::UnofferedSubprotocol)? {
            Some(name) if !subprotocols.iter().any(|offered| offered.as_bytes() == name) => {
                Err(Error::UnofferedSubprotocol)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 101, 1234567890, usize::MAX] {
            assert_eq!(Decimal::new(number).digits(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn a_field_is_found_whatever_its_letters_case() {
        let mut extra = Extra::default();
        extra.add(b"X-Content-Type", b"Content-Type: a").unwrap();
        assert!(!extra.has(CONTENT_TYPE));
        extra.add(b"content-type", b"text/html").unwrap();
        assert!(extra.has(CONTENT_TYPE));
    }
}
