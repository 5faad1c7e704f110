//! Memory.

use std::fs::read_to_string;

/// The bytes of a process that are in memory; what it shares with others counts in part.
pub fn of(pid: u32) -> Result<u64, String> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let lines = read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let size =
        lines.lines().find_map(|line| line.strip_prefix("Pss:")?.strip_suffix(" kB")?.trim().parse::<u64>().ok());
    size.map(|kib| kib << 10).ok_or(format!("{path}: {lines:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_touched_is_in_memory() {
        let before = of(std::process::id()).unwrap();
        let touched = vec![1_u8; 128 << 20];
        let grown = of(std::process::id()).unwrap().saturating_sub(before);
        assert!(grown > 64 << 20, "{grown}");
        drop(touched);
    }
}
