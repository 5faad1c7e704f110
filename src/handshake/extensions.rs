//! The field Sec-WebSocket-Extensions: offers of permessage-deflate, and the answers (RFC 6455 section 9.1, RFC 7692
//! section 7.1).

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt::Write as _;

use super::head::is_field_name;
use crate::deflate::{MAX_WINDOW_BITS, MIN_COMPRESSION_WINDOW_BITS, MIN_WINDOW_BITS, Parameters};
use crate::error::Error;
use crate::memory::{collected, push};

const PERMESSAGE_DEFLATE: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";
/// As much as all of it takes, with separators and values.
const TEXT_LEN: usize = 160;

/// What a server answers to the first offer of permessage-deflate that it can accept in the values of a request's
/// fields, or `None` if there is none.
///
/// `wanted` has the largest windows and whether contexts are taken over, as far as the server can choose. An offer with
/// a parameter that is unknown, stands twice, has a wrong value or cannot be honoured is declined.
///
/// # Errors
///
/// [`Error::MalformedExtensions`] or [`Error::OutOfMemory`].
pub fn accept_offer<'a>(
    mut values: impl Iterator<Item = &'a [u8]>,
    wanted: Parameters,
) -> Result<Option<(Parameters, String)>, Error> {
    for offer in extensions(&mut values)? {
        if offer.name == PERMESSAGE_DEFLATE
            && let Some((agreed, answer)) = Deflate::read(&offer).and_then(|offer| offer.accepted(wanted))
        {
            return Ok(Some((agreed, answer.to_text()?)));
        }
    }
    Ok(None)
}

/// What a client offers to get what is `wanted`. It asks for a window of the server only if that is smaller than the largest:
/// many servers answer every offer alike. That it would keep to a smaller window if it were asked, it always says.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub fn offer(wanted: Parameters) -> Result<String, Error> {
    Deflate {
        server_no_context_takeover: wanted.server_no_context_takeover,
        client_no_context_takeover: wanted.client_no_context_takeover,
        server_max_window_bits: Some(wanted.server_max_window_bits).filter(|&bits| bits < MAX_WINDOW_BITS),
        client_max_window_bits: Some(None),
    }
    .to_text()
}

/// What a server has agreed to in the values of a response's fields; `None` if nothing, or if nothing was `wanted`.
///
/// # Errors
///
/// [`Error::MalformedExtensions`], [`Error::UnofferedExtension`], [`Error::InvalidDeflateResponse`] or
/// [`Error::OutOfMemory`].
pub fn check_response<'a>(
    mut values: impl Iterator<Item = &'a [u8]>,
    wanted: Option<Parameters>,
) -> Result<Option<Parameters>, Error> {
    read_response(&mut values, wanted, Deflate::agreed)
}

/// What a server itself has agreed to in the values of its response's fields. Its own messages refer no further back than
/// is `wanted`.
///
/// # Errors
///
/// As [`check_response`].
pub fn read_own_response<'a>(
    mut values: impl Iterator<Item = &'a [u8]>,
    wanted: Option<Parameters>,
) -> Result<Option<Parameters>, Error> {
    read_response(&mut values, wanted, Deflate::stated)
}

fn read_response<'a>(
    values: &mut dyn Iterator<Item = &'a [u8]>,
    wanted: Option<Parameters>,
    read: fn(&Deflate, Parameters) -> Option<Parameters>,
) -> Result<Option<Parameters>, Error> {
    let answered = extensions(values)?;
    let Some((answer, others)) = answered.split_first() else { return Ok(None) };
    match wanted {
        Some(wanted) if answer.name == PERMESSAGE_DEFLATE && others.is_empty() => {
            let agreed = Deflate::read(answer).and_then(|answer| read(&answer, wanted));
            agreed.map(Some).ok_or(Error::InvalidDeflateResponse)
        }
        _ => Err(Error::UnofferedExtension),
    }
}

