//! Sec-WebSocket-Extensions: whatever a peer puts there is read in linear time and without a panic, and what is answered is
//! read by both ends as what was agreed on.
//!
//! The first four bytes choose what is wanted; the rest is the field.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsframe::deflate::Parameters;
use wsframe::error::Error;
use wsframe::handshake::{accept_offer, check_response, offer, read_own_response};
use wsframe_fuzz::{Counting, Meter};

#[global_allocator]
static COUNTING: Counting = Counting;

fuzz_target!(|bytes: &[u8]| {
    let Some(([flags, server, client, cut], field)) = bytes.split_first_chunk() else { return };
    let wanted = Parameters {
        server_no_context_takeover: flags & 1 != 0,
        client_no_context_takeover: flags & 2 != 0,
        server_max_window_bits: 9 + server % 7,
        client_max_window_bits: 9 + client % 7,
    };
    let mut meter = Meter::default();
    let answered = meter.measure(|| accept_offer([field].into_iter(), wanted));
    // A parameter is one byte, a semicolon, and 40 bytes in a list that doubles.
    assert!(meter.peak <= 128 * field.len() + 1000, "{} bytes of memory for {}", meter.peak, field.len());
    judge_answer(field, wanted, answered.clone());
    judge_response(field, wanted);

    // The same list over two fields, if it is cut where that makes no difference.
    let commas: Vec<usize> = (0..field.len()).filter(|&at| field[at] == b',').collect();
    if let (false, Some(&at)) = (field.contains(&b'"'), commas.get(usize::from(*cut) % commas.len().max(1))) {
        let parts = [&field[..at], &field[at + 1..]];
        assert_eq!(answered, accept_offer(parts.into_iter(), wanted));
    }
});

fn judge_answer(field: &[u8], wanted: Parameters, answered: Result<Option<(Parameters, String)>, Error>) {
    let (agreed, answer) = match answered {
        Err(error) => return assert_eq!(error, Error::MalformedExtensions),
        Ok(None) => return,
        Ok(Some(agreed)) => agreed,
    };
    assert!(field.windows(18).any(|window| window == b"permessage-deflate"));
    assert!(answer.len() <= 128 && answer.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '), "{answer:?}");
    assert!((9..=wanted.server_max_window_bits).contains(&agreed.server_max_window_bits));
    assert!((8..=15).contains(&agreed.client_max_window_bits));
    assert!(agreed.server_no_context_takeover || !wanted.server_no_context_takeover);
    assert!(agreed.client_no_context_takeover || !wanted.client_no_context_takeover);
    // The server reads it as it meant it; so does a client that wants no less.
    assert_eq!(read_own_response([answer.as_bytes()].into_iter(), Some(wanted)), Ok(Some(agreed)), "{answer}");
    let all = Parameters {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    assert_eq!(check_response([answer.as_bytes()].into_iter(), Some(all)), Ok(Some(agreed)), "{answer}");
    // What this library offers to get that, it is answered, and agrees to.
    let offered = offer(agreed).unwrap();
    let (_, answer) =
        accept_offer([offered.as_bytes()].into_iter(), all).unwrap().expect("an offer that can be accepted");
    assert_eq!(check_response([answer.as_bytes()].into_iter(), Some(agreed)), Ok(Some(agreed)), "{offered}: {answer}");
}

/// As a response: what a client agrees to is within what it offered.
fn judge_response(field: &[u8], wanted: Parameters) {
    match check_response([field].into_iter(), Some(wanted)) {
        Ok(Some(agreed)) => {
            assert!((8..=wanted.server_max_window_bits).contains(&agreed.server_max_window_bits));
            assert!((8..=wanted.client_max_window_bits).contains(&agreed.client_max_window_bits));
            assert!(agreed.server_no_context_takeover || !wanted.server_no_context_takeover);
            assert!(agreed.client_no_context_takeover || !wanted.client_no_context_takeover);
        }
        Ok(None) => assert!(field.iter().all(|byte| b", \t".contains(byte))),
        Err(error) => assert!(matches!(
            error,
            Error::MalformedExtensions | Error::UnofferedExtension | Error::InvalidDeflateResponse
        )),
    }
}
