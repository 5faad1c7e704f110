//! `make install` puts everything where a C compiler and the dynamic linker look for it.

#![cfg(target_os = "linux")]

mod common;

use std::process::Command;

use common::{release_library, root, run, scratch};

#[test]
fn a_program_is_built_and_run_against_what_was_installed() {
    let destination = scratch("install");
    let at = |path: &str| destination.join("usr").join(path);
    let mut make = Command::new("make");
    make.current_dir(root()).args(["install", "PREFIX=/usr"]).arg(format!("DESTDIR={}", destination.display()));
    release_library();
    run(&mut make);

    let hello = destination.join("hello");
    let mut cc = Command::new("cc");
    cc.arg("-I").arg(at("include")).arg(root().join("examples/c/hello.c"));
    run(cc.arg("-L").arg(at("lib")).arg("-lwsframe").arg("-o").arg(&hello));
    let printed = run(Command::new(&hello).env("LD_LIBRARY_PATH", at("lib")));
    assert!(printed.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{printed}");

    let version = env!("CARGO_PKG_VERSION");
    assert!(at(&format!("lib/libwsframe.so.{version}")).is_file());
    let package = std::fs::read_to_string(at("lib/pkgconfig/wsframe.pc")).unwrap_or_default();
    assert!(package.contains(&format!("\nVersion: {version}\n")), "{package}");
}
