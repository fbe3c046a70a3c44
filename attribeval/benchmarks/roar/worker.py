"""A process that does tasks in fresh processes of its own, several at a time. It is started by the local executor.

    python -m attribeval.benchmarks.roar.worker RUN_DIR --jobs 2 --setup JSON

Names of tasks come in on standard input, one a line; "<outcome> <task>" goes out on standard output. The end of the
input ends everything at once, so nothing outlives the process that started it.

TensorFlow is imported once, and not used: each task runs in a fork, which starts in milliseconds and ends with its
memory. Where forks are no option (not Linux), each task starts a Python of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.benchmarks.roar.tasks import Setup, record_death, run_one

_CODES = {"done": 0, "failed": 10, "busy": 11}
_WAIT = 0.02  # seconds between looks at the children


@dataclass
class _Child:
    pid: int
    task: str
    log: Path
    slot: int


def main() -> None:
    """Read tasks, do them, report them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--setup", default="{}")
    parser.add_argument("--gpus", default="", help="comma-separated lists of GPUs, one per job, joined by ';'")
    parser.add_argument("--task", help="do this one task in this process and leave")
    arguments = parser.parse_args()
    setup = Setup(**json.loads(arguments.setup))
    run_dir = RunDir(arguments.run_dir)
    if arguments.task:
        sys.exit(_do(run_dir, arguments.task, setup))
    if sys.platform == "linux":
        import keras  # noqa: F401
        import tensorflow  # noqa: F401

        import attribeval.benchmarks.roar.cell  # noqa: F401
    _Pool(run_dir, arguments, setup).serve()


def _do(run_dir: RunDir, task: str, setup: Setup) -> int:
    return _CODES[run_one(str(run_dir.path), task, dataclasses.asdict(setup))]


class _Pool:
    """At most `jobs` children at a time, each with a slot of its own for its GPUs."""

    def __init__(self, run_dir: RunDir, arguments: argparse.Namespace, setup: Setup):
        self.run_dir, self.setup, self.arguments = run_dir, setup, arguments
        self.gpus = arguments.gpus.split(";") if arguments.gpus else []
        self.free = list(range(arguments.jobs))[::-1]
        self.waiting: list[str] = []
        self.children: dict[int, _Child] = {}
        (run_dir.path / "logs").mkdir(exist_ok=True)

    def serve(self) -> None:
        text = b""
        while True:
            if select.select([sys.stdin], [], [], _WAIT)[0]:
                more = os.read(sys.stdin.fileno(), 65536)
                if not more:
                    self._kill()
                    return
                *lines, text = (text + more).split(b"\n")
                self.waiting += [line.decode() for line in lines if line]
            while self.waiting and self.free:
                self._start(self.waiting.pop(0))
            self._reap()

    def _start(self, task: str) -> None:
        slot = self.free.pop()
        log = self.run_dir.path / "logs" / f"{task}.{os.getpid()}.log"
        if sys.platform == "linux":
            sys.stdout.flush()
            pid = os.fork()
            if pid == 0:
                self._child(task, log, slot)
        else:
            command = [sys.executable, "-m", __spec__.name, self.arguments.run_dir, "--task", task]
            command += ["--setup", self.arguments.setup]
            with open(log, "wb") as file:
                environment = os.environ | self._visible(slot)
                pid = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment).pid
        self.children[pid] = _Child(pid, task, log, slot)

    def _child(self, task: str, log: Path, slot: int) -> None:
        """In the fork: never returns."""
        code = 1
        try:
            _die_with_parent()
            with open(log, "wb") as file, open(os.devnull, "rb") as nothing:
                os.dup2(nothing.fileno(), 0)
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            os.environ.update(self._visible(slot))
            code = _do(self.run_dir, task, self.setup)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _visible(self, slot: int) -> dict[str, str]:
        return {"CUDA_VISIBLE_DEVICES": self.gpus[slot]} if self.gpus else {}

    def _reap(self) -> None:
        while self.children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            child = self.children.pop(pid, None)
            if child is None:
                continue
            self.free.append(child.slot)
            code = os.waitstatus_to_exitcode(status)
            outcome = next((name for name, known in _CODES.items() if known == code), None)
            if outcome is None:
                outcome = "failed"
                end = child.log.read_text(errors="replace").strip()[-2000:]
                how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
                hint = " (out of memory?)" if code == -signal.SIGKILL else ""
                record_death(
                    self.run_dir, self.run_dir.grid(), child.task, f"Its process was {how}{hint}. {end}".strip()
                )
            if outcome != "failed":
                child.log.unlink(missing_ok=True)
            print(outcome, child.task, flush=True)

    def _kill(self) -> None:
        for pid in self.children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_WAIT)


def _die_with_parent() -> None:
    """Ask Linux to end this process when the worker ends, even if that is killed."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    main()
