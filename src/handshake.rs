//! The opening handshake (RFC 6455 section 4): reading a request or a response, and writing the answer.

#![forbid(unsafe_code)]

mod extensions;
mod head;
mod request;
mod response;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use sha1::{Digest as _, Sha1};

use crate::error::Error;

pub use extensions::{accept_offer, check_response, offer, read_own_response};
pub use head::{Fields, HeadReader, fields_of, is_field_name, is_field_value, lower_version, target_of};
pub use request::{Request, check_destination, write_request};
pub use response::{Extra, Response, write_acceptance, write_refusal, write_response};

/// Length in bytes of a Sec-WebSocket-Key value: 16 bytes in base64.
pub const KEY_LEN: usize = 24;
/// Length in bytes of a Sec-WebSocket-Accept value: 20 bytes of SHA-1 in base64.
pub const ACCEPT_KEY_LEN: usize = 28;

/// Length in bytes of the nonce that a Sec-WebSocket-Key encodes.
pub const NONCE_LEN: usize = 16;
/// What is appended to the key before hashing (RFC 6455 section 1.3). Its letters are upper case.
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Reads what RFC 6455 itself shows as a key in section 4.1: a last character of which bits are set that mean nothing.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// Computes the Sec-WebSocket-Accept value that answers a Sec-WebSocket-Key (RFC 6455 section 4.2.2).
///
/// `key` is the field's value without the white space around it.
///
/// # Errors
///
/// [`Error::InvalidKey`] unless `key` is the base64 of 16 bytes.
pub fn accept_key(key: &[u8]) -> Result<[u8; ACCEPT_KEY_LEN], Error> {
    let mut nonce = [0; NONCE_LEN];
    if LENIENT.decode_slice(key, &mut nonce) != Ok(NONCE_LEN) {
        return Err(Error::InvalidKey);
    }
    let digest = Sha1::new().chain_update(key).chain_update(MAGIC).finalize();
    let mut accept_key = [0; ACCEPT_KEY_LEN];
    match STANDARD.encode_slice(digest, &mut accept_key) {
        Ok(ACCEPT_KEY_LEN) => Ok(accept_key),
        _ => Err(Error::OutputTooSmall),
    }
}

/// The Sec-WebSocket-Key for 16 random bytes (RFC 6455 section 4.1).
#[must_use]
pub fn key(nonce: [u8; NONCE_LEN]) -> [u8; KEY_LEN] {
    let mut key = [0; KEY_LEN];
    // 16 bytes always are 24 characters.
    let _ = STANDARD.encode_slice(nonce, &mut key);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 sections 1.3 and 4.2.2.
    #[test]
    fn answers_the_key_of_the_rfc() {
        assert_eq!(accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), Ok(*b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    }

    /// RFC 6455 section 4.1, item 7: bits of the last character are set that belong to no byte.
    #[test]
    fn answers_the_other_key_of_the_rfc() {
        assert!(accept_key(b"AQIDBAUGBwgJCgsMDQ4PEC==").is_ok());
    }

    #[test]
    fn refuses_what_is_not_the_base64_of_16_bytes() {
        let cases: [(&str, &[u8]); 9] = [
            ("empty", b""),
            ("15 bytes", b"AAAAAAAAAAAAAAAAAAAA"),
            ("17 bytes", b"AAAAAAAAAAAAAAAAAAAAAAA="),
            ("18 bytes", b"AAAAAAAAAAAAAAAAAAAAAAAA"),
            ("no padding", b"dGhlIHNhbXBsZSBub25jZQ"),
            ("half the padding", b"dGhlIHNhbXBsZSBub25jZQ="),
            ("the alphabet of URLs", b"_-__________________-w=="),
            ("white space", b" dGhlIHNhbXBsZSBub25jZQ=="),
            ("a NUL byte", b"dGhlIHNhbXBsZSBub25jZQ\0="),
        ];
        for (what, key) in cases {
            assert_eq!(accept_key(key), Err(Error::InvalidKey), "{what}");
        }
    }
}
