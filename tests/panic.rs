//! A panic in the core: an error of that call, the end of that connection, and of nothing else.
//!
//! The library is built once more for it, with the feature that makes it panic.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use common::{cargo, keep_own_symbols, release_library, root, run, scratch};

const SOURCE: &str = "tests/c/panic/panic.c";
const SANITIZERS: [&str; 3] = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

#[test]
fn a_panic_ends_one_connection_and_nothing_else() {
    assert_survives(&mut Command::new(compile("plain", &["-g"], panicking_library())));
}

#[test]
fn a_panic_leaks_nothing() {
    let program = compile("valgrind", &["-g"], panicking_library());
    assert_survives(Command::new("valgrind").args(["--error-exitcode=99", "--leak-check=full", "-q"]).arg(program));
}

/// LeakSanitizer is part of AddressSanitizer.
#[test]
fn a_panic_leaks_nothing_that_the_sanitizers_see() {
    assert_survives(&mut Command::new(compile("sanitized", &SANITIZERS, panicking_library())));
}

/// The same ping is nothing but a ping to the library that is shipped.
#[test]
fn the_shipped_library_does_not_panic() {
    let program = compile("shipped", &[], &release_library().static_archive());
    let output = Command::new(program).output().expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("the ping that panics: ") && stderr.contains(" is 1, but WSFRAME_ERROR_INTERNAL"),
        "{stderr}"
    );
}

fn assert_survives(command: &mut Command) {
    // A backtrace for each of them would only take time.
    let output = run(command.env_remove("LD_LIBRARY_PATH").env("RUST_BACKTRACE", "0"));
    assert!(output.ends_with(" checks\n") && !output.starts_with("0 "), "{output}");
}

fn panicking_library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("inject-panic");
        run(cargo().args(["library", "--features", "inject-panic", "--target-dir"]).arg(&target));
        let archive = target.join("release/libwsframe.a");
        keep_own_symbols(&archive);
        archive
    })
}

fn compile(way: &str, flags: &[&str], library: &Path) -> PathBuf {
    let program = scratch(&format!("panic/{way}")).join("program");
    run(Command::new("cc")
        .current_dir(root())
        .args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Iinclude", "-Itests/c"])
        .args(flags)
        .arg(SOURCE)
        .arg(library)
        .args(["-lpthread", "-ldl", "-lm", "-lrt", "-o"])
        .arg(&program));
    program
}
