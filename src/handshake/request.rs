//! The request of the opening handshake: a server reads and judges it, a client writes it.

#![forbid(unsafe_code)]

use super::head::{Fields, put};
use super::response::Extra;
use crate::error::Error;

/// The head of a request, as far as it is HTTP. Whether it is an opening handshake is for [`Request::check`].
#[derive(Debug)]
pub struct Request<'a> {
    /// The method, for instance GET.
    pub method: &'a str,
    /// The request target, for instance `/chat?room=1`.
    pub target: &'a str,
    /// The fields.
    pub fields: Fields<'a>,
}

impl<'a> Request<'a> {
    /// Reads a head up to its blank line.
    ///
    /// # Errors
    ///
    /// [`Error::MalformedHead`], or [`Error::HeadTooLarge`] if it has more than `max_fields` fields.
    pub fn parse(head: &'a [u8], max_fields: usize) -> Result<Self, Error> {
        let ((method, target), fields) = Fields::read(max_fields, |fields| {
            let mut request = httparse::Request::new(fields);
            match request.parse(head) {
                Ok(httparse::Status::Complete(_)) => {}
                Err(httparse::Error::TooManyHeaders) => return Err(Error::HeadTooLarge),
                _ => return Err(Error::MalformedHead),
            }
            match (request.method, request.path, request.version) {
                (Some(method), Some(target), Some(1)) => Ok(((method, target), request.headers.len())),
                (.., Some(0)) => Err(Error::Http10),
                _ => Err(Error::MalformedHead),
            }
        })?;
        Ok(Self { method, target, fields })
    }

    /// Whether the client asks for WebSocket at all, rightly or not.
    #[must_use]
    pub fn asks_for_upgrade(&self) -> bool {
        self.fields.lists("Upgrade", "websocket")
    }

    /// Checks that this is an opening handshake (RFC 6455 section 4.2.1) and returns its Sec-WebSocket-Key.
    ///
    /// If `origins` has any, the request must have exactly one Origin, and it must be among them.
    ///
    /// # Errors
    ///
    /// One whose code is [`crate::error::ErrorCode::Handshake`]; [`Error::http_status`] is the status to refuse with.
    pub fn check(&self, origins: &[String]) -> Result<&'a [u8], Error> {
        if self.method != "GET" {
            return Err(Error::MethodNotGet);
        }
        if self.has_body() {
            return Err(Error::UnexpectedBody);
        }
        if self.fields.single("Host", Error::NoHost)?.is_none() {
            return Err(Error::NoHost);
        }
        if !self.asks_for_upgrade() {
            return Err(Error::NotAnUpgrade);
        }
        if !self.fields.lists("Connection", "upgrade") {
            return Err(Error::NotConnectionUpgrade);
        }
        if self.fields.single("Sec-WebSocket-Version", Error::UnsupportedVersion)? != Some(b"13") {
            return Err(Error::UnsupportedVersion);
        }
        let key = self.fields.single("Sec-WebSocket-Key", Error::InvalidKey)?.ok_or(Error::InvalidKey)?;
        super::accept_key(key)?;
        let origin = self.fields.single("Origin", Error::OriginRefused)?;
        if !origins.is_empty() && !origins.iter().any(|allowed| Some(allowed.as_bytes()) == origin) {
            return Err(Error::OriginRefused);
        }
        Ok(key)
    }

    /// The first of `preferred` that the client offers.
    #[must_use]
    pub fn choose_subprotocol<'b>(&self, preferred: &'b [String]) -> Option<&'b str> {
        preferred.iter().find(|&name| self.offers_subprotocol(name)).map(String::as_str)
    }

    /// Whether the client offers this subprotocol. Letter case matters (RFC 6455 section 11.5).
    #[must_use]
    pub fn offers_subprotocol(&self, name: &str) -> bool {
        self.fields.list("Sec-WebSocket-Protocol").any(|offered| offered == name)
    }

    fn has_body(&self) -> bool {
        self.fields.all("Transfer-Encoding").next().is_some()
            || self.fields.all("Content-Length").any(|length| length != b"0")
    }
}

/// Writes the request of a client (RFC 6455 section 4.1).
///
/// # Errors
///
/// [`Error::InvalidHost`] if `host` is anything but a name or an address with a port; [`Error::InvalidTarget`] if `target`
/// does not begin with a slash, or has anything but visible ASCII characters, or a `#`; [`Error::OutOfMemory`].
pub fn write_request(
    host: &[u8],
    target: &[u8],
    key: &[u8],
    subprotocols: &[String],
    extensions: Option<&str>,
    extra: &Extra,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    check_destination(host, target)?;
    let begin = out.len();
    let mut write = || {
        put(out, &[b"GET ", target, b" HTTP/1.1\r\nHost: ", host])?;
        put(out, &[b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"])?;
        put(out, &[b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ", key, b"\r\n"])?;
        for (number, name) in subprotocols.iter().enumerate() {
            put(out, &[if number == 0 { b"Sec-WebSocket-Protocol: " } else { b", " }, name.as_bytes()])?;
        }
        if !subprotocols.is_empty() {
            put(out, &[b"\r\n"])?;
        }
        if let Some(offers) = extensions {
            put(out, &[b"Sec-WebSocket-Extensions: ", offers.as_bytes(), b"\r\n"])?;
        }
        put(out, &[extra.as_bytes(), b"\r\n"])
    };
    let written = write();
    if written.is_err() {
        out.truncate(begin);
    }
    written
}

/// Checks what goes into the Host field and the first line of a request. A fragment is not sent (RFC 6455 section 3), and
/// neither are a scheme or a user's name (RFC 9110 section 7.2).
///
/// # Errors
///
/// [`Error::InvalidHost`], [`Error::InvalidTarget`].
pub fn check_destination(host: &[u8], target: &[u8]) -> Result<(), Error> {
    if host.is_empty() || !host.iter().all(|byte| byte.is_ascii_graphic() && !b"#/?@\\".contains(byte)) {
        return Err(Error::InvalidHost);
    }
    if !target.starts_with(b"/") || !target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#') {
        return Err(Error::InvalidTarget);
    }
    Ok(())
}
