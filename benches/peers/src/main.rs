//! libwsframe's C functions beside their peers, in one run: `make bench`. The counting of `make bench-check` is in here too.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers chosen by the benchmark"
)]

mod accept_key;
mod chat;
mod deflate;
mod input;
mod instructions;
mod library;
mod measure;
mod memory;
mod receive;
mod send;
mod stream;
mod unmask;
mod utf8;
mod wslay;
mod zlib;

/// What is measured, by the name of its section. Another question is another file like `utf8.rs`, and a line here.
const SECTIONS: [(&str, fn()); 16] = [
    ("receive", receive::run),
    ("unmask", unmask::in_place),
    ("unmask-copy", unmask::copy),
    ("utf8", utf8::run),
    ("header", send::headers),
    ("frame", send::frames),
    ("send", send::messages),
    ("send-one", send::one_message),
    ("send-client", send::client_messages),
    ("send-client-one", send::one_client_message),
    ("accept-key", accept_key::run),
    ("deflate-send", deflate::send),
    ("deflate-receive", deflate::receive),
    ("deflate-levels", deflate::levels),
    ("deflate-sizes", deflate::sizes),
    ("after-large", memory::after_large),
];

fn main() {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        None => SECTIONS.iter().for_each(|(_, run)| run()),
        Some("instructions") => instructions::run(),
        Some("chat") => chat::print(args),
        Some("memory") => memory::run(args),
        Some("memory-after-large") => memory::run_after_large(args),
        Some(name) => SECTIONS.iter().find(|(known, _)| *known == name).expect("a section").1(),
    }
}
