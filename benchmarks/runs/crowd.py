"""Eight processes compute one study in one folder at once; each must find what one process finds alone.

    python benchmarks/runs/crowd.py --studies wsol compare --processes 8

All start in the same moment, with TensorFlow loaded, on a tiny net. Compared are every process's result, table and
arrays but for times and memory, to the last bit, with that of one process in a folder of its own; and the names of all
records that the crowd left with those of the one: none may be missing, and nothing half-written may lie about. Linux
only.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import tiny


def together(study: str, folder: Path, processes: int) -> tuple[list[str], float]:
    """What each of so many processes finds in one folder, and how long it took."""
    gate = Path(f"{folder}.go")
    found = [Path(f"{folder}.{i}.txt") for i in range(processes)]

    def work(file: Path) -> None:
        while not gate.exists():
            time.sleep(0.001)
        file.write_text(tiny.outcome(tiny.STUDIES[study](folder)))

    pids = [tiny.in_fork(lambda file=file: work(file)) for file in found]
    begun = time.perf_counter()
    gate.touch()
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    if any(codes):
        raise SystemExit(f"{study}: processes ended with codes {codes}.")
    return [file.read_text() for file in found], time.perf_counter() - begun


def records(folder: Path) -> set[str]:
    """All files but locks, what a process printed, and the name of the process that wrote it last."""
    files = (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    return {str(file) for file in files if not file.name.endswith(".lock") and file.parts[0] != "logs"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", nargs="+", choices=tiny.STUDIES, default=list(tiny.STUDIES))
    parser.add_argument("--processes", type=int, default=8)
    arguments = parser.parse_args()
    wrong = False
    tiny.load()
    with tempfile.TemporaryDirectory() as temporary:
        for study in arguments.studies:
            alone, crowd = (Path(temporary) / f"{study}-{name}" for name in ("alone", "crowd"))
            (expected,), single = together(study, alone, 1)
            found, seconds = together(study, crowd, arguments.processes)
            lost, more = records(alone) - records(crowd), records(crowd) - records(alone)
            differ = sum(one != expected for one in found)
            wrong |= bool(lost or more or differ)
            print(
                f"{study}: {arguments.processes} processes in {seconds:.1f} s, one in {single:.1f} s; {differ} results "
                f"differ, {len(records(crowd))} records, {len(lost)} lost {sorted(lost)[:3]}, "
                f"{len(more)} beside them {sorted(more)[:3]}.",
                flush=True,
            )
    print("FAILED" if wrong else "PASSED")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
