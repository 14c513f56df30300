//! `scripts/again.py`, by which these tests are run: what it takes for a failure.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use toolgate_tests::paths;

/// What `cargo test` would do: what fails of all tests, how the run ends, and how often a test passes by itself.
struct Tests {
    failing: &'static [&'static str],
    aborts: bool,
    passes_alone: usize,
}

/// The script's exit code, how many runs it took, and what it says at the end.
fn tried(tests: &Tests) -> (i32, usize, Vec<String>) {
    let directory = tempfile::tempdir().expect("a directory");
    let runs = directory.path().join("runs");
    let program = directory.path().join("cargo");
    fs::write(&program, script(tests, &runs)).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
    let output = Command::new(paths::workspace().join("scripts/again.py"))
        .arg(&program)
        .args(["test", "--", "--test-threads=4"])
        .output()
        .expect("runs");
    let runs = fs::read_to_string(runs).expect("at least one run");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let again = said.lines().filter_map(|line| line.strip_prefix("again: "));
    (
        output.status.code().expect("a code"),
        runs.lines().count(),
        again.map(str::to_owned).collect(),
    )
}

fn script(tests: &Tests, runs: &Path) -> String {
    let Tests {
        failing,
        aborts,
        passes_alone,
    } = tests;
    let listed: Vec<String> = failing
        .iter()
        .map(|name| format!("echo 'test {name} ... FAILED'"))
        .collect();
    let listed = listed.join("\n");
    let count = failing.len();
    let code = if count == 0 { 0 } else { 101 };
    let end = if *aborts {
        "exit 134".to_owned()
    } else {
        format!("echo 'test result: 7 passed; {count} failed; 0 ignored'; exit {code}")
    };
    format!(
        "#!/usr/bin/env bash
echo \"$*\" >>'{runs}'
if [[ $* == *' -- --exact '* ]]; then
  (($(wc -l <'{runs}') <= {passes_alone} + 1)) || {{ echo \"test ${{@: -1}} ... FAILED\"; exit 101; }}
  echo \"test ${{@: -1}} ... ok\"; exit 0
fi
{listed}
{end}
",
        runs = runs.display()
    )
}

#[test]
fn a_test_that_passes_three_times_by_itself_is_named() {
    let tests = |failing| Tests {
        failing,
        aborts: false,
        passes_alone: 9,
    };
    assert_eq!(tried(&tests(&[])), (0, 1, Vec::new()));
    let said = |name: &str| format!("{name} failed among other tests, and passed 3 times by itself");
    assert_eq!(tried(&tests(&["a::one"])), (0, 4, vec![said("a::one")]));
    let both = vec![said("a::one"), said("b::two")];
    assert_eq!(tried(&tests(&["a::one", "b::two"])), (0, 7, both));
}

#[test]
fn everything_else_is_a_failure() {
    let tests = |failing, aborts, passes_alone| Tests {
        failing,
        aborts,
        passes_alone,
    };
    assert_eq!(tried(&tests(&["a::one"], false, 2)), (101, 4, Vec::new()));
    assert_eq!(tried(&tests(&["a::one"], true, 9)), (134, 1, Vec::new()));
    assert_eq!(tried(&tests(&["a", "b", "c"], false, 9)), (101, 1, Vec::new()));
}
