//! The C API and nothing else: every function checks and borrows what it is given, makes one safe call, and returns.
//!
//! `include/wsframe.h` is generated from here by `make header`. The page below stands at its top.
//!
#![doc = "```text"]
#![doc = include_str!("ffi/conventions.txt")]
#![doc = "```"]

mod boundary;
mod connection;
mod error;
mod frame;
mod handshake;
mod mask;
mod records;
mod utf8;

pub use connection::*;
pub use error::{wsframe_close_code, wsframe_strerror, wsframe_version};
pub use frame::{wsframe_frame_build, wsframe_frame_size, wsframe_header_build, wsframe_header_parse};
pub use handshake::{wsframe_accept_key, wsframe_handshake_answer};
pub use mask::{wsframe_unmask, wsframe_unmask_copy};
pub use records::{HeaderFlag, wsframe_config, wsframe_header};
pub use utf8::wsframe_utf8_check;
