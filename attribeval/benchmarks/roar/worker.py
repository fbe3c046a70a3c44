"""A process that does tasks in fresh processes of its own, several at a time. It is started by the local executor.

    python -m attribeval.benchmarks.roar.worker RUN_DIR --jobs 2 --setup JSON

Names of tasks come in on standard input, one a line; "<outcome> <task>" goes out on standard output. The end of the
input ends everything at once, so nothing outlives the process that started it. Ctrl-C is that process's to handle.

TensorFlow is imported once, and not used: each task runs in a fork, which starts in milliseconds and ends with its
memory. Where forks are no option (not Linux), each task starts a Python of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.benchmarks.roar.tasks import Setup, record_death, run_one
from attribeval.quiet import load_tensorflow
from attribeval.training.memory import remedy

_NEEDED = ("attribeval.benchmarks.roar.cell", "attribeval.benchmarks.roar.importance")
_CODES = {"done": 0, "failed": 10, "busy": 11, "full": 12}
_WAIT = 0.02  # seconds between looks at the children
_FORKS = sys.platform == "linux"


def main() -> None:
    """Read tasks, do them, report them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--setup", default="{}")
    parser.add_argument("--gpus", default="", help="comma-separated lists of GPUs, one per job, joined by ';'")
    parser.add_argument("--task", help="do this one task in this process and leave")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    setup = Setup(**json.loads(arguments.setup))
    run_dir = RunDir(arguments.run_dir)
    if arguments.task:
        sys.exit(_do(run_dir, arguments.task, setup))
    if _FORKS:
        load_tensorflow("keras", *_NEEDED)  # each task is a fork of this process
    _Pool(run_dir, arguments, setup).serve()


def _do(run_dir: RunDir, task: str, setup: Setup) -> int:
    return _CODES[run_one(str(run_dir.path), task, dataclasses.asdict(setup))]


@dataclass
class _Child:
    """A running task; `process` is the id of a fork, or a Popen."""

    process: Any
    task: str
    log: Path
    slot: int

    def code(self) -> int | None:
        """How it ended (a signal is negative), or None if it runs."""
        if not isinstance(self.process, int):
            return self.process.poll()
        ended, status = os.waitpid(self.process, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if ended else None

    def kill(self) -> None:
        if isinstance(self.process, int):
            os.kill(self.process, signal.SIGKILL)
        else:
            self.process.kill()


class _Pool:
    """At most `jobs` children at a time, each with a slot of its own for its GPUs."""

    def __init__(self, run_dir: RunDir, arguments: argparse.Namespace, setup: Setup):
        self.run_dir, self.setup, self.arguments = run_dir, setup, arguments
        self.gpus = arguments.gpus.split(";") if arguments.gpus else []
        self.free = list(range(arguments.jobs))[::-1]
        self.waiting: list[str] = []
        self.children: list[_Child] = []
        self.logs = run_dir.path / "logs"
        # What libraries print must not come between the outcomes.
        self.out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def serve(self) -> None:
        inbox: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_read_tasks, args=[inbox], daemon=True).start()
        self.logs.mkdir(exist_ok=True)
        while True:
            with contextlib.suppress(queue.Empty):
                task = inbox.get(timeout=_WAIT if self.children or self.waiting else None)
                if task is None:
                    break
                self.waiting.append(task)
            while self.waiting and self.free:
                self._start(self.waiting.pop(0))
            self._reap()
        for child in self.children:
            child.kill()

    def _start(self, task: str) -> None:
        slot = self.free.pop()
        log = self.logs / f"{task}.{os.getpid()}.log"
        if _FORKS:
            worker = os.getpid()
            with (
                warnings.catch_warnings()
            ):  # Python warns of forks beside threads; ours hold nothing that a child needs
                warnings.simplefilter("ignore", DeprecationWarning)
                process: Any = os.fork()
            if process == 0:
                self._child(worker, task, log, slot)
        else:
            command = [sys.executable, "-m", __spec__.name, self.arguments.run_dir, "--task", task]
            command += ["--setup", self.arguments.setup]
            with open(log, "wb") as file:
                environment = os.environ | self._visible(slot)
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment)
        self.children.append(_Child(process, task, log, slot))

    def _child(self, worker: int, task: str, log: Path, slot: int) -> None:
        """In the fork: never returns."""
        code = 1
        try:
            _die_with(worker)
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
        for child in list(self.children):
            code = child.code()
            if code is None:
                continue
            self.children.remove(child)
            self.free.append(child.slot)
            outcome = next((name for name, known in _CODES.items() if known == code), None)
            if outcome is None:
                outcome = record_death(
                    self.run_dir, self.run_dir.grid(), child.task, _how(code, child.log, self.arguments.jobs)
                )
            if outcome == "done":  # earlier failures are of no interest any more
                for log in self.logs.glob(f"{child.task}.*.log"):
                    log.unlink(missing_ok=True)
            elif outcome != "failed":
                child.log.unlink(missing_ok=True)
            print(outcome, child.task, file=self.out, flush=True)


def _read_tasks(inbox: queue.Queue[str | None]) -> None:
    """Names of tasks from standard input, then None."""
    text = b""
    while more := os.read(0, 65536):
        *lines, text = (text + more).split(b"\n")
        for line in lines:
            inbox.put(line.decode().strip())
    inbox.put(None)


def _how(code: int, log: Path, jobs: int) -> str:
    """How a process died, and its last words."""
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    hint = f" (out of memory? Then {remedy(jobs)})" if code == -9 else ""
    end = log.read_text(errors="replace").strip()[-2000:] if log.is_file() else ""
    return f"Its process was {how}{hint}. {end}".strip()


def _die_with(worker: int) -> None:
    """Ask Linux to end this process when the worker ends, even if that is killed."""
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != worker:  # it has ended already
        os._exit(1)


if __name__ == "__main__":
    main()
