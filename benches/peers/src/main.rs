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

fn main() {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        None => measure_all(),
        Some("instructions") => instructions::run(),
        Some("chat") => chat::print(args),
        Some("memory") => memory::run(args),
        Some(other) => panic!("what is {other}? Nothing, or \"instructions\", \"chat\" or \"memory\""),
    }
}

/// Another question is another file like `utf8.rs`, and a line here.
fn measure_all() {
    receive::run();
    unmask::in_place();
    unmask::copy();
    utf8::run();
    send::headers();
    send::frames();
    send::messages();
    accept_key::run();
    deflate::send();
    deflate::receive();
    deflate::levels();
    deflate::sizes();
}