/// The parameters of permessage-deflate as they stand in an offer or an answer.
#[derive(Default)]
struct Deflate {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// In an offer it may stand without a value.
    client_max_window_bits: Option<Option<u8>>,
}

impl Deflate {
    /// `None` if a parameter is unknown, stands twice or has a wrong value.
    fn read(extension: &Extension<'_>) -> Option<Self> {
        let mut deflate = Self::default();
        for (name, value) in &extension.parameters {
            let is_new = match (*name, value) {
                (SERVER_NO_CONTEXT_TAKEOVER, None) => !std::mem::replace(&mut deflate.server_no_context_takeover, true),
                (CLIENT_NO_CONTEXT_TAKEOVER, None) => !std::mem::replace(&mut deflate.client_no_context_takeover, true),
                (SERVER_MAX_WINDOW_BITS, Some(value)) => {
                    deflate.server_max_window_bits.replace(window_bits(value)?).is_none()
                }
                (CLIENT_MAX_WINDOW_BITS, value) => {
                    let bits = value.as_deref().map(window_bits);
                    let bits = if bits == Some(None) { return None } else { bits.flatten() };
                    deflate.client_max_window_bits.replace(bits).is_none()
                }
                _ => false,
            };
            if !is_new {
                return None;
            }
        }
        Some(deflate)
    }

    /// As an offer, what a server agrees to and how it says so.
    fn accepted(&self, wanted: Parameters) -> Option<(Parameters, Self)> {
        let client_limit = self.client_max_window_bits.map(|bits| bits.unwrap_or(MAX_WINDOW_BITS));
        let agreed = Parameters {
            server_no_context_takeover: wanted.server_no_context_takeover || self.server_no_context_takeover,
            // In an offer that is a hint, and every context that is not taken over is memory saved.
            client_no_context_takeover: wanted.client_no_context_takeover || self.client_no_context_takeover,
            server_max_window_bits: wanted
                .server_max_window_bits
                .min(self.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS)),
            // Whoever does not offer it need not understand it (RFC 7692 section 7.1.2.2).
            client_max_window_bits: client_limit
                .map_or(MAX_WINDOW_BITS, |bits| bits.min(wanted.client_max_window_bits)),
        };
        if agreed.server_max_window_bits < MIN_COMPRESSION_WINDOW_BITS {
            return None;
        }
        let answer = Self {
            server_no_context_takeover: agreed.server_no_context_takeover,
            client_no_context_takeover: agreed.client_no_context_takeover,
            // Whoever offers it has to be told, also that it is the largest (RFC 7692 section 7.1.2.1).
            server_max_window_bits: Some(agreed.server_max_window_bits)
                .filter(|&bits| bits < MAX_WINDOW_BITS || self.server_max_window_bits.is_some()),
            client_max_window_bits: Some(Some(agreed.client_max_window_bits))
                .filter(|&bits| bits < Some(MAX_WINDOW_BITS)),
        };
        Some((agreed, answer))
    }

    /// As an answer, what it means for the server that gave it. It may always refer less far back.
    fn stated(&self, wanted: Parameters) -> Option<Parameters> {
        let server_max_window_bits = self.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS);
        Some(Parameters {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: server_max_window_bits.min(wanted.server_max_window_bits),
            client_max_window_bits: self.client_max_window_bits.map_or(Some(MAX_WINDOW_BITS), |bits| bits)?,
        })
    }

    /// As an answer, what it means for a client that offered what it `wanted`; `None` if it is not that. The client itself
    /// never refers further back than it wants to.
    fn agreed(&self, wanted: Parameters) -> Option<Parameters> {
        let server_max_window_bits = self.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS);
        let client_max_window_bits = self.client_max_window_bits.unwrap_or(Some(MAX_WINDOW_BITS))?;
        let is_offered = server_max_window_bits <= wanted.server_max_window_bits
            && (self.server_no_context_takeover || !wanted.server_no_context_takeover);
        is_offered.then_some(Parameters {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover || wanted.client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits: client_max_window_bits.min(wanted.client_max_window_bits),
        })
    }

    /// As it stands in the field.
    fn to_text(&self) -> Result<String, Error> {
        let mut text = String::new();
        text.try_reserve(TEXT_LEN).map_err(|_| Error::OutOfMemory)?;
        // Within what is reserved, and a String takes whatever is written.
        let _ = write!(text, "{self}");
        Ok(text)
    }
}

