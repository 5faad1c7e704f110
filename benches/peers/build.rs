//! Links with the shared libraries, and finds a function of tungstenite that is private.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    link();
    println!("cargo::rustc-env=TUNGSTENITE_MASK={}", source_of("tungstenite", "src/protocol/frame/mask.rs"));
}

/// With libwsframe.so as `make build` leaves it, and Debian's libwslay.so.
fn link() {
    println!("cargo::rerun-if-env-changed=WSFRAME_LIBRARY");
    let library = env::var("WSFRAME_LIBRARY").unwrap_or("../../target/release/libwsframe.so".into());
    let folder = Path::new(&library).parent().and_then(|folder| folder.canonicalize().ok());
    let folder = folder.expect("the folder of libwsframe.so: run `make build`");
    println!("cargo::rustc-link-search=native={}", folder.display());
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", folder.display());
    println!("cargo::rustc-link-lib=dylib=wsframe");
    println!("cargo::rustc-link-lib=dylib=wslay");
}

/// The path of a file in the source of a package, of the version in Cargo.lock.
fn source_of(package: &str, file: &str) -> String {
    let cargo = env::var("CARGO").expect("cargo runs this");
    let output = Command::new(cargo).args(["metadata", "--format-version=1", "--locked"]).output();
    let metadata = output.expect("cargo metadata runs").stdout;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let found = packages.iter().find(|entry| entry["name"] == package).expect("the package");
    let manifest = found["manifest_path"].as_str().expect("its manifest");
    Path::new(manifest).with_file_name(file).display().to_string()
}
