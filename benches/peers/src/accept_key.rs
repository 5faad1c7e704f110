//! The answer to a client's key.

use std::hint::black_box;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use tungstenite::handshake::derive_accept_key;

use crate::library;
use crate::measure::Section;

const KEY: &[u8; 24] = b"dGhlIHNhbXBsZSBub25jZQ==";
const ANSWER: &[u8; 28] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub fn run() {
    let section = Section::begin(
        "accept-key",
        "Accept key",
        "`wsframe_accept_key`, which also checks that the key is one; the crates `sha1` and `base64` called directly.",
    );
    let mut case = section.case("one key", 1);
    let mut out = [0; 28];
    library::accept_key(KEY, &mut out);
    assert_eq!(&out, ANSWER, "the accept key of RFC 6455");
    case.add("libwsframe", || {
        library::accept_key(black_box(KEY), black_box(&mut out));
    });
    let mut out = [0; 28];
    case.add("sha1 and base64", move || {
        let digest = Sha1::new().chain_update(black_box(KEY)).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        STANDARD.encode_slice(digest.finalize(), black_box(&mut out)).expect("28 bytes");
    });
    case.add("tungstenite", || {
        black_box(derive_accept_key(black_box(KEY)));
    });
    case.run();
}
