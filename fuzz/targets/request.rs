//! A request's head is found, read and judged as the naive way does it, and a request that is written is read back.
//!
//! The first four bytes choose where the rest is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsframe::handshake::{Extra, Request, accept_key, write_request};
use wsframe_fuzz::{Counting, head_end, lines, lists, values};

#[global_allocator]
static COUNTING: Counting = Counting;

const MAX_FIELDS: usize = 100;
const KEY: &[u8; 24] = b"dGhlIHNhbXBsZSBub25jZQ==";

fuzz_target!(|bytes: &[u8]| {
    let Some((seed, input)) = bytes.split_first_chunk() else { return };
    read(input, u32::from_le_bytes(*seed));
    write(input);
});

fn read(input: &[u8], seed: u32) {
    let Ok(Some(end)) = head_end(input, seed) else { return };
    let head = &input[..end];
    assert!(head.ends_with(b"\r\n\r\n"));
    let Ok(request) = Request::parse(head, MAX_FIELDS) else { return };
    let (words, fields) = lines(head);
    let [method, target, version] = words[..] else { panic!("three words: {words:x?}") };
    assert_eq!((method, target), (request.method.as_bytes(), request.target.as_bytes()));
    assert_eq!(version, b"HTTP/1.1");
    for (name, _) in &fields {
        assert_eq!(request.fields.all(name).collect::<Vec<_>>(), values(&fields, name));
    }
    assert_eq!(request.asks_for_upgrade(), lists(&fields, "upgrade", "websocket"));

    let Ok(key) = request.check(&[]) else { return };
    assert_eq!(method, b"GET");
    assert_eq!(values(&fields, "sec-websocket-key"), [key]);
    assert!(accept_key(key).is_ok());
    assert_eq!(values(&fields, "host").len(), 1);
    assert_eq!(values(&fields, "sec-websocket-version"), [b"13"]);
    assert!(lists(&fields, "upgrade", "websocket") && lists(&fields, "connection", "upgrade"));
    assert!(values(&fields, "transfer-encoding").is_empty(), "no body");
    assert!(values(&fields, "content-length").iter().all(|len| *len == b"0"), "no body");
    let origins = ["http://example.com".to_owned()];
    assert_eq!(request.check(&origins).is_ok(), values(&fields, "origin") == [b"http://example.com"]);
    if let Some(chosen) = request.choose_subprotocol(&["superchat".into(), "chat".into()]) {
        assert!(lists(&fields, "sec-websocket-protocol", chosen));
    }
}

/// The lines of the input are host, target, subprotocols and fields. What can be written must be read back as it was
/// given: nobody can smuggle in a field or another request.
fn write(input: &[u8]) {
    let mut parts = input.split(|&byte| byte == b'\x01');
    let (host, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut extra = Extra::default();
    let mut added = Vec::new();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        if extra.add(name, value).is_ok() {
            added.push((name, value.trim_ascii()));
        }
    }
    let mut head = Vec::new();
    if write_request(host, target, KEY, &["chat".into(), "v2.chat".into()], None, &extra, &mut head).is_err() {
        assert!(head.is_empty());
        return;
    }
    assert_eq!(head_end(&head, 1), Ok(Some(head.len())));
    let (words, fields) = lines(&head);
    assert_eq!(words, [b"GET", target, b"HTTP/1.1"]);
    assert_eq!(values(&fields, "host")[0], host);
    assert_eq!(fields.len(), 6 + added.len());
    for ((found, value), (name, given)) in fields[6..].iter().zip(&added) {
        assert_eq!((found.as_bytes(), *value), (&name.to_ascii_lowercase()[..], *given));
    }
    let request = Request::parse(&head, 6 + added.len()).expect("what is written can be read");
    assert_eq!(request.target.as_bytes(), target);
    if added.is_empty() {
        assert_eq!(request.check(&[]), Ok(&KEY[..]));
    }
}
