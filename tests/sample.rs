//! The loops on the header's first page are code: they are cut out, compiled as they stand, and run.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::process::Command;

use common::{release_library, root, run, scratch};

const PAGE: &str = include_str!("../src/ffi/conventions.txt");
const WARNINGS: [&str; 6] = ["-Wall", "-Wextra", "-Wpedantic", "-Wsign-conversion", "-Werror", "-Iinclude"];

/// The indented lines of the page, which are functions.
fn functions() -> String {
    let code: Vec<&str> = PAGE.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let before = |at: usize| PAGE.lines().nth(at).unwrap_or_default();
    assert!(before(0).starts_with("libwsframe"), "the page has another beginning");
    // Blank lines between them are not indented.
    code.iter().map(|line| if *line == "}" { "}\n\n".to_owned() } else { format!("{line}\n") }).collect()
}

#[test]
fn the_loops_run_with_peers_of_all_kinds() {
    let folder = scratch("sample");
    fs::write(folder.join("page.inc"), functions()).expect("the functions can be written");
    let program = folder.join("program");
    run(Command::new("cc")
        .args(["-std=c99", "-D_POSIX_C_SOURCE=200809L"])
        .args(WARNINGS)
        .arg("-Wno-sign-conversion")
        .args(["-Itests/c", "-I"])
        .arg(&folder)
        .arg("tests/c/sample/sample.c")
        .arg(release_library().static_archive())
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&program)
        .current_dir(root()));
    let output = run(&mut Command::new(program));
    assert!(output.ends_with(" checks\n") && !output.starts_with("0 "), "{output}");
}

#[test]
fn the_loops_compile_as_they_would_stand_in_a_program() {
    let folder = scratch("sample-alone");
    let includes = "#include <stdint.h>\n#include <stdio.h>\n#include <sys/socket.h>\n#include <sys/types.h>\n#include <wsframe.h>\n";
    let declarations = "void serve(const char *, size_t);\n\
                        uint32_t turn(wsframe_connection *, int, const void *, size_t, uint64_t);\n\
                        ptrdiff_t answer(unsigned char *, size_t, void *, size_t, uint16_t *);\n";
    for (name, compiler, standard) in
        [("c", "cc", "-std=c99"), ("cpp", "c++", "-std=c++11"), ("cpp", "c++", "-std=c++20")]
    {
        let source = folder.join(format!("page.{name}"));
        fs::write(&source, format!("{includes}{declarations}{}", functions())).expect("the source can be written");
        let mut command = Command::new(compiler);
        command
            .args([standard, "-D_GNU_SOURCE", "-c"])
            .args(WARNINGS)
            .arg(&source)
            .arg("-o")
            .arg(folder.join("page.o"));
        run(command.current_dir(root()));
    }
}
