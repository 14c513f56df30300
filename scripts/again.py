#!/usr/bin/env python3
"""Runs tests at once, and those that fail three more times by themselves.

    scripts/again.py COMMAND... -- [OPTION...]      a `cargo test`, and options for the tests

The end-to-end tests measure times, on machines that may be busy with other things. What fails among all the others is
a failure of the code if it fails alone as well, once in three times. If more than two tests fail, or the tests did not
come to their end, nothing is tried again. Whatever needed another try is named in a last line that begins with `again:`.
"""

import re
import subprocess
import sys

TIMES = 3
MOST = 2


def main() -> int:
    if "--" not in sys.argv:
        sys.exit(__doc__)
    middle = sys.argv.index("--")
    command, options = sys.argv[1:middle], sys.argv[middle + 1 :]
    code, output = run([*command, "--no-fail-fast", "--", *options])
    failed = sorted(set(re.findall(r"^test (\S+) \.\.\. FAILED$", output, re.MULTILINE)))
    counted = sum(map(int, re.findall(r"^test result: .* (\d+) failed;", output, re.MULTILINE)))
    if code == 0 or not 0 < len(failed) == counted <= MOST:
        return code
    for name in failed:
        for _ in range(TIMES):
            code, output = run([*command, "--", "--exact", name])
            if code != 0 or f"test {name} ... ok" not in output.splitlines():
                return code or 1
    for name in failed:
        print(f"again: {name} failed among other tests, and passed {TIMES} times by itself", flush=True)
    return 0


def run(command: list[str]) -> tuple[int, str]:
    """The exit code and the standard output, which is shown as it comes."""
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return process.returncode, "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
