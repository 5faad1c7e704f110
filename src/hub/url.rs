//! Where a client goes: `ws://host:port/path?query` or `wss://...` (RFC 6455 section 3).

#![forbid(unsafe_code)]

use crate::error::Error;

const PORT: u16 = 80;
const TLS_PORT: u16 = 443;

/// A URL, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Url<'a> {
    /// Whether TLS is spoken there.
    pub(super) is_secure: bool,
    /// The value of the Host field: with the port, unless it is the usual one.
    pub(super) host: &'a str,
    /// A name or an address, without the brackets of IPv6.
    pub(super) name: &'a str,
    pub(super) port: u16,
    /// Path and query, as far as they are there: a target has a slash before them if they do not begin with one.
    pub(super) target: &'a str,
}

impl<'a> Url<'a> {
    /// Reads a URL. What characters are in its parts is not looked at.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUrl`].
    pub(super) fn parse(text: &'a str) -> Result<Self, Error> {
        let (scheme, rest) = text.split_once("://").ok_or(Error::InvalidUrl)?;
        let is_secure = scheme.eq_ignore_ascii_case("wss");
        if !is_secure && !scheme.eq_ignore_ascii_case("ws") {
            return Err(Error::InvalidUrl);
        }
        let usual = if is_secure { TLS_PORT } else { PORT };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
        // There is no fragment, and neither the server nor the request has a place for a user's name and password.
        if target.contains('#') || authority.contains('@') {
            return Err(Error::InvalidUrl);
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, digits)) if !digits.contains(']') => (host, port(digits)?.unwrap_or(usual)),
            _ => (authority, usual),
        };
        let name = match host.strip_prefix('[') {
            Some(address) => address.strip_suffix(']').ok_or(Error::InvalidUrl)?,
            None if host.contains(':') => return Err(Error::InvalidUrl),
            None => host,
        };
        if name.is_empty() {
            return Err(Error::InvalidUrl);
        }
        Ok(Self { is_secure, host: if port == usual { host } else { authority }, name, port, target })
    }
}

/// The number behind a colon, if there is one.
fn port(digits: &str) -> Result<Option<u16>, Error> {
    let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
    match digits.parse() {
        _ if digits.is_empty() => Ok(None),
        Ok(port) if is_number && port != 0 => Ok(Some(port)),
        _ => Err(Error::InvalidUrl),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<(&str, &str, u16, &str), Error> {
        Url::parse(text).map(|url| (url.host, url.name, url.port, url.target))
    }

    #[test]
    fn a_url_is_taken_apart() {
        assert_eq!(parsed("ws://example.com"), Ok(("example.com", "example.com", 80, "")));
        assert_eq!(parsed("WS://example.com:80/"), Ok(("example.com", "example.com", 80, "/")));
        assert_eq!(parsed("ws://example.com:/a"), Ok(("example.com", "example.com", 80, "/a")));
        assert_eq!(parsed("ws://a:8002/xxoo?b=c:d/@"), Ok(("a:8002", "a", 8002, "/xxoo?b=c:d/@")));
        assert_eq!(parsed("ws://a?b"), Ok(("a", "a", 80, "?b")));
        assert_eq!(parsed("ws://[::1]/"), Ok(("[::1]", "::1", 80, "/")));
        assert_eq!(parsed("ws://[::1]:81"), Ok(("[::1]:81", "::1", 81, "")));
        assert_eq!(parsed("wss://a:443/"), Ok(("a", "a", 443, "/")));
        assert_eq!(parsed("wss://a:80"), Ok(("a:80", "a", 80, "")));
        assert_eq!((Url::parse("WSS://a").unwrap().is_secure, Url::parse("ws://a").unwrap().is_secure), (true, false));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "a",
            "a:80",
            "http://a",
            "ws:/a",
            "ws://",
            "ws:///a",
            "ws://:80",
            "ws://a:b",
            "ws://a:0",
            "ws://a:+1",
            "ws://a:65536",
            "ws://a/#b",
            "ws://a#",
            "ws://u:p@a/",
            "ws://[::1",
            "ws://[]",
            "ws://::1",
            "ws://::1:80",
            "ws://[::1]8",
        ] {
            assert_eq!(Url::parse(text), Err(Error::InvalidUrl), "{text}");
        }
    }
}
