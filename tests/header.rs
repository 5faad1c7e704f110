//! `include/wsframe.h` and the PHP binding's preprocessor-free copy are what `src/ffi` says. `make header` rewrites both.

#![allow(clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::{env, fs};

use cbindgen::{Builder, Config};

/// Set by `make header`: write what was generated instead of comparing with it.
const REWRITE: &str = "WSFRAME_REWRITE_HEADER";

#[test]
fn the_c_header_is_up_to_date() {
    let mut config = config();
    config.header = Some(format!("{}\n{}", comment("GENERATED from src/ffi by `make header`: do not edit."), page()));
    config.include_guard = Some("WSFRAME_H".to_owned());
    config.sys_includes = vec!["stddef.h".to_owned(), "stdint.h".to_owned()];
    config.cpp_compat = true;
    let limits = "\n\n/* As sent of wsframe_connection_output(): all that is lent counts as written. */\n\
                  #define WSFRAME_ALL SIZE_MAX\n\
                  /* Stands for no limit of time, in a wsframe_config and in wsframe_output.wait_ms. */\n\
                  #define WSFRAME_NEVER UINT32_MAX";
    config.after_includes.get_or_insert_default().push_str(limits);
    compare_or_rewrite("include/wsframe.h", &generate(config));
}

/// PHP's FFI::cdef() has no preprocessor and knows the integer types by itself.
#[test]
fn the_copy_for_php_is_up_to_date() {
    let mut config = config();
    config.header = Some(comment("GENERATED from src/ffi by `make header`, without preprocessor lines: do not edit."));
    config.documentation = false;
    let text = generate(config);
    assert!(!text.lines().any(|line| line.trim_start().starts_with('#')), "a preprocessor line in:\n{text}");
    compare_or_rewrite("bindings/php/src/wsframe.h", &text);
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What both headers have in common.
fn config() -> Config {
    let mut config = Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml is valid");
    config.after_includes = Some(format!(
        "\n{}\nenum {{ WSFRAME_VERSION = {:#08x} }};\n\n{}\nenum {{ WSFRAME_FRAME_OVERHEAD = {} }};",
        comment("The version of this header: major * 65536 + minor * 256 + patch."),
        wsframe::ffi::wsframe_version(),
        comment("By how much a server's frame is longer than its payload, in bytes and at most."),
        wsframe::frame::MAX_OVERHEAD_LEN,
    ));
    config
}

fn generate(config: Config) -> String {
    let bindings = Builder::new().with_crate(root()).with_config(config).generate().expect("cbindgen reads src/ffi");
    let mut text = Vec::new();
    bindings.write(&mut text);
    let text = String::from_utf8(text).expect("cbindgen writes UTF-8");
    // rustdoc wants this heading above what the caller guarantees; in C that goes without saying.
    let text = text.replace(" * # Safety\n *\n", "");
    // A record and the constants for one of its fields have to have different names, the constants not.
    let flags =
        ["HEADER", "DATA", "CONFIG", "ACCEPT", "BATCH", "OUTPUT", "LISTEN", "WATCH"].map(|of| format!("{of}_FLAG"));
    flags.iter().chain([&"EVENT_KIND".to_owned()]).fold(text, |text, name| {
        let record = name.split('_').next().unwrap_or(name);
        text.replace(&format!("WSFRAME_{name}_"), &format!("WSFRAME_{record}_"))
    })
}

fn page() -> String {
    comment(include_str!("../src/ffi/conventions.txt"))
}

fn comment(text: &str) -> String {
    let lines: String = text.lines().map(|line| format!(" * {line}").trim_end().to_owned() + "\n").collect();
    format!("/*\n{lines} */")
}

fn compare_or_rewrite(path: &str, generated: &str) {
    let file = root().join(path);
    if env::var_os(REWRITE).is_some() {
        write(&file, generated);
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == generated, "{path} is not what src/ffi says. Run `make header` and commit the result.");
}

fn write(file: &Path, text: &str) {
    fs::create_dir_all(file.parent().expect("a file in a folder")).expect("the folder can be made");
    fs::write(file, text).expect("the header can be written");
}
