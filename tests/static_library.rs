//! `libwsframe.a` beside what else a program may link: other static libraries written in Rust, and C++ that throws.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use common::{release_library, run, scratch};

/// What somebody else may have written in Rust: it panics, catches that, and uses a thread and its memory.
const OTHER: &str = r#"
use std::cell::RefCell;
thread_local! { static LOG: RefCell<String> = RefCell::new(String::new()); }
#[unsafe(no_mangle)]
pub extern "C" fn other_panics_caught() -> i32 {
    std::panic::set_hook(Box::new(|_| LOG.with(|log| log.borrow_mut().push('x'))));
    let caught = std::thread::spawn(|| std::panic::catch_unwind(|| panic!("other")).is_err()).join();
    let own = std::panic::catch_unwind(|| panic!("own")).is_err();
    let logged = LOG.with(|log| log.borrow().len());
    i32::from(caught.unwrap_or(false)) + i32::from(own) + logged as i32
}
"#;

const PROGRAM: &str = r#"
#include <stdio.h>
#include <string.h>
#include <wsframe.h>
int other_panics_caught(void);
int main(void) {
    wsframe_config config = {0};
    wsframe_connection *connection;
    wsframe_batch batch;
    config.struct_size = sizeof config;
    config.flags = WSFRAME_CONFIG_START_OPEN;
    int before = other_panics_caught();
    if (wsframe_connection_new(WSFRAME_ROLE_SERVER, &config, &connection) < 0) return 1;
    if (wsframe_connection_receive(connection, "\x81\x81\0\0\0\0a", 7, &batch) != 1) return 2;
    wsframe_connection_free(connection);
    printf("%d %d\n", before, other_panics_caught());
    return 0;
}
"#;

const THROWS: &str = r#"
#include <cstdio>
#include <stdexcept>
#include <wsframe.h>
int main() {
    try {
        if (wsframe_utf8_check("\xFF", 1) < 0) throw std::runtime_error(wsframe_why());
    } catch (const std::exception &error) {
        std::printf("%s\n", error.what());
    }
}
"#;

/// The compiler of the toolchain that runs this test.
fn rustc() -> Command {
    let cargo = PathBuf::from(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let beside = cargo.with_file_name("rustc");
    Command::new(if beside.is_file() { beside } else { "rustc".into() })
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, text).expect("the source can be written");
    file
}

#[test]
fn another_static_library_in_rust_can_be_linked_too() {
    let folder = scratch("beside-another");
    let source = written(&folder, "other.rs", OTHER);
    let program = written(&folder, "program.c", PROGRAM);
    let other = folder.join("libother.a");
    run(rustc().args(["--edition=2024", "--crate-type=staticlib", "-Copt-level=1"]).arg(source).arg("-o").arg(&other));
    let ours = release_library().static_archive();
    for (way, first, second) in [("first", &ours, &other), ("second", &other, &ours)] {
        let executable = folder.join(way);
        let mut cc = Command::new("cc");
        cc.args(["-std=c99", "-Wall", "-Werror", "-Iinclude"]).arg(&program).arg(first).arg(second);
        run(cc.args(["-Wl,--fatal-warnings", "-lpthread", "-ldl", "-lm", "-o"]).arg(&executable));
        assert_eq!(run(&mut Command::new(executable)), "3 4\n", "{way}");
    }
}

#[test]
fn cplusplus_may_throw_around_it() {
    let folder = scratch("throwing");
    let program = written(&folder, "program.cpp", THROWS);
    let executable = folder.join("program");
    let mut cxx = Command::new("c++");
    cxx.args(["-Wall", "-Werror", "-Iinclude"]).arg(program).arg(release_library().static_archive());
    run(cxx.args(["-lpthread", "-ldl", "-lm", "-o"]).arg(&executable));
    assert!(run(&mut Command::new(executable)).contains("UTF-8"));
}

#[test]
fn it_defines_nothing_but_its_functions() {
    let mut nm = Command::new("nm");
    nm.args(["--extern-only", "--defined-only", "--format=just-symbols"]).arg(release_library().static_archive());
    let listed = run(&mut nm);
    let mut defined: Vec<&str> = listed.lines().filter(|line| !line.is_empty() && !line.ends_with(".o:")).collect();
    defined.sort_unstable();
    assert_eq!(defined, include_str!("exports.txt").lines().collect::<Vec<_>>());
}
