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
        put(&mut self.0, &[name, b": ", value, b"\r\n"]);
        Ok(())
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
/// [`Error::InvalidKey`] unless `key` is the base64 of 16 bytes.
pub fn write_acceptance(
    key: &[u8],
    subprotocol: Option<&str>,
    extensions: Option<&str>,
    extra: &Extra,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let accept_key = super::accept_key(key)?;
    put(out, &[b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"]);
    put(out, &[b"Sec-WebSocket-Accept: ", &accept_key, b"\r\n"]);
    if let Some(name) = subprotocol {
        put(out, &[b"Sec-WebSocket-Protocol: ", name.as_bytes(), b"\r\n"]);
    }
    if let Some(agreed) = extensions {
        put(out, &[b"Sec-WebSocket-Extensions: ", agreed.as_bytes(), b"\r\n"]);
    }
    put(out, &[extra.as_bytes(), b"\r\n"]);
    Ok(())
}

/// Writes the response that refuses an opening handshake because of `error` and says so, with the fields that its status
/// asks for.
pub fn write_refusal(error: Error, extra: &Extra, out: &mut Vec<u8>) {
    let status = error.http_status();
    let required: &[u8] = match status {
        405 => b"Allow: GET\r\n",
        426 => b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
        _ => b"",
    };
    let fields = [extra.as_bytes(), required, b"Content-Type: text/plain; charset=utf-8\r\n"].concat();
    // To HEAD there is no body, and the field says enough to the others.
    let body = if status == 405 { Vec::new() } else { [error.sentence().as_bytes(), b"\n"].concat() };
    write_response(status, &Extra(fields), &body, out);
}

/// Writes a response after which the connection is closed.
pub fn write_response(status: u16, extra: &Extra, body: &[u8], out: &mut Vec<u8>) {
    // These have no content, and 204 not even a length (RFC 9110 sections 8.6 and 15).
    let body = if matches!(status, 204 | 304) { &[] } else { body };
    let length = if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("HTTP/1.1 {status} {}\r\nConnection: close\r\n{length}", reason_phrase(status));
    put(out, &[head.as_bytes(), extra.as_bytes(), b"\r\n", body]);
}

/// The phrase for the statuses that servers of WebSocket use; that of others may be empty (RFC 9112 section 4).
const fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
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
        let mut fields = vec![httparse::EMPTY_HEADER; max_fields];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(Error::HeadTooLarge),
            _ => return Err(Error::MalformedHead),
        }
        match (response.code, response.version) {
            (Some(status), Some(1)) => Ok(Self { status, fields: Fields::new(response.headers) }),
            _ => Err(Error::MalformedHead),
        }
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
