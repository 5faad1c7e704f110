//! The C API as C sees it: the programs in `tests/c`, compiled against the header and linked to the shipped library.
//!
//! Each program runs with the shared library, with the static one, under AddressSanitizer and UBSan, and under
//! valgrind. The sanitizers see what the program does and the copies the library makes; valgrind sees every instruction
//! of both.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs, io};

use common::{release_library, root, run, scratch};

const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];
const SANITIZERS: [&str; 3] = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

/// What the loader looks for, see build.rs.
const SONAME: &str = concat!("libwsframe.so.", env!("CARGO_PKG_VERSION_MAJOR"));

/// What the static library takes from the system, by `rustc --print native-static-libs` less what `cc` adds by itself.
/// They are for glibc before 2.34, which brought all of it into libc.
const SYSTEM_LIBRARIES: [&str; 4] = ["-lpthread", "-ldl", "-lm", "-lrt"];

/// Makes of each program a module with one test for each way to run it.
macro_rules! programs {
    ($($name:ident . $extension:ident)*) => {
        const PROGRAMS: &[&str] = &[$(concat!(stringify!($name), ".", stringify!($extension))),*];

        $(mod $name {
            const SOURCE: &str = concat!("tests/c/", stringify!($name), ".", stringify!($extension));

            #[test]
            fn with_the_shared_library() {
                super::with_the_shared_library(SOURCE);
            }

            #[test]
            fn with_the_static_library() {
                super::with_the_static_library(SOURCE);
            }

            #[test]
            fn under_the_sanitizers() {
                super::under_the_sanitizers(SOURCE);
            }

            #[test]
            fn under_valgrind() {
                super::under_valgrind(SOURCE);
            }
        })*
    };
}

programs! { connection.c cplusplus.cpp deflate.c errors.c frame.c handshake.c header.c hub.c mask.c threads.c utf8.c }

fn with_the_shared_library(source: &str) {
    let program = compile(source, "shared", &[], &shared_library());
    assert_checks(&mut Command::new(program));
}

fn with_the_static_library(source: &str) {
    let program = compile(source, "static", &[], &static_library());
    assert_checks(&mut Command::new(program));
}

fn under_the_sanitizers(source: &str) {
    if !has_sanitizers(source) {
        // Past the test harness, which keeps the output of a test that passes.
        let _ = writeln!(
            io::stderr(),
            "{source} was NOT run under AddressSanitizer: {:?} has none",
            compiler(source).get_program()
        );
        return;
    }
    let program = compile(source, "sanitized", &SANITIZERS, &shared_library());
    assert_checks(&mut Command::new(program));
}

fn under_valgrind(source: &str) {
    let program = compile(source, "valgrind", &["-g"], &shared_library());
    assert!(
        Command::new("valgrind").arg("--version").output().is_ok(),
        "valgrind is missing: install the package `valgrind`"
    );
    assert_checks(Command::new("valgrind").args(["--error-exitcode=99", "--leak-check=full", "-q"]).arg(program));
}

/// The atomics of Rust are known to ThreadSanitizer alone: valgrind's tools for threads take the busy flag of a connection
/// for a race.
#[test]
fn threads_under_the_thread_sanitizer() {
    let Some(library) = with_thread_sanitizer() else {
        let _ = writeln!(
            io::stderr(),
            "tests/c/threads.c was NOT run under ThreadSanitizer: there is no nightly toolchain that has it"
        );
        return;
    };
    let folder = scratch("c_api/threads.c-thread-sanitizer");
    let (object, program) = (folder.join("threads.o"), folder.join("program"));
    let source = "tests/c/threads.c";
    run(compiler(source).args(STRICT).args(["-g", "-fsanitize=thread", "-Iinclude", "-c", source, "-o"]).arg(&object));
    // Not by -fsanitize=thread: the compiler's own runtime may lack what Rust's instrumentation calls.
    run(compiler(source).arg("-pthread").arg(object).args(library).arg("-o").arg(&program));
    assert_checks(&mut Command::new(program));
}

