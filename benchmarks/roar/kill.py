"""Kill a run of ROAR at random moments, go on, and compare with a run that nobody disturbed.

    python benchmarks/roar/kill.py --kills 30 --seed 0

Each kill is SIGKILL, drawn from: the whole process group; the process that was started, alone; its worker, alone; one
training, alone. Checked at the end: every number of every record and of the table is the same, bit for bit; no training
was completed twice (every file of a record is watched all the time: a new file of a finished record is a second
completion); none is missing; and nothing outlived the process that started it. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from attribeval.sealed import read_json

ROOT = Path(__file__).resolve().parents[2]
VICTIMS = ("group", "parent", "worker", "training", "training")
_GRACE = 20.0  # seconds in which everything must be gone after its parent was killed
_TIMES = ("seconds", "training_seconds", "hardware", "weights")


def write_inputs(folder: Path) -> list[str]:
    """A data set and a net so small that a training takes a second; returns the options that name them."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 192), ("test", 96)):
        labels = rng.integers(0, 3, n)
        images = rng.integers(0, 120, (n, 16, 16, 3))
        for image, label in zip(images, labels, strict=True):
            image[3:13, 2 + 4 * label : 6 + 4 * label, label] += 100
        arrays |= {f"x_{part}": images.astype(np.uint8), f"y_{part}": labels}
    np.savez(folder / "stripes.npz", **arrays)
    (folder / "net.py").write_text(
        "import keras\n\n\n"
        "def net():\n"
        "    layers = keras.layers\n"
        "    return keras.Sequential([keras.Input((16, 16, 3)), layers.Rescaling(1 / 255), layers.Conv2D(8, 3),\n"
        "                             layers.ReLU(), layers.GlobalMaxPooling2D(), layers.Dense(3)])\n"
    )
    return ["--data", f"{folder / 'stripes.npz'}", "--builder", f"{folder / 'net.py'}:net"]