impl std::fmt::Display for Deflate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(PERMESSAGE_DEFLATE)?;
        if self.server_no_context_takeover {
            write!(f, "; {SERVER_NO_CONTEXT_TAKEOVER}")?;
        }
        if self.client_no_context_takeover {
            write!(f, "; {CLIENT_NO_CONTEXT_TAKEOVER}")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; {SERVER_MAX_WINDOW_BITS}={bits}")?;
        }
        match self.client_max_window_bits {
            Some(Some(bits)) => write!(f, "; {CLIENT_MAX_WINDOW_BITS}={bits}"),
            Some(None) => write!(f, "; {CLIENT_MAX_WINDOW_BITS}"),
            None => Ok(()),
        }
    }
}

/// 8 to 15, in decimal without leading zeroes (RFC 7692 section 7.1.2.1).
fn window_bits(value: &str) -> Option<u8> {
    let bits = value.parse().ok().filter(|bits| (MIN_WINDOW_BITS..=MAX_WINDOW_BITS).contains(bits))?;
    (value.starts_with(|first: char| ('1'..='9').contains(&first))).then_some(bits)
}

/// One element of the field: a name, and parameters with or without a value.
struct Extension<'a> {
    name: &'a str,
    parameters: Vec<(&'a str, Option<Cow<'a, str>>)>,
}

/// The elements of all fields, in order.
fn extensions<'a>(values: &mut dyn Iterator<Item = &'a [u8]>) -> Result<Vec<Extension<'a>>, Error> {
    let mut found = Vec::new();
    for value in values {
        let value = std::str::from_utf8(value).map_err(|_| Error::MalformedExtensions)?;
        for element in split(value, ',').map(trim).filter(|element| !element.is_empty()) {
            push(&mut found, Extension::read(element)?)?;
        }
    }
    Ok(found)
}

impl<'a> Extension<'a> {
    fn read(element: &'a str) -> Result<Self, Error> {
        let mut parts = split(element, ';').map(trim);
        let name = parts.next().filter(|name| is_field_name(name.as_bytes())).ok_or(Error::MalformedExtensions)?;
        let parameters = collected(parts.map(|parameter| {
            let (name, value) = match parameter.split_once('=') {
                Some((name, value)) => (trim(name), Some(unquoted(trim(value))?)),
                None => (parameter, None),
            };
            if is_field_name(name.as_bytes()) { Ok((name, value)) } else { Err(Error::MalformedExtensions) }
        }))?;
        Ok(Self { name, parameters })
    }
}

/// A value as it is meant. Quotes may only be around a token, but others than the peer who does that have no harm of it.
fn unquoted(value: &str) -> Result<Cow<'_, str>, Error> {
    match value.strip_prefix('"') {
        None if is_field_name(value.as_bytes()) => Ok(Cow::Borrowed(value)),
        None => Err(Error::MalformedExtensions),
        Some(quoted) => until_quote(quoted).map(Cow::Owned),
    }
}

/// What stands before the closing quote, behind which nothing may stand.
fn until_quote(quoted: &str) -> Result<String, Error> {
    let mut unescaped = String::new();
    unescaped.try_reserve(quoted.len()).map_err(|_| Error::OutOfMemory)?;
    let mut rest = quoted.chars();
    loop {
        match rest.next().ok_or(Error::MalformedExtensions)? {
            '"' if rest.as_str().is_empty() => return Ok(unescaped),
            '"' => return Err(Error::MalformedExtensions),
            '\\' => unescaped.push(rest.next().ok_or(Error::MalformedExtensions)?),
            c => unescaped.push(c),
        }
    }
}

