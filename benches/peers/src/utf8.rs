//! The check of UTF-8 alone.

use std::hint::black_box;

use crate::input::{Content, size_name};
use crate::library;
use crate::measure::Section;

const LENGTHS: [usize; 5] = [16, 125, 1 << 10, 64 << 10, 16 << 20];

pub fn run() {
    let section = Section::begin(
        "utf8",
        "Check UTF-8",
        "`wsframe_utf8_check`, which also says how much is whole characters; `simdutf8` in its fastest form, which says \
         yes or no, called directly; and the standard library of Rust.",
    );
    for content in [Content::Ascii, Content::Mixed] {
        for len in LENGTHS {
            let text = content.payload(len);
            let mut case = section.case(format!("{}, {}", content.name(), size_name(len)), 1);
            case.add("libwsframe", || {
                black_box(library::utf8_check(black_box(&text)));
            });
            case.add("simdutf8", || {
                black_box(simdutf8::basic::from_utf8(black_box(&text)).is_ok());
            });
            case.add("std", || {
                black_box(std::str::from_utf8(black_box(&text)).is_ok());
            });
            case.run();
        }
    }
}
