//! Close codes and the payload of a close frame (RFC 6455 sections 5.5.1 and 7.4).

#![forbid(unsafe_code)]

use crate::error::Error;
use crate::frame::{ControlPayload, MAX_CONTROL_PAYLOAD_LEN};
use crate::utf8;

/// The lowest close code there is: lower numbers are HTTP statuses.
pub(crate) const FIRST_CODE: u16 = 1000;
/// Stands for a close frame without a code. It is never sent (RFC 6455 section 7.4.1).
pub const NO_STATUS: u16 = 1005;
/// Stands for a connection that ended without a close frame. It is never sent (RFC 6455 section 7.4.1).
pub const ABNORMAL: u16 = 1006;
/// Stands for a TLS handshake that failed. It is never sent (RFC 6455 section 7.4.1).
pub const TLS_FAILED: u16 = 1015;

/// The code and the reason of a close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close<'a> {
    /// The close code; [`NO_STATUS`] if there is none.
    pub code: u16,
    /// Why, for the log: UTF-8 of at most 123 bytes.
    pub reason: &'a [u8],
}

/// Whether a code may be sent: those of RFC 6455 section 7.4.1 and of the registry it set up, of libraries and
/// frameworks (3000-3999), and of applications (4000-4999).
#[must_use]
pub const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Whether a code from 1000 to 4999 is not one of those that stand for something that is no close frame.
pub(crate) const fn is_no_stand_in(code: u16) -> bool {
    matches!(code, 1000..=4999) && !matches!(code, NO_STATUS | ABNORMAL | TLS_FAILED)
}

impl<'a> Close<'a> {
    /// Reads the payload of a close frame.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidClosePayload`], [`Error::InvalidCloseCode`] or [`Error::InvalidUtf8`].
    pub fn parse(payload: &'a [u8]) -> Result<Self, Error> {
        Self::parse_if(payload, may_be_sent)
    }

    /// As [`Close::parse`], with other codes.
    pub(crate) fn parse_if(payload: &'a [u8], is_allowed: fn(u16) -> bool) -> Result<Self, Error> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            let empty = Self { code: NO_STATUS, reason: payload };
            return if payload.is_empty() { Ok(empty) } else { Err(Error::InvalidClosePayload) };
        };
        let code = u16::from_be_bytes(*code);
        if !is_allowed(code) {
            return Err(Error::InvalidCloseCode);
        }
        if utf8::check(reason)? < reason.len() {
            return Err(Error::InvalidUtf8);
        }
        Ok(Self { code, reason })
    }

    /// The payload of a close frame with this code and reason: empty for [`NO_STATUS`].
    ///
    /// # Errors
    ///
    /// [`Error::SendInvalidCloseCode`], [`Error::SendLongCloseReason`] or [`Error::SendInvalidUtf8`].
    pub fn build(&self) -> Result<ControlPayload, Error> {
        if self.code == NO_STATUS && self.reason.is_empty() {
            return Ok(ControlPayload::new(&[]));
        }
        if !may_be_sent(self.code) {
            return Err(Error::SendInvalidCloseCode);
        }
        if utf8::check(self.reason) != Ok(self.reason.len()) {
            return Err(Error::SendInvalidUtf8);
        }
        let code = self.code.to_be_bytes();
        if code.len().saturating_add(self.reason.len()) as u64 > MAX_CONTROL_PAYLOAD_LEN {
            return Err(Error::SendLongCloseReason);
        }
        Ok(ControlPayload::new(&[&code, self.reason]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_judged() {
        for code in 0..=u16::MAX {
            let allowed = match code {
                1004..=1006 | 1015..=2999 => false,
                1000..=4999 => true,
                _ => false,
            };
            let payload = code.to_be_bytes();
            let expected = if allowed { Ok(Close { code, reason: b"" }) } else { Err(Error::InvalidCloseCode) };
            assert_eq!(Close::parse(&payload), expected, "{code}");
            let built = Close { code, reason: b"bye" }.build();
            assert_eq!(built.is_ok(), allowed, "{code}");
        }
    }

    #[test]
    fn payloads() {
        let (error, utf8) = (Err(Error::InvalidClosePayload), Err(Error::InvalidUtf8));
        assert_eq!(Close::parse(b""), Ok(Close { code: NO_STATUS, reason: b"" }));
        assert_eq!(Close::parse(b"\x03"), error);
        assert_eq!(Close::parse(b"\x03\xE8bye"), Ok(Close { code: 1000, reason: b"bye" }));
        assert_eq!(Close::parse(b"\x03\xE8\xC0\x80"), utf8);
        assert_eq!(Close::parse(b"\x03\xE8\xE2\x82"), utf8, "cut inside a character");
    }

    #[test]
    fn what_may_not_be_sent() {
        let build = |code, reason| Close { code, reason }.build().map(|payload| payload.bytes().to_vec());
        assert_eq!(build(NO_STATUS, b""), Ok(vec![]));
        assert_eq!(build(NO_STATUS, b"why"), Err(Error::SendInvalidCloseCode));
        assert_eq!(build(1000, &[b'a'; 123]).map(|payload| payload.len()), Ok(125));
        assert_eq!(build(1000, &[b'a'; 124]), Err(Error::SendLongCloseReason));
        assert_eq!(build(1000, b"\xFF"), Err(Error::SendInvalidUtf8));
    }
}
