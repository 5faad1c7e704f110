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
mod handles;
mod handshake;
#[cfg(unix)]
mod hub;
mod mask;
mod message;
mod records;
mod utf8;

pub use connection::{
    wsframe_connection_accept, wsframe_connection_add_field, wsframe_connection_close, wsframe_connection_deflate,
    wsframe_connection_error, wsframe_connection_field, wsframe_connection_field_at, wsframe_connection_free,
    wsframe_connection_gone, wsframe_connection_new, wsframe_connection_output, wsframe_connection_parts,
    wsframe_connection_receive, wsframe_connection_receive_in_place, wsframe_connection_request,
    wsframe_connection_respond, wsframe_connection_send, wsframe_connection_send_many, wsframe_connection_send_message,
    wsframe_connection_state, wsframe_connection_subprotocol, wsframe_connection_target, wsframe_connection_waiting,
};
pub use error::{wsframe_close_code, wsframe_strerror, wsframe_version, wsframe_why};
pub use frame::{wsframe_frame_build, wsframe_frames_build, wsframe_header_build, wsframe_header_parse};
pub use handles::wsframe_connection;
#[cfg(unix)]
pub use handles::wsframe_hub;
pub use handshake::{wsframe_accept_key, wsframe_extensions_answer, wsframe_handshake_answer};
#[cfg(unix)]
pub use hub::{
    wsframe_hub_address, wsframe_hub_adopt, wsframe_hub_connect, wsframe_hub_connection, wsframe_hub_fd,
    wsframe_hub_free, wsframe_hub_listen, wsframe_hub_new, wsframe_hub_pause, wsframe_hub_poll, wsframe_hub_publish,
    wsframe_hub_send, wsframe_hub_send_many, wsframe_hub_set_certificate, wsframe_hub_set_user, wsframe_hub_stats,
    wsframe_hub_stop, wsframe_hub_subscribe, wsframe_hub_subscribers, wsframe_hub_terminate, wsframe_hub_timer,
    wsframe_hub_trust, wsframe_hub_unsubscribe, wsframe_hub_user, wsframe_hub_wake, wsframe_hub_watch,
};
pub use mask::wsframe_unmask;
pub use message::{wsframe_message, wsframe_message_free, wsframe_message_new};
pub use records::{
    AcceptFlag, AnyOpcode, BatchFlag, HeaderFlag, ListenFlag, OutputFlag, wsframe_batch, wsframe_config,
    wsframe_deflate, wsframe_field, wsframe_header, wsframe_hub_config, wsframe_output, wsframe_part, wsframe_stats,
};
pub use utf8::wsframe_utf8_check;
