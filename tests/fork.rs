//! A client's masking keys are unpredictable in a forked process too: none of its parent's comes again (RFC 6455 section 5.3).

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::FromRawFd as _;

use wsframe::connection::{Config, ConfigFlag, Connection, Role, Settings};
use wsframe::frame::Opcode;

const KEYS: usize = 40;

/// The masking keys of so many frames, one behind the other.
fn keys(client: &mut Connection) -> Vec<u8> {
    let mut keys = Vec::new();
    for _ in 0..KEYS {
        client.send(Opcode::Binary, b"").unwrap();
        let frame = client.output(0, 0).unwrap().bytes.to_vec();
        keys.extend(&frame[2..6]);
        client.output(frame.len(), 0).unwrap();
    }
    keys
}

/// What a forked process writes, and what those it forks in its turn write.
fn keys_of_forks(client: &mut Connection, generations: u32) -> Vec<u8> {
    let mut ends = [0; 2];
    // SAFETY: a place for two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    // SAFETY: the child does nothing but draw keys, write to the pipe and exit.
    match unsafe { libc::fork() } {
        0 => {
            let mut drawn = keys(client);
            if generations > 1 {
                drawn.extend(keys_of_forks(client, generations.saturating_sub(1)));
            }
            // SAFETY: the end of the pipe that this process owns.
            unsafe { File::from_raw_fd(ends[1]) }.write_all(&drawn).unwrap();
            // SAFETY: ends the process without the parent's cleaning up.
            unsafe { libc::_exit(0) }
        }
        child => {
            assert!(child > 0, "no fork");
            // SAFETY: the end that the child writes to is not needed here.
            unsafe { libc::close(ends[1]) };
            let mut drawn = Vec::new();
            // SAFETY: the end of the pipe that this process owns.
            unsafe { File::from_raw_fd(ends[0]) }.read_to_end(&mut drawn).unwrap();
            // SAFETY: the process that was just forked.
            assert_eq!(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }, child);
            drawn
        }
    }
}

#[test]
fn no_process_has_the_keys_of_another() {
    let settings = Settings { flags: ConfigFlag::StartOpen as u32, ..Settings::default() };
    let mut client = Connection::new(Role::Client, &Config { settings, ..Config::default() }).unwrap();
    let mut drawn = keys(&mut client);
    drawn.extend(keys_of_forks(&mut client, 3));
    drawn.extend(keys_of_forks(&mut client, 1));
    drawn.extend(keys(&mut client));
    assert_eq!(drawn.len(), 6 * KEYS * 4);
    let different: HashSet<&[u8]> = drawn.chunks(4).collect();
    assert!(different.len() >= 6 * KEYS - 1, "{} of {} keys are different", different.len(), 6 * KEYS);
}
