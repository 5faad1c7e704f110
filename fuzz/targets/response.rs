//! A response's head is found, read and judged as the naive way does it, and a response that is written is read back.
//!
//! The first four bytes choose where the rest is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsframe::error::Error;
use wsframe::handshake::{Extra, Response, check_response, write_acceptance, write_refusal, write_response};
use wsframe_fuzz::{Counting, head_end, lines, lists, values};

#[global_allocator]
static COUNTING: Counting = Counting;

const MAX_FIELDS: usize = 100;
const KEY: &[u8; 24] = b"dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &[u8; 28] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fuzz_target!(|bytes: &[u8]| {
    let Some((seed, input)) = bytes.split_first_chunk() else { return };
    read(input, u32::from_le_bytes(*seed));
    write(input);
});

fn read(input: &[u8], seed: u32) {
    let Ok(Some(end)) = head_end(input, seed) else { return };
    let head = &input[..end];
    let Ok(response) = Response::parse(head, MAX_FIELDS) else { return };
    let (words, fields) = lines(head);
    assert_eq!(words[0], b"HTTP/1.1");
    assert_eq!(words[1], format!("{:03}", response.status).as_bytes());
    for (name, _) in &fields {
        assert_eq!(response.fields.all(name).collect::<Vec<_>>(), values(&fields, name));
    }

    let offered = ["chat".to_owned(), "superchat".to_owned()];
    let Ok(()) = response.check(KEY, &offered) else { return };
    let Ok(None) = check_response(response.fields.all("Sec-WebSocket-Extensions"), None) else { return };
    assert_eq!(response.status, 101);
    assert_eq!(values(&fields, "sec-websocket-accept"), [ACCEPT]);
    assert!(lists(&fields, "upgrade", "websocket") && lists(&fields, "connection", "upgrade"));
    assert!(values(&fields, "sec-websocket-extensions").iter().all(|list| list.iter().all(|b| b", \t".contains(b))));
    let chosen = values(&fields, "sec-websocket-protocol");
    assert!(chosen.len() <= 1 && chosen.iter().all(|name| offered.iter().any(|offer| offer.as_bytes() == *name)));
}

/// The parts of the input are a status, a body and fields.
fn write(input: &[u8]) {
    let mut parts = input.split(|&byte| byte == b'\x01');
    let (status, body) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut extra = Extra::default();
    let mut added = 0;
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        added += usize::from(extra.add(name, value).is_ok());
    }
    let status = 200 + status.iter().fold(0_u16, |sum, &byte| (sum * 8 + u16::from(byte)) % 400);
    let mut out = Vec::new();
    write_response(status, &extra, body, false, &mut out).unwrap();
    // These have no content.
    let body = if matches!(status, 204 | 205 | 304) { &[] } else { body };
    assert_eq!(head_end(&out, 1), Ok(Some(out.len() - body.len())));
    let response = Response::parse(&out[..out.len() - body.len()], 2 + added).expect("what is written can be read");
    assert_eq!(response.status, status);
    let mut for_head = Vec::new();
    write_response(status, &extra, body, true, &mut for_head).unwrap();
    assert_eq!(for_head, out[..out.len() - body.len()]);
    let length = body.len().to_string();
    assert_eq!(response.fields.all("content-length").next(), (status != 204).then_some(length.as_bytes()));

    let mut out = Vec::new();
    write_acceptance(KEY, Some("chat"), None, &extra, &mut out).unwrap();
    assert_eq!(head_end(&out, 1), Ok(Some(out.len())));
    let response = Response::parse(&out, 4 + added).expect("what is written can be read");
    if added == 0 {
        assert_eq!(response.check(KEY, &["chat".into()]), Ok(()));
    }

    for error in [Error::MethodNotGet, Error::UnsupportedVersion, Error::HeadTooLarge, Error::InvalidKey] {
        let mut out = Vec::new();
        write_refusal(error, &extra, &mut out).unwrap();
        let end = head_end(&out, 1).unwrap().unwrap();
        let response = Response::parse(&out[..end], 8 + added).expect("what is written can be read");
        assert_eq!(response.status, error.http_status());
        assert_eq!(response.fields.all("content-length").next(), Some((out.len() - end).to_string().as_bytes()));
    }
}
