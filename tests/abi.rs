//! What the built library promises to the dynamic linker, and what README.md says of it under "The ABI promise".

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use common::{cargo, release_library, run, scratch};

/// One name a line, sorted.
const EXPORTS: &str = include_str!("exports.txt");

/// They call code of which it cannot be shown that it never panics: the sha1, base64, simdutf8 and zlib-rs crates, and the
/// memory allocator. They are guarded, as `src/ffi/conventions.txt` says; so are all functions of a connection and of a hub.
const GUARDED: [&str; 5] = [
    "wsframe_accept_key",
    "wsframe_extensions_answer",
    "wsframe_handshake_answer",
    "wsframe_message_new",
    "wsframe_utf8_check",
];

fn is_guarded(function: &str) -> bool {
    GUARDED.contains(&function) || ["wsframe_connection_", "wsframe_hub_"].iter().any(|noun| function.starts_with(noun))
}

#[test]
fn exports_exactly_the_committed_symbols() {
    let table = run(Command::new("nm").args(["--dynamic", "--defined-only", "--format=just-symbols"]).arg(shared()));
    let exported: Vec<_> = table.lines().collect();
    let committed: Vec<_> = EXPORTS.lines().collect();
    assert_eq!(
        exported, committed,
        "left is what libwsframe.so exports, right is tests/exports.txt. A function that was added belongs into the \
         file; one that has gone breaks every program that calls it, so keep it or raise the major version"
    );
}

#[test]
fn the_header_declares_exactly_the_exported_functions() {
    let header = include_str!("../include/wsframe.h");
    let mut declared: Vec<_> = header.lines().filter_map(declared_function).collect();
    declared.sort_unstable();
    assert_eq!(declared, EXPORTS.lines().collect::<Vec<_>>());
}

#[test]
fn the_soname_carries_the_major_version() {
    let dynamic = run(Command::new("readelf").args(["--dynamic", "--wide"]).arg(shared()));
    let soname = format!("[libwsframe.so.{}]", env!("CARGO_PKG_VERSION_MAJOR"));
    let line = dynamic.lines().find(|line| line.contains("(SONAME)")).unwrap_or("no SONAME; build.rs sets it");
    assert!(line.ends_with(&soname), "expected {soname}, found: {line}");
}

#[test]
fn needs_no_library_but_those_of_the_c_runtime() {
    let dynamic = run(Command::new("readelf").args(["--dynamic", "--wide"]).arg(shared()));
    for line in dynamic.lines().filter(|line| line.contains("(NEEDED)")) {
        assert!(["[libc.so", "[libgcc_s.so", "[ld-linux"].iter().any(|known| line.contains(known)), "{line}");
    }
}

/// What an attacker could write to is neither code nor where code is looked up.
#[test]
fn nothing_that_can_be_written_is_executed() {
    let segments = run(Command::new("readelf").args(["--program-headers", "--wide"]).arg(shared()));
    let flags_of = |kind| segments.lines().find(|line| line.trim_start().starts_with(kind)).unwrap_or_default();
    assert!(flags_of("GNU_STACK").contains(" RW "), "the stack is executable:\n{segments}");
    assert!(!flags_of("GNU_RELRO").is_empty(), "no RELRO:\n{segments}");
    assert!(!segments.contains(" RWE "), "a segment to be written and executed:\n{segments}");
    let dynamic = run(Command::new("readelf").args(["--dynamic", "--wide"]).arg(shared()));
    assert!(dynamic.contains("BIND_NOW"), "functions are looked up late:\n{dynamic}");
}

/// The messages of a panic say where the code was, but not on whose machine.
#[test]
fn nothing_is_told_of_the_machine_that_built_it() {
    let home = env::var("HOME").expect("a home folder");
    let cargo_home = env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    let paths = [format!("{cargo_home}/registry/"), concat!(env!("CARGO_MANIFEST_DIR"), "/").to_owned()];
    for library in [shared(), release_library().static_archive()] {
        let bytes = fs::read(&library).expect("the library can be read");
        for path in &paths {
            let is_told = bytes.windows(path.len()).any(|part| part == path.as_bytes());
            assert!(!is_told, "{path} is in {}", library.display());
        }
        let is_found = bytes.windows(9).any(|part| part == b"/zlib-rs-");
        assert!(is_found, "not even the path that stands for it is in {}", library.display());
    }
}

/// Links nothing but the functions that must not panic, lets the linker drop what they do not reach, and looks for the
/// entry of core's panic machinery in what is left.
#[test]
fn what_is_not_guarded_cannot_panic() {
    let archive = archive_with_names();
    let proven: Vec<_> = EXPORTS.lines().filter(|name| !is_guarded(name)).collect();
    let reached = reached_from(&proven, &archive, "proven");
    for function in proven {
        assert!(reached.contains(function), "{function} is not in the probe:\n{reached}");
    }
    assert!(!panics(&reached), "one of them reaches a panic:\n{reached}");
}

/// The proof above can fail: it finds the panics of the guarded functions. If it no longer does, a dependency has
/// improved, and the function can do without its guard.
#[test]
fn each_guarded_function_needs_its_guard() {
    let archive = archive_with_names();
    for function in GUARDED {
        assert!(panics(&reached_from(&[function], &archive, function)), "{function} no longer reaches a panic");
    }
}

fn shared() -> PathBuf {
    release_library().shared()
}

/// The static library of the release profile, but with the symbols that say what a piece of code is.
fn archive_with_names() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("with-names");
    run(cargo().arg("library").arg("--target-dir").arg(&target).env("CARGO_PROFILE_RELEASE_STRIP", "none"));
    target.join("release/libwsframe.a")
}

/// The symbols of a program that consists of `functions` and what they reach.
fn reached_from(functions: &[&str], archive: &Path, name: &str) -> String {
    let probe = scratch(&format!("reached-{name}")).join("probe");
    let mut linker = Command::new("ld");
    linker.args(["-static", "--gc-sections", "--unresolved-symbols=ignore-all", "--no-warnings", "--entry=0"]);
    linker.args(functions.iter().map(|function| format!("--undefined={function}")));
    run(linker.arg(archive).arg("-o").arg(&probe));
    run(Command::new("nm").arg(probe))
}

/// In Rust's symbol names `4core9panicking` is the module `core::panicking`, whose functions every panic goes through.
fn panics(symbols: &str) -> bool {
    symbols.contains("4core9panicking")
}

fn declared_function(line: &str) -> Option<&str> {
    let before_arguments = line.split_once('(')?.0;
    let name = before_arguments.rsplit([' ', '*']).next()?;
    (name.starts_with("wsframe_") && !line.starts_with([' ', '#', '/'])).then_some(name)
}