/// The library with every access to memory reported to ThreadSanitizer, and the runtime of the same toolchain.
fn with_thread_sanitizer() -> Option<Vec<OsString>> {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    let nightly = |program| {
        let mut command = Command::new("rustup");
        command.args(["run", "nightly", program]).current_dir(root());
        command
    };
    let sysroot =
        nightly("rustc").args(["--print", "sysroot"]).output().ok().filter(|output| output.status.success())?;
    let sysroot = String::from_utf8(sysroot.stdout).ok()?;
    let libraries = Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).join("lib");
    let runtime = libraries.join("librustc-nightly_rt.tsan.a");
    if !runtime.is_file() {
        return None;
    }
    // The standard library is not instrumented, so the two may be mixed only if one says so.
    let flags = "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer";
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("thread-sanitizer");
    run(nightly("cargo")
        .env("RUSTFLAGS", flags)
        .args(["rustc", "--locked", "--lib", "--crate-type", "staticlib", "--target", TARGET, "--target-dir"])
        .arg(&target));
    let library = target.join(TARGET).join("debug/libwsframe.a");
    let mut linked: Vec<OsString> = vec![library.into(), "-Wl,--whole-archive".into(), runtime.into()];
    linked.extend(["-Wl,--no-whole-archive", "-lresolv"].map(OsString::from));
    linked.extend(SYSTEM_LIBRARIES.map(OsString::from));
    Some(linked)
}

/// The programs are found by their names in the list above; none may be forgotten there.
#[test]
fn every_program_is_run() {
    let folder = fs::read_dir(root().join("tests/c")).expect("tests/c is a folder");
    let mut programs: Vec<String> = folder
        .map(|entry| entry.expect("tests/c can be read"))
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.ends_with(".h"))
        .collect();
    programs.sort();
    assert_eq!(programs, PROGRAMS);
}

/// The program for threads stands for rule 8, so it has to grow with the header.
#[test]
fn every_function_is_called_from_threads() {
    let read = |path| fs::read_to_string(root().join(path)).expect("the file can be read");
    let (header, threads) = (read("include/wsframe.h"), read("tests/c/threads.c"));
    let functions: Vec<&str> = header
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '(')
        .filter_map(|word| word.split_once('(').map(|(name, _)| name))
        .filter(|name| name.starts_with("wsframe_"))
        .collect();
    assert!(functions.len() > 10, "the functions are not found in the header: {functions:?}");
    for function in functions {
        assert!(threads.contains(&format!("{function}(")), "tests/c/threads.c does not call {function}");
    }
}

/// Every cause of which a caller can be told by `wsframe_why()` is provoked by `tests/c/errors.c`, which prints the sentences.
#[test]
fn every_mistake_of_the_caller_is_made() {
    /// Causes that need what that program does not have, and where they are provoked.
    const ELSEWHERE: [&str; 7] = [
        "LengthsDiffer",    // no C function takes two lengths that have to be equal
        "DeadHandle",       // tests/c/panic
        "NoTls",            // a build without TLS
        "ConcurrentCall",   // tests/c/threads.c
        "HubForked",        // tests/c/hub.c
        "HubOfOtherThread", // tests/c/hub.c
        "BelongsToHub",     // tests/c/hub.c
    ];
    let printed = output(&mut Command::new(compile("tests/c/errors.c", "causes", &[], &shared_library())));
    let mut causes = 0;
    for line in include_str!("../src/error.rs").lines() {
        let mut words = line.split_whitespace();
        let (Some(cause), Some("Argument" | "State" | "Space")) = (words.next(), words.next()) else { continue };
        let Some((_, sentence)) = line.split_once('"') else { continue };
        if !ELSEWHERE.contains(&cause) {
            let is_made = printed.lines().any(|line| line == sentence.trim_end_matches('"'));
            assert!(is_made, "tests/c/errors.c does not provoke {cause}: {sentence}");
            causes += 1;
        }
    }
    assert!(causes > 30, "the causes are not found in src/error.rs");
}

