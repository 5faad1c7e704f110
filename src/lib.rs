//! libwsframe: WebSocket ([RFC 6455]) for every language that can call C.
//!
//! This crate is built as a C shared library with a generated header, `include/wsframe.h`, and bindings for PHP and
//! Python. Rust programs can use the same modules directly. None of them does I/O but the hub: bytes that were read go in,
//! bytes to be written come out.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`connection`] | all of the protocol for one peer, server or client: begin here |
//! | [`hub`] | many connections and the loop that serves them, sockets included |
//! | [`handshake`] | the opening handshake: accept key, request and response |
//! | [`frame`] | frame header and whole frame, to and from bytes |
//! | [`deflate`] | permessage-deflate: what was agreed on |
//! | [`close`] | close codes, and the payload of a close frame |
//! | [`mask`] | masks and unmasks a payload |
//! | [`utf8`] | checks the text of a message |
//! | [`cpu`] | what this CPU can do |
//! | [`error`] | every failure, its code, its close code and its sentence |
//! | [`ffi`] | the same as C functions |
//!
//! Reading one frame from a client and answering it, without a connection:
//!
//! ```
//! use wsframe::frame::{self, FIN, Header, Opcode};
//! use wsframe::mask::unmask;
//!
//! let mut received = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
//! let (header, header_len) = Header::parse(&received)?.expect("more bytes are needed");
//! let payload = &mut received[header_len..];
//! unmask(payload, header.mask_key.expect("a client masks its frames"), 0);
//! assert_eq!(payload, b"Hello");
//!
//! let mut out = [0; 7];
//! let len = frame::build(FIN | Opcode::Text as u8, payload, &mut out)?;
//! assert_eq!(&out[..len], b"\x81\x05Hello");
//! # Ok::<(), wsframe::error::Error>(())
//! ```
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455

#![deny(unsafe_code)]

pub mod close;
pub mod connection;
pub mod cpu;
pub mod deflate;
pub mod error;
#[allow(unsafe_code)]
pub mod ffi;
#[allow(unsafe_code)]
mod fork;
pub mod frame;
mod guard;
pub mod handshake;
#[cfg(unix)]
pub mod hub;
pub mod mask;
mod memory;
mod pool;
#[allow(unsafe_code)]
mod shared;
pub mod utf8;
