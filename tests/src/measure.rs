//! What a process costs: its CPU time and its memory, from `/proc`.

use std::fs;
use std::time::Duration;

/// The time that all threads of a process have been running (`/proc/PID/task/TID/schedstat`, first field: nanoseconds).
/// It is exact, while the ticks of `/proc/PID/stat` are steps of ten milliseconds.
///
/// # Panics
///
/// When the process does not run, or the kernel keeps no such statistics (`CONFIG_SCHED_INFO`).
pub fn cpu(id: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{id}/task")).expect("the process runs");
    let nanoseconds = threads
        .flatten()
        // A thread may end while we look.
        .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    assert!(nanoseconds > 0, "no schedstat of process {id}");
    Duration::from_nanos(nanoseconds)
}

/// A field of `/proc/PID/status` in kilobytes: `VmRSS`, or `VmHWM` for its peak.
///
/// # Panics
///
/// When the process does not run.
pub fn memory(id: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("the process runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let value = line.and_then(|value| value.split_whitespace().next()?.parse().ok());
    value.unwrap_or_else(|| panic!("no {field} in {status}"))
}

/// From here on, `VmHWM` is the peak of what follows (`proc_pid_clear_refs(5)`).
///
/// # Panics
///
/// When the process does not run or belongs to somebody else.
pub fn reset_peak(id: u32) {
    fs::write(format!("/proc/{id}/clear_refs"), "5").expect("the peak is reset");
}

/// The middle of `values`, the upper one of two; NaN when there are none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