/// The README's programs, compiled as it says there.
#[test]
fn the_programs_of_the_readme_print_what_they_should() {
    let hello = "to send: HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\n\
                 received: Hello\nto send: \\x81\\x05Hello\n";
    let frames = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\nreceived: Hello\nto send: 81 05 48 65 6c 6c 6f\n";
    for (source, expected) in [("examples/c/hello.c", hello), ("examples/c/frames.c", frames)] {
        for (way, library) in [("shared", shared_library()), ("static", static_library())] {
            assert_eq!(output(&mut Command::new(compile(source, way, &[], &library))), expected, "{source} {way}");
        }
    }
}

/// Runs a program that has to do at least one check: its last line says how many it did.
fn assert_checks(command: &mut Command) {
    let output = output(command);
    let checks = output.lines().last().and_then(|line| line.strip_suffix(" checks")?.parse().ok());
    assert!(checks > Some(0_u64), "{command:?} does not say how many checks it did:\n{output}");
}

/// Runs a program on this build of the library: in the variable there may be another one, and it would come first.
fn output(command: &mut Command) -> String {
    run(command.env_remove("LD_LIBRARY_PATH"))
}

/// Compiles a program to a folder of its own and returns where it is.
fn compile(source: &str, way: &str, flags: &[&str], library: &[OsString]) -> PathBuf {
    let program = scratch(&format!("c_api/{}-{way}", file_name(source))).join("program");
    run(compiler(source)
        .args(STRICT)
        .args(flags)
        .args(["-pthread", "-Iinclude", source])
        .args(library)
        .arg("-o")
        .arg(&program));
    program
}

/// The compiler for a source, C or C++, set to the oldest standard that the header promises.
fn compiler(source: &str) -> Command {
    let (variable, default, standard) =
        if source.ends_with(".cpp") { ("CXX", "c++", "-std=c++11") } else { ("CC", "cc", "-std=c99") };
    let compiler = env::var(variable).unwrap_or_else(|_| default.to_owned());
    // As make understands it: "ccache gcc" is a program and its first argument.
    let mut words = compiler.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or(default));
    command.args(words).arg(standard).current_dir(root());
    command
}

/// What is combined with an opcode is of one enum: C++20 warns where two are, and C++26 refuses it.
#[test]
fn later_cplusplus_has_nothing_to_say() {
    let source = "tests/c/cplusplus.cpp";
    for standard in ["-std=c++20", "-std=c++23", "-std=c++26"] {
        let probe = compiler(source).args([standard, "-x", "c++", "-fsyntax-only", "/dev/null"]).output();
        if probe.is_ok_and(|probe| probe.status.success()) {
            run(compiler(source).arg(standard).args(STRICT).args([
                "-Wdeprecated",
                "-fsyntax-only",
                "-Iinclude",
                source,
            ]));
        } else {
            assert_ne!(standard, "-std=c++20", "the compiler does not know it");
        }
    }
}

/// Whether the compiler knows them and a program can run with them, seen at the smallest one.
fn has_sanitizers(source: &str) -> bool {
    let succeeds = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let folder = scratch(&format!("c_api/{}-probe", file_name(source)));
    let (probe, program) = (folder.join(file_name(source)), folder.join("program"));
    fs::write(&probe, "int main(void) { return 0; }\n").expect("the probe can be written");
    succeeds(compiler(source).args(SANITIZERS).arg(probe).arg("-o").arg(&program))
        && succeeds(&mut Command::new(program))
}

fn file_name(source: &str) -> &str {
    source.rsplit('/').next().unwrap_or(source)
}

/// How to link to the shared library, and find it by its soname, which only an installation would give it as a name.
fn shared_library() -> Vec<OsString> {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        let folder = scratch("c_api/installed");
        symlink(release_library().shared(), folder.join(SONAME)).expect("a symbolic link can be made");
        folder
    });
    vec![joined("-L", release_library().folder()), "-lwsframe".into(), joined("-Wl,-rpath,", installed)]
}

fn static_library() -> Vec<OsString> {
    let system = SYSTEM_LIBRARIES.map(OsString::from);
    [release_library().static_archive().into_os_string()].into_iter().chain(system).collect()
}

fn joined(flag: &str, path: &Path) -> OsString {
    [OsStr::new(flag), path.as_os_str()].into_iter().collect()
}
