//! What `benches/instructions.py` runs under callgrind to count instructions: each job once inside of `counted`, after two
//! times that do not count, which have allocated what there is to allocate.
//!
//! For each job it prints what is done, of which size, and how many units of work it is, with tabulators between them.

use crate::input::{Batch, Content, KEY, size_name};
use crate::library::{self, Connection, FIN_TEXT, Header, TEXT};
use crate::receive;

const LENGTHS: [usize; 3] = [16, 125, 1 << 10];
/// As often is a function called of which one call is a unit.
const TIMES: usize = 100;

pub fn run() {
    for len in LENGTHS {
        for content in [Content::Ascii, Content::Mixed] {
            receive(content, len);
        }
        unmask(len);
        header(len);
        build(len);
        send(len);
    }
}

/// Has the instructions of a job counted that does so many units of work.
fn count(what: &str, len: usize, units: usize, mut job: impl FnMut()) {
    // Twice: what is taken of an output and what is written into take turns with two buffers.
    job();
    job();
    counted(&mut job);
    println!("{what}\t{}\t{units}", size_name(len));
}

/// Callgrind knows it by its name.
#[unsafe(no_mangle)]
#[inline(never)]
extern "Rust" fn counted(job: &mut dyn FnMut()) {
    job();
}

fn count_calls(what: &str, len: usize, mut call: impl FnMut()) {
    count(what, len, TIMES, || (0..TIMES).for_each(|_| call()));
}

fn receive(content: Content, len: usize) {
    let batch = Batch::new(content, len);
    let what = content.name();
    let mut connection = Connection::open_server();
    count(&format!("receive {what}"), len, batch.tally.messages, || {
        receive::whole(&mut connection, &batch.bytes);
    });
    let mut connection = Connection::open_server();
    // Once for each time.
    let mut buffers = [batch.bytes.clone(), batch.bytes.clone(), batch.bytes].into_iter();
    count(&format!("receive in place {what}"), len, batch.tally.messages, || {
        receive::in_place(&mut connection, &mut buffers.next().expect("another buffer"));
    });
}

fn unmask(len: usize) {
    let mut data = Content::Binary.payload(len);
    let mut out = data.clone();
    count_calls("unmask", len, || library::unmask(&mut data, KEY));
    count_calls("unmask copy", len, || library::unmask_copy(&data, KEY, &mut out));
}

fn header(len: usize) {
    let received = Batch::new(Content::Binary, len).bytes;
    let mut header = Header::default();
    count_calls("header parse", len, || {
        library::header_parse(&received, &mut header);
    });
    let mut out = [0; 14];
    count_calls("header build", len, || {
        library::header_build(&header, &mut out);
    });
}

fn build(len: usize) {
    let payload = Content::Ascii.payload(len);
    let mut out = vec![0; len + 14];
    count_calls("frame build", len, || {
        library::frame_build(FIN_TEXT, &payload, &mut out);
    });
}

fn send(len: usize) {
    let text = Content::Ascii.payload(len);
    for (end, new) in [("", Connection::open_server as fn() -> Connection), (" as a client", Connection::open_client)] {
        let mut connection = new();
        count(&format!("send{end}"), len, TIMES, || {
            for _ in 0..TIMES {
                connection.send(TEXT, &text);
            }
            connection.take_output();
        });
        let mut connection = new();
        count_calls(&format!("send one{end}"), len, || {
            connection.send(TEXT, &text);
            connection.take_output();
        });
    }
}
