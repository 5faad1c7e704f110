//! The programs in README.md are the files that the tests run.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::{env, fs};

use common::root;

/// Set to write the files into README.md instead of comparing.
const REWRITE: &str = "WSFRAME_REWRITE_README";

#[test]
fn the_programs_are_the_files_they_name() {
    let path = root().join("README.md");
    let committed = fs::read_to_string(&path).expect("README.md can be read");
    let mut lines = committed.lines();
    let mut current = String::new();
    let mut programs = 0;
    while let Some(line) = lines.next() {
        current += line;
        current.push('\n');
        let Some(file) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) else { continue };
        let fence = lines.next().expect("a program below its name");
        assert!(fence.starts_with("```"), "no program below {line}");
        assert!(lines.any(|line| line == "```"), "the program below {line} does not end");
        let program = fs::read_to_string(root().join(file)).expect("the named file can be read");
        current += &format!("{fence}\n{program}```\n");
        programs += 1;
    }
    assert_eq!(programs, 3, "one each for C, PHP and Python");
    if env::var_os(REWRITE).is_some() {
        fs::write(&path, &current).expect("README.md can be written");
    } else {
        assert!(
            committed == current,
            "a program in README.md is not its file: run `make readme` and commit the result"
        );
    }
}
