//! Unmasking alone.

use std::hint::black_box;

use crate::input::{Aligned, Content, KEY, naive_unmask, size_name};
use crate::library;
use crate::measure::{Case, Section};

const LENGTHS: [usize; 8] = [1, 4, 16, 125, 1 << 10, 64 << 10, 1 << 20, 16 << 20];

/// tungstenite's function is private: this is its file, from the package that is measured.
mod private {
    #![allow(dead_code, clippy::undocumented_unsafe_blocks, reason = "not ours")]

    /// The file also makes keys, for which it needs a crate that is not needed here.
    mod rand {
        pub(super) fn random<T: Default>() -> T {
            T::default()
        }
    }

    include!(env!("TUNGSTENITE_MASK"));
}

// Called, as libwsframe's function is, and not inlined.

#[inline(never)]
fn naive(data: &mut [u8], key: [u8; 4]) {
    naive_unmask(data, key);
}

#[inline(never)]
fn tungstenite(data: &mut [u8], key: [u8; 4]) {
    private::apply_mask(data, key);
}

#[inline(never)]
fn fastwebsockets(data: &mut [u8], key: [u8; 4]) {
    fastwebsockets::unmask(data, key);
}

pub fn in_place() {
    let section = Section::begin(
        "unmask",
        "Unmask in place",
        "`wsframe_unmask`. All are called as functions, none is inlined, on one payload of 16 KiB after the other. memcpy of \
         as many bytes to another place is the limit that memory sets; for payloads larger than a cache it has twice the \
         memory to go through.",
    );
    for_each_case(&section, |case, data| {
        add_in_place(case, "libwsframe", data, library::unmask);
        add_in_place(case, "naive loop", data, naive);
        add_in_place(case, "tungstenite", data, tungstenite);
        add_in_place(case, "fastwebsockets", data, fastwebsockets);
        add_memcpy(case, data);
    });
}

pub fn copy() {
    let section = Section::begin(
        "unmask-copy",
        "Unmask into another place",
        "`wsframe_unmask` from one place to another. The crates have no such function: they, and the naive loop, copy first and then unmask.",
    );
    for_each_case(&section, |case, data| {
        add_copy(case, "libwsframe", data, library::unmask_copy);
        for (name, unmask) in [
            ("naive loop", naive as fn(&mut [u8], [u8; 4])),
            ("tungstenite", tungstenite),
            ("fastwebsockets", fastwebsockets),
        ] {
            add_copy(case, name, data, move |input, key, out| {
                out.copy_from_slice(input);
                unmask(out, key);
            });
        }
        add_memcpy(case, data);
    });
}

/// A payload, which begins `shift` bytes behind a cache line.
#[derive(Clone, Copy)]
struct Data<'a> {
    bytes: &'a [u8],
    shift: usize,
}

fn for_each_case(section: &Section, add_contestants: impl Fn(&mut Case<'_>, Data<'_>)) {
    for len in LENGTHS {
        let bytes = Content::Binary.payload(len);
        for (shift, alignment) in [(0, ""), (1, ", unaligned")] {
            let mut case = section.case(size_name(len) + alignment, 1);
            add_contestants(&mut case, Data { bytes: &bytes, shift });
            case.run();
        }
    }
}

/// The payload over and over, in so much memory or once. Whoever comes back to a payload that it has only just written has
/// to wait for that, and nobody unmasks the same bytes twice.
struct Turns {
    place: Aligned,
    len: usize,
    at: usize,
}

impl Turns {
    const BYTES: usize = 16 << 10;

    fn new(data: Data<'_>) -> Self {
        let len = data.bytes.len();
        let mut padded = data.bytes.to_vec();
        padded.resize(len.next_multiple_of(Aligned::LINE), 0);
        let turns = (Self::BYTES / padded.len()).max(1);
        Self { place: Aligned::new(&padded.repeat(turns), data.shift), len, at: 0 }
    }

    fn next(&mut self) -> &mut [u8] {
        let at = self.at;
        let next = (at + self.len).next_multiple_of(Aligned::LINE);
        self.at = if next < self.place.len() { next } else { 0 };
        &mut self.place[at..at + self.len]
    }
}

fn add_in_place(
    case: &mut Case<'_>,
    name: &'static str,
    data: Data<'_>,
    unmask: impl Fn(&mut [u8], [u8; 4]) + 'static,
) {
    let mut place = Aligned::new(data.bytes, data.shift);
    unmask(&mut place, KEY);
    naive_unmask(&mut place, KEY);
    assert!(*place == *data.bytes, "{name} unmasks");
    let mut turns = Turns::new(data);
    case.add(name, move || unmask(black_box(turns.next()), black_box(KEY)));
}

fn add_copy(
    case: &mut Case<'_>,
    name: &'static str,
    data: Data<'_>,
    unmask: impl Fn(&[u8], [u8; 4], &mut [u8]) + 'static,
) {
    let input = Aligned::new(data.bytes, data.shift);
    let mut out = Aligned::new(data.bytes, data.shift);
    unmask(&input, KEY, &mut out);
    naive_unmask(&mut out, KEY);
    assert!(*out == *input, "{name} unmasks");
    let mut turns = Turns::new(data);
    case.add(name, move || unmask(black_box(&input), black_box(KEY), black_box(turns.next())));
}

fn add_memcpy(case: &mut Case<'_>, data: Data<'_>) {
    let input = Aligned::new(data.bytes, data.shift);
    let mut turns = Turns::new(data);
    case.add("memcpy", move || black_box(turns.next()).copy_from_slice(black_box(&input)));
}
