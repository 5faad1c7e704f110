//! The programs in README.md and those of the bindings are the files that the tests run.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and its numbers are small"
)]

mod common;

use std::{env, fs};

use common::root;

/// Set to write the files into the documents instead of comparing.
const REWRITE: &str = "WSFRAME_REWRITE_README";

/// What quotes programs, and how many at least.
const QUOTING: [(&str, usize); 3] = [("README.md", 3), ("bindings/python/README.md", 3), ("bindings/php/README.md", 2)];

#[test]
fn the_programs_are_the_files_they_name() {
    for (document, programs) in QUOTING {
        let path = root().join(document);
        let committed = fs::read_to_string(&path).expect("the document can be read");
        let (current, found) = with_current_programs(document, &committed);
        assert!(found >= programs, "{document} has {found} programs of {programs}");
        if env::var_os(REWRITE).is_some() {
            fs::write(&path, &current).expect("the document can be written");
        } else {
            assert!(
                committed == current,
                "a program in {document} is not its file: run `make readme` and commit the result"
            );
        }
    }
}

/// A document with the programs as their files have them, and how many there are.
fn with_current_programs(document: &str, committed: &str) -> (String, usize) {
    let mut lines = committed.lines();
    let mut current = String::new();
    let mut programs = 0;
    while let Some(line) = lines.next() {
        current += line;
        current.push('\n');
        let Some(file) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) else { continue };
        let fence = lines.next().expect("a program below its name");
        assert!(fence.starts_with("```"), "{document}: no program below {line}");
        assert!(lines.any(|line| line == "```"), "{document}: the program below {line} does not end");
        let program = fs::read_to_string(root().join(file)).expect("the named file can be read");
        current += &format!("{fence}\n{program}```\n");
        programs += 1;
    }
    (current, programs)
}
