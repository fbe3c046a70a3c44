"""Seconds of `import attribeval` and of `attribeval --help`, and what the import costs most.

Usage: python benchmarks/imports.py [REPEATS]

Each is a fresh process; the smallest of the repeats is the machine's least disturbed. The interpreter's own start is
printed beside them. Goals: 0.3 s and 0.5 s, and no TensorFlow.
"""

from __future__ import annotations

import subprocess
import sys
import time


def seconds(command: list[str], repeats: int) -> float:
    """The smallest wall time of a command, whose output is thrown away."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - begun)
    return min(times)


def costs(code: str) -> list[tuple[float, str]]:
    """Seconds of every import in `code`, with what it imports itself, by `-X importtime`; the dearest first."""
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", code], check=True, capture_output=True, text=True)
    rows = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines() if "|" in line]
    return sorted(((int(row[1]) / 1e6, row[2].strip()) for row in rows if row[1].strip().isdigit()), reverse=True)


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"smallest of {repeats} runs, seconds")
    for what, arguments in {
        "python -c pass": ["-c", "pass"],
        "import attribeval": ["-c", "import attribeval"],
        "attribeval --help": ["-m", "attribeval", "--help"],
    }.items():
        print(f"{what:20} {seconds([sys.executable, *arguments], repeats):.3f}")
    found = costs("import attribeval")
    total = next(cost for cost, name in found if name == "attribeval")
    print(
        f"\nimport attribeval by -X importtime: {total:.3f} s; TensorFlow: {any(n == 'tensorflow' for _, n in found)}"
    )
    for cost, name in found[:8]:
        print(f"  {cost:.3f}  {name}")


if __name__ == "__main__":
    main()