fn trim(element: &str) -> &str {
    element.trim_matches([' ', '\t'])
}

/// The parts of `text` between separators that do not stand in quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut in_quotes, mut escaped) = (false, false);
    text.split(move |c| {
        if c == '"' && !escaped {
            in_quotes = !in_quotes;
        }
        escaped = in_quotes && !escaped && c == '\\';
        c == separator && !in_quotes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Parameters = Parameters {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    const SMALL: Parameters = Parameters { server_max_window_bits: 12, client_max_window_bits: 11, ..WANTED };

    fn answer(field: &str, wanted: Parameters) -> Option<String> {
        let agreed = accept_offer([field.as_bytes()].into_iter(), wanted).unwrap();
        agreed.map(|(_, answer)| answer)
    }

    #[test]
    fn offers_are_answered() {
        let cases = [
            ("permessage-deflate", WANTED, "permessage-deflate"),
            ("permessage-deflate", SMALL, "permessage-deflate; server_max_window_bits=12"),
            ("permessage-deflate; server_max_window_bits=15", WANTED, "permessage-deflate; server_max_window_bits=15"),
            ("permessage-deflate; client_max_window_bits", WANTED, "permessage-deflate"),
            (
                "permessage-deflate; client_max_window_bits",
                SMALL,
                "permessage-deflate; server_max_window_bits=12; client_max_window_bits=11",
            ),
            (
                "permessage-deflate; client_max_window_bits=9; server_max_window_bits=10",
                SMALL,
                "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9",
            ),
            (
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                WANTED,
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            ),
            (
                "permessage-deflate",
                Parameters { server_no_context_takeover: true, client_no_context_takeover: true, ..WANTED },
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            ),
            (
                "permessage-deflate; server_max_window_bits=\"10\"",
                WANTED,
                "permessage-deflate; server_max_window_bits=10",
            ),
            (
                "permessage-deflate;server_max_window_bits = \"1\\0\"",
                WANTED,
                "permessage-deflate; server_max_window_bits=10",
            ),
            ("x-other; a=\"b, permessage-deflate\", permessage-deflate", WANTED, "permessage-deflate"),
            (
                "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=9",
                WANTED,
                "permessage-deflate; server_max_window_bits=9",
            ),
            (" , permessage-deflate ,, ", WANTED, "permessage-deflate"),
        ];
        for (field, wanted, expected) in cases {
            assert_eq!(answer(field, wanted).as_deref(), Some(expected), "{field}");
        }
    }

    #[test]
    fn offers_that_cannot_be_honoured_are_declined() {
        let parameters = [
            "unknown",
            "unknown=1",
            "server_no_context_takeover=1",
            "server_no_context_takeover; server_no_context_takeover",
            "client_no_context_takeover=true",
            "server_max_window_bits",
            "server_max_window_bits=7",
            "server_max_window_bits=8",
            "server_max_window_bits=16",
            "server_max_window_bits=010",
            "server_max_window_bits=+9",
            "server_max_window_bits=1000000000000000000000",
            "server_max_window_bits=10; server_max_window_bits=10",
            "client_max_window_bits=x",
            "client_max_window_bits=\" 9\"",
            "client_max_window_bits=7",
            "client_max_window_bits; client_max_window_bits",
            "client_max_window_bits=9; client_max_window_bits",
            "SERVER_NO_CONTEXT_TAKEOVER",
        ];
        for parameter in parameters {
            let offer = format!("permessage-deflate; {parameter}");
            assert_eq!(answer(&offer, WANTED), None, "{offer}");
            assert_eq!(
                answer(&format!("{offer}, permessage-deflate"), WANTED).as_deref(),
                Some("permessage-deflate"),
                "{offer}"
            );
        }
        assert_eq!(answer("x-webkit-deflate-frame", WANTED), None);
    }

    #[test]
    fn what_is_no_list_of_extensions_is_refused() {
        let fields = [
            "permessage deflate",
            "permessage-deflate;",
            "permessage-deflate; =",
            "permessage-deflate; a=",
            "permessage-deflate; a=b c",
            "permessage-deflate; a=\"",
            "permessage-deflate; a=\"b",
            "permessage-deflate; a=\"b\\\"",
            "permessage-deflate; a=\"b\"c",
            "; a",
            "\u{e9}",
        ];
        for field in fields {
            let refused = accept_offer([field.as_bytes()].into_iter(), WANTED);
            assert_eq!(refused.err(), Some(Error::MalformedExtensions), "{field}");
        }
    }

    #[test]
    fn a_client_agrees_to_what_it_offered() {
        let agreed = |field: &str, wanted| check_response([field.as_bytes()].into_iter(), Some(wanted));
        assert_eq!(agreed("", WANTED), Ok(None));
        assert_eq!(agreed("permessage-deflate", WANTED), Ok(Some(WANTED)));
        let smaller = agreed("permessage-deflate; server_max_window_bits=12", SMALL);
        assert_eq!(smaller, Ok(Some(SMALL)), "a client keeps to the window it wants");
        let any = agreed("permessage-deflate; server_max_window_bits=12; client_max_window_bits=15", SMALL);
        assert_eq!(any, Ok(Some(SMALL)), "a server may name a larger one");
        let restricted =
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=8";
        assert_eq!(
            agreed(restricted, WANTED),
            Ok(Some(Parameters {
                server_no_context_takeover: true,
                client_no_context_takeover: true,
                client_max_window_bits: 8,
                ..WANTED
            }))
        );
        let no_takeover = Parameters { server_no_context_takeover: true, ..WANTED };
        let cases = [
            ("permessage-deflate", SMALL),
            ("permessage-deflate; server_max_window_bits=13", SMALL),
            ("permessage-deflate; client_max_window_bits", WANTED),
            ("permessage-deflate", no_takeover),
            ("permessage-deflate; unknown", WANTED),
        ];
        for (field, wanted) in cases {
            assert_eq!(agreed(field, wanted), Err(Error::InvalidDeflateResponse), "{field}");
        }
        for field in ["x-other", "permessage-deflate, permessage-deflate", "permessage-deflate, x-other"] {
            assert_eq!(agreed(field, WANTED), Err(Error::UnofferedExtension), "{field}");
        }
        let unasked = check_response([&b"permessage-deflate"[..]].into_iter(), None);
        assert_eq!(unasked, Err(Error::UnofferedExtension));
    }

    #[test]
    fn a_server_reads_its_own_answer_as_it_gave_it() {
        for offered in ["permessage-deflate", "permessage-deflate; client_max_window_bits; server_no_context_takeover"]
        {
            for wanted in [WANTED, SMALL] {
                let (agreed, answer) = accept_offer([offered.as_bytes()].into_iter(), wanted).unwrap().unwrap();
                let read = read_own_response([answer.as_bytes()].into_iter(), Some(wanted));
                assert_eq!(read, Ok(Some(agreed)), "{answer}");
            }
        }
        let larger = read_own_response([&b"permessage-deflate"[..]].into_iter(), Some(SMALL));
        assert_eq!(larger, Ok(Some(Parameters { client_max_window_bits: 15, ..SMALL })));
    }

    #[test]
    fn offers_say_what_is_wanted() {
        assert_eq!(offer(WANTED).unwrap(), "permessage-deflate; client_max_window_bits");
        assert_eq!(
            offer(SMALL).unwrap(),
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits",
            "how far its own messages refer is the client's own affair"
        );
        let all = Parameters { server_no_context_takeover: true, client_no_context_takeover: true, ..SMALL };
        assert!(offer(all).unwrap().len() + CLIENT_MAX_WINDOW_BITS.len() <= TEXT_LEN);
    }
}
