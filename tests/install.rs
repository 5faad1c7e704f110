//! `make install` puts everything where a C compiler and the dynamic linker look for it, and `make uninstall` takes it away.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use common::{release_library, root, run, scratch};

/// `make` with a goal and settings, for the library that the tests have built.
fn make(goal: &str, settings: &[String]) -> Command {
    let mut make = Command::new("make");
    let target = release_library().folder().parent().expect("the target folder").to_owned();
    make.current_dir(root()).arg(goal).args(settings).env("CARGO_TARGET_DIR", target);
    make
}

/// All files below a folder, by their paths from there.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        for entry in fs::read_dir(current).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(folder).expect("below it").to_owned());
            }
        }
    }
    files.sort();
    files
}

#[test]
fn a_program_is_built_and_run_against_what_was_installed() {
    let destination = scratch("install");
    for (prefix, libdir) in [("/usr", "/usr/lib"), ("/usr", "/usr/lib64"), ("/opt/ws", "/lib/here")] {
        let at = |path: &str| destination.join(path.trim_start_matches('/'));
        let (include, lib) = (at(prefix).join("include"), at(libdir));
        let mut settings = vec![format!("PREFIX={prefix}"), format!("DESTDIR={}", destination.display())];
        if libdir != format!("{prefix}/lib") {
            settings.push(format!("LIBDIR={libdir}"));
        }
        run(&mut make("install", &settings));

        for (source, flags) in
            [("hello", &["-lwsframe"][..]), ("frames", &["-Wl,-Bstatic", "-lwsframe", "-Wl,-Bdynamic"])]
        {
            let program = destination.join(source);
            let mut cc = Command::new("cc");
            cc.arg("-I").arg(&include).arg(root().join(format!("examples/c/{source}.c"))).arg("-L").arg(&lib);
            run(cc.args(flags).args(["-lpthread", "-ldl", "-lm", "-o"]).arg(&program));
            let printed = run(Command::new(&program).env("LD_LIBRARY_PATH", &lib));
            assert!(printed.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{printed}");
            fs::remove_file(program).expect("the program can be removed");
        }
        let version = env!("CARGO_PKG_VERSION");
        assert!(lib.join(format!("libwsframe.so.{version}")).is_file());
        check_package(&fs::read_to_string(lib.join("pkgconfig/wsframe.pc")).expect("wsframe.pc"), prefix, libdir);

        run(&mut make("uninstall", &settings));
        assert_eq!(files_below(&destination), Vec::<PathBuf>::new());
    }
}

/// What a packager expects: variables that can be redefined, and nothing that says the prefix a second time.
fn check_package(package: &str, prefix: &str, libdir: &str) {
    let value = |name: &str| {
        let (key, separator) = if name.starts_with(char::is_uppercase) { (name, ": ") } else { (name, "=") };
        let found = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(separator));
        found.unwrap_or_else(|| panic!("no {name} in\n{package}"))
    };
    assert_eq!(value("prefix"), prefix);
    assert_eq!(value("libdir").replace("${prefix}", prefix), libdir);
    assert_eq!(value("libdir").starts_with("${prefix}"), libdir.starts_with(prefix));
    assert_eq!(value("includedir"), "${prefix}/include");
    assert_eq!(value("Libs"), "-L${libdir} -lwsframe");
    assert_eq!(value("Cflags"), "-I${includedir}");
    assert_eq!(value("Version"), env!("CARGO_PKG_VERSION"));
}

/// Whoever is not root installs below a folder of his own, where the loader's cache is of no use.
#[test]
fn only_root_renews_the_cache_of_the_loader() {
    let folder = scratch("install-as");
    let tools = folder.join("tools");
    fs::create_dir(&tools).expect("a folder");
    let script = |name: &str, text: &str| {
        let file = tools.join(name);
        fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("the script can be written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it can be made executable");
    };
    script("ldconfig", "echo renewed");
    let path = format!("{}:{}", tools.display(), env::var("PATH").unwrap_or_default());
    for (user, is_renewed) in [(1000, false), (0, true)] {
        script("id", &format!("echo {user}"));
        let mut install = make("install", &[format!("PREFIX={}", folder.join("prefix").display())]);
        let printed = run(install.env("PATH", &path));
        assert_eq!(printed.lines().any(|line| line == "renewed"), is_renewed, "{printed}");
    }
}
