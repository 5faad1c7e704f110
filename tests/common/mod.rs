//! What several integration tests need: the library as it is shipped, and programs that are run on it.

#![allow(dead_code, reason = "every integration test is a crate of its own and uses a part of this")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

/// The library as `make build` makes it, so that tests look at what is shipped: optimised, stripped, and with no symbols but
/// its own.
pub(crate) struct Library {
    folder: PathBuf,
}

impl Library {
    /// Where `-L` has to point.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The shared library.
    pub(crate) fn shared(&self) -> PathBuf {
        self.folder.join("libwsframe.so")
    }

    /// The static library.
    pub(crate) fn static_archive(&self) -> PathBuf {
        self.folder.join("libwsframe.a")
    }
}

/// Builds the library when the first test asks for it.
pub(crate) fn release_library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        run(Command::new("make").current_dir(root()).arg("build").env("CARGO_TARGET_DIR", target()));
        let library = Library { folder: target().join("release") };
        for file in [library.shared(), library.static_archive()] {
            assert!(file.is_file(), "make did not build {}", file.display());
        }
        library
    })
}

/// Hides in a static library what cargo has built what `make build` hides.
pub(crate) fn keep_own_symbols(archive: &Path) {
    run(Command::new(root().join("packaging/own-symbols")).arg(archive));
}

/// The cargo that runs this test, in the folder of this crate.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// The folder of this crate.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The target folder that this test was built in.
fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}

/// A fresh, empty folder. Each test takes a name that no other takes.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // It is there when the test ran before.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs a program that must succeed and returns what it printed on stdout.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(
        output.status.success(),
        "{command:?}\n{status}\n--- stdout ---\n{stdout}\n--- stderr ---\n{stderr}",
        status = output.status
    );
    stdout
}
