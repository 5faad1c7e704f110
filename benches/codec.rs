//! The C functions beside the naive version and the limit, on the same data in one run: `make bench`.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark")]
#![allow(clippy::arithmetic_side_effects, reason = "numbers chosen by the benchmark")]

use std::hint::black_box;

use divan::Bencher;
use divan::counter::BytesCount;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const LENGTHS: [usize; 6] = [1, 16, 125, 1024, 65_536, 1 << 20];

fn main() {
    divan::main();
}

mod unmask {
    use super::*;
    use wsframe::ffi::{wsframe_unmask, wsframe_unmask_copy};

    #[divan::bench(args = LENGTHS)]
    fn a_loop_over_bytes(bencher: Bencher<'_, '_>, len: usize) {
        let mut data = vec![7; len];
        bencher.counter(BytesCount::new(len)).bench_local(|| {
            let key = black_box(KEY);
            for i in 0..data.len() {
                data[i] ^= key[i % 4];
            }
            black_box(&mut data);
        });
    }

    #[divan::bench(args = LENGTHS)]
    fn wsframe_in_place(bencher: Bencher<'_, '_>, len: usize) {
        let mut data = vec![7u8; len];
        bencher.counter(BytesCount::new(len)).bench_local(|| {
            // SAFETY: data has len bytes, the key four.
            unsafe { wsframe_unmask(data.as_mut_ptr().cast(), black_box(len), black_box(&KEY).as_ptr().cast(), 0) }
        });
    }

    #[divan::bench(args = LENGTHS)]
    fn wsframe_copy(bencher: Bencher<'_, '_>, len: usize) {
        let data = vec![7u8; len];
        let mut out = vec![0u8; len];
        bencher.counter(BytesCount::new(len)).bench_local(|| {
            let (data, key, out) = (data.as_ptr().cast(), black_box(&KEY).as_ptr().cast(), out.as_mut_ptr().cast());
            // SAFETY: data and out have len bytes, the key four.
            unsafe { wsframe_unmask_copy(data, black_box(len), key, 0, out) }
        });
    }

    #[divan::bench(args = LENGTHS)]
    fn the_limit_memcpy(bencher: Bencher<'_, '_>, len: usize) {
        let data = vec![7u8; len];
        let mut out = vec![0u8; len];
        bencher.counter(BytesCount::new(len)).bench_local(|| {
            out.copy_from_slice(black_box(&data));
            black_box(&mut out);
        });
    }
}

mod header {
    use super::*;
    use wsframe::ffi::{wsframe_header, wsframe_header_build, wsframe_header_parse};

    const HEADERS: [&[u8]; 3] =
        [b"\x81\x85\x37\xfa\x21\x3d", b"\x81\xfe\x01\0\x37\xfa\x21\x3d", b"\x81\xff\0\0\0\0\0\x01\0\0\x37\xfa\x21\x3d"];

    #[divan::bench(consts = [0, 1, 2])]
    fn parse<const N: usize>(bencher: Bencher<'_, '_>) {
        bencher.bench_local(|| {
            let input = black_box(HEADERS[N]);
            let mut header = wsframe_header::default();
            // SAFETY: input has its length, the record is borrowed.
            let used = unsafe { wsframe_header_parse(input.as_ptr().cast(), input.len(), &raw mut header) };
            (used, header)
        });
    }

    #[divan::bench(consts = [0, 1, 2])]
    fn build<const N: usize>(bencher: Bencher<'_, '_>) {
        let mut header = wsframe_header::default();
        // SAFETY: the input has its length, the record is borrowed.
        unsafe { wsframe_header_parse(HEADERS[N].as_ptr().cast(), HEADERS[N].len(), &raw mut header) };
        let mut out = [0u8; 14];
        bencher.bench_local(|| {
            // SAFETY: the record is borrowed, out has 14 bytes.
            unsafe { wsframe_header_build(black_box(&raw const header), out.as_mut_ptr().cast(), 14) }
        });
    }
}

mod accept_key {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha1::{Digest as _, Sha1};
    use wsframe::ffi::wsframe_accept_key;

    const NONCE: &[u8; 24] = b"dGhlIHNhbXBsZSBub25jZQ==";

    #[divan::bench]
    fn the_crates_without_a_check_of_the_key() -> [u8; 28] {
        let mut out = [0; 28];
        let digest = Sha1::new().chain_update(black_box(NONCE)).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        STANDARD.encode_slice(digest.finalize(), &mut out).unwrap();
        out
    }

    #[divan::bench]
    fn wsframe() -> [u8; 28] {
        let mut out = [0u8; 28];
        // SAFETY: the key has 24 bytes, out 28.
        unsafe { wsframe_accept_key(black_box(NONCE).as_ptr().cast(), 24, out.as_mut_ptr().cast(), 28) };
        out
    }
}
