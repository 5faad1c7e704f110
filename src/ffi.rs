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
mod message;
mod records;
mod utf8;

pub use connection::*;
pub use error::{wsframe_close_code, wsframe_strerror, wsframe_version};
pub use frame::{
    wsframe_frame_build, wsframe_frame_size, wsframe_frames_build, wsframe_header_build, wsframe_header_parse,
};
pub use handshake::{wsframe_accept_key, wsframe_extensions_answer, wsframe_handshake_answer};
pub use mask::{wsframe_unmask, wsframe_unmask_copy};
pub use message::{wsframe_connection_send_message, wsframe_message, wsframe_message_free, wsframe_message_new};
pub use records::{HeaderFlag, SendFlag, wsframe_config, wsframe_deflate, wsframe_header};
pub use utf8::wsframe_utf8_check;
