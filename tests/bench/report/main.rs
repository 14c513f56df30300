//! What it takes to read a million lines of an access log: time and memory of `report`, `audit verify` and `learn`.
//!
//! `tests/bench/README.md` says what is measured and how to read it.

mod lines;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use toolgate_tests::paths;

/// How often a process is looked at.
const EVERY: Duration = Duration::from_millis(5);
const MIB: u64 = 1 << 20;

/// What a run took.
struct Taken {
    wall: Duration,
    cpu: Duration,
    /// In bytes.
    peak: u64,
}

fn main() {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let count = if smoke { 10_000 } else { 1_000_000 };
    let directory = TempDir::new().expect("a temporary directory");
    println!(
        "{:<46} {:>9} {:>8} {:>8} {:>9}",
        "", "lines", "seconds", "CPU", "MiB"
    );
    for (name, kind) in [
        ("usual", lines::Kind::Usual),
        ("every name a new one", lines::Kind::Hostile),
    ] {
        let log = directory.path().join("access.log");
        let bytes = lines::write(&log, count, kind).expect("room for the log");
        println!("{name}: {} bytes in a line", bytes / count);
        for arguments in [
            &["report", "access.log", "-o", "report.html"][..],
            &[
                "report",
                "access.log",
                "-o",
                "report.html",
                "--policy",
                "policy.json",
            ],
            &["audit", "verify", "access.log"],
        ] {
            let taken = run(directory.path(), arguments);
            let (wall, cpu) = (taken.wall.as_secs_f64(), taken.cpu.as_secs_f64());
            let said = arguments
                .join(" ")
                .replace("access.log ", "")
                .replace(" access.log", "");
            println!(
                "  {said:<44} {count:>9} {wall:>8.1} {cpu:>8.1} {:>9}",
                taken.peak / MIB
            );
        }
    }
    println!("bar: 10 seconds and 500 MiB for a report on 1,000,000 usual lines");
}

fn run(directory: &Path, arguments: &[&str]) -> Taken {
    std::fs::write(directory.join("policy.json"), lines::policy()).expect("room for the policy");
    let begun = Instant::now();
    let mut child = Command::new(paths::toolgate())
        .args(arguments)
        .current_dir(directory)
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let (mut cpu, mut peak) = (Duration::ZERO, 0);
    while running(&mut child) {
        // Of a process that has ended meanwhile, nothing is told any more.
        cpu = cpu_of(child.id()).unwrap_or(cpu);
        peak = peak_of(child.id()).unwrap_or(peak);
        sleep(EVERY);
    }
    Taken {
        wall: begun.elapsed(),
        cpu,
        peak,
    }
}

/// Of its one thread: `/proc/PID/schedstat`, in nanoseconds.
fn cpu_of(id: u32) -> Option<Duration> {
    let line = std::fs::read_to_string(format!("/proc/{id}/schedstat")).ok()?;
    line.split_whitespace()
        .next()?
        .parse()
        .ok()
        .map(Duration::from_nanos)
}

/// In bytes.
fn peak_of(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace()
        .next()?
        .parse::<u64>()
        .ok()
        .map(|kilobytes| kilobytes * 1024)
}

fn running(child: &mut Child) -> bool {
    match child.try_wait().expect("a child of this process") {
        None => true,
        Some(status) => {
            assert!(status.success(), "{status}");
            false
        }
    }
}