def start(run_dir: Path, options: list[str]) -> subprocess.Popen:
    """`attribeval roar run` in a process group of its own."""
    command = [sys.executable, "-m", "attribeval", "roar", "run", str(run_dir), "--jobs", "2", *options]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    with open(run_dir.with_suffix(".log"), "ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def members(group: int) -> list[int]:
    """Processes of a group that are not zombies."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, _, its_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            except (OSError, ValueError):
                continue
            if int(its_group) == group and state != "Z":
                found.append(int(folder.name))
    return found


class Watcher:
    """Counts how often each training was completed: each new file of a finished record is one completion."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.seen: dict[str, tuple[int, int]] = {}
        self.completions: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()

    def look(self) -> None:
        for path in self.folder.glob("*.json"):
            try:
                facts = path.stat()
                if self.seen.get(path.stem) == (facts.st_ino, facts.st_mtime_ns):
                    continue
                record = read_json(path.read_bytes())
            except FileNotFoundError:
                continue
            self.seen[path.stem] = (facts.st_ino, facts.st_mtime_ns)
            if record["status"] == "done":
                self.completions[path.stem] += 1
            else:
                self.failures[record["error"].partition(".")[0]] += 1

    def wait(self, process: subprocess.Popen, seconds: float) -> bool:
        """Watch for some time; returns whether the process still runs."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end and process.poll() is None:
            self.look()
            time.sleep(0.02)
        self.look()
        return process.poll() is None


def kill(process: subprocess.Popen, victim: str, rng: random.Random) -> bool:
    """Kill a victim; returns whether there was one."""
    workers = children(process.pid)
    trainings = [child for worker in workers for child in children(worker)]
    pids = {"group": [process.pid], "parent": [process.pid], "worker": workers, "training": trainings}[victim]
    if not pids:
        return False
    try:
        (os.killpg if victim == "group" else os.kill)(rng.choice(pids), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def disturbed(run_dir: Path, options: list[str], kills: int, rng: random.Random, longest: float) -> Watcher:
    """Run to the end, with so many kills on the way, or as many as there is time for."""
    watcher, prepared = Watcher(run_dir / "cells"), False
    while True:
        alone = prepared and rng.random() < 0.5  # go on without data and builder
        process, before = start(run_dir, [] if alone else options), watcher.kills.total()
        while watcher.kills.total() < kills and watcher.wait(process, rng.uniform(0.2, longest)):
            victim = rng.choice(VICTIMS)
            watcher.kills[victim] += kill(process, victim, rng)
        if watcher.wait(process, 600):
            os.killpg(process.pid, signal.SIGKILL)
            raise SystemExit(f"The run in {run_dir} hangs.")
        end = time.perf_counter() + _GRACE
        while left := members(process.pid):
            if time.perf_counter() > end:
                raise SystemExit(f"Processes {left} outlived the one that started them.")
            time.sleep(0.05)
        watcher.look()
        prepared = (run_dir / "images" / "test-00000.bin").is_file()
        if process.returncode == 0:
            return watcher
        if watcher.kills.total() == before:
            raise SystemExit(f"Nobody killed it, and it failed:\n{run_dir.with_suffix('.log').read_text()[-3000:]}")


def numbers(run_dir: Path) -> dict[str, str]:
    """Every record without its times, and the table without its cost, as text that shows every bit."""
    found = {}
    for path in sorted((run_dir / "cells").glob("*.json")):
        record = {key: value for key, value in read_json(path.read_bytes()).items() if key not in _TIMES}
        record["history"] = {key: value for key, value in record["history"].items() if key != "seconds"}
        found[path.stem] = json.dumps(record, sort_keys=True)
    found["table"] = (run_dir / "report" / "table.csv").read_text()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--fractions", nargs="+", default=["0.3", "0.6", "0.9"])
    parser.add_argument("--controls", nargs="*", default=["leakage", "recursive"])
    parser.add_argument("--longest", type=float, default=15.0, help="seconds between two kills, at most")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        options = write_inputs(Path(folder))
        options += ["--methods", "GRAD", "random", "--repeats", str(arguments.repeats), "--epochs", "2"]
        options += ["--fractions", *arguments.fractions]
        options += ["--controls", *arguments.controls] if arguments.controls else []
        begun = time.perf_counter()
        calm = Path(folder) / "calm"
        disturbed(calm, options, 0, rng, 1.0)
        expected, problems, kills, failures, rounds = numbers(calm), [], Counter(), Counter(), 0
        print(f"Undisturbed: {len(expected) - 1} trainings in {time.perf_counter() - begun:.0f} s.", flush=True)
        while kills.total() < arguments.kills:
            run_dir, rounds = Path(folder) / f"killed{rounds}", rounds + 1
            watcher = disturbed(run_dir, options, arguments.kills - kills.total(), rng, arguments.longest)
            found, kills, failures = numbers(run_dir), kills + watcher.kills, failures + watcher.failures
            problems += [f"{name} is missing" for name in expected.keys() - found.keys()]
            problems += [f"{name} is new" for name in found.keys() - expected.keys()]
            problems += [f"{name} differs" for name in expected if name in found and found[name] != expected[name]]
            problems += [f"{name} was completed {n} times" for name, n in watcher.completions.items() if n != 1]
            problems += [f"{name} was not seen" for name in found.keys() - watcher.completions.keys() - {"table"}]
            print(f"Run {rounds}: {watcher.kills.total()} kills, {time.perf_counter() - begun:.0f} s.", flush=True)
        what = ", ".join(f"{n} of {victim}" for victim, n in sorted(kills.items()))
        print(f"{kills.total()} kills ({what}); recorded failures, all done again: {dict(failures)}.")
        if problems:
            print("FAILED: " + "; ".join(problems))
            return 1
        print(f"PASSED: {len(expected) - 1} trainings each completed once, records and table the same bit for bit.")
        return 0


if __name__ == "__main__":
    sys.exit(main())
