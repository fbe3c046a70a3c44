"""Kill each study with SIGKILL at random moments until it is finished, and compare with a run that nobody disturbed.

    python benchmarks/runs/kill.py --studies wsol compare --kills 25 --seed 0

A run is a process that has loaded TensorFlow and computes one study on a tiny net in one folder. It is killed after a
random time, at most as long as an undisturbed run takes, and started again in the same folder, until it ends by itself;
then another folder is begun, until so many kills were dealt. The result of every folder, table and arrays but for times
and memory, must be that of the undisturbed run to the last bit. Kills that came after the result was there do not
count. Linux only.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import tiny

_MOST = 6  # kills of one folder, after which it may end in peace


def start(study: str, folder: Path) -> int:
    """A process that computes the study and writes what it found beside the folder."""

    def work() -> None:
        found = tiny.outcome(tiny.STUDIES[study](folder))
        Path(f"{folder}.txt.part").write_text(found)
        Path(f"{folder}.txt.part").rename(f"{folder}.txt")

    return tiny.in_fork(work)


def wait(pid: int, seconds: float) -> int | None:
    """How a process ended within some time (0: well; a signal is negative), or None."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


def undisturbed(study: str, folder: Path) -> tuple[str, float]:
    """What the study finds, and how long it takes."""
    begun = time.perf_counter()
    if wait(start(study, folder), 300) != 0:
        raise SystemExit(f"{study} does not run undisturbed.")
    return Path(f"{folder}.txt").read_text(), time.perf_counter() - begun


def disturbed(study: str, folder: Path, kills: int, longest: float, rng: random.Random) -> tuple[int, str]:
    """Run in one folder to the end with at most so many kills; how many there were, and what was found."""
    dealt = 0
    while True:
        pid = start(study, folder)
        code = wait(pid, rng.uniform(0.1, longest) if dealt < kills else 300)
        if code is None and dealt >= kills:
            os.kill(pid, signal.SIGKILL)
            raise SystemExit(f"{study} in {folder} hangs.")
        if code is None:
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            dealt += os.WIFSIGNALED(status) and not Path(f"{folder}.txt").exists()
        elif code:
            raise SystemExit(f"{study} in {folder} was not killed, and failed with code {code}.")
        if Path(f"{folder}.txt").exists():
            return dealt, Path(f"{folder}.txt").read_text()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", nargs="+", choices=tiny.STUDIES, default=list(tiny.STUDIES))
    parser.add_argument("--kills", type=int, default=25, help="of each study")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng, wrong, total = random.Random(arguments.seed), 0, 0
    tiny.load()
    with tempfile.TemporaryDirectory() as temporary:
        for study in arguments.studies:
            begun, dealt, folders, differ = time.perf_counter(), 0, 0, []
            expected, longest = undisturbed(study, Path(temporary) / f"{study}-calm")
            while dealt < arguments.kills:
                folder = Path(temporary) / f"{study}-{folders}"
                some, found = disturbed(study, folder, min(_MOST, arguments.kills - dealt), longest, rng)
                dealt, folders = dealt + some, folders + 1
                differ += [folder.name] if found != expected else []
            wrong, total = wrong + len(differ), total + dealt
            verdict = f"DIFFERENT: {', '.join(differ)}" if differ else "all results the same bit for bit"
            print(
                f"{study}: {dealt} kills of runs of {longest:.1f} s in {folders} folders: {verdict} "
                f"({time.perf_counter() - begun:.0f} s).",
                flush=True,
            )
    print(f"{'FAILED' if wrong else 'PASSED'}: {total} SIGKILLs.")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
