"""Processes that need not wait for TensorFlow: forks of one process, shared by all workers, that has imported it.

`Popen` and `run` are those of `subprocess`, but that `[sys.executable, "-m", "-c" or a script, …]` are forks, and so
are those that these start: the same words, pipes, environment, folder, signals and exit codes. What a test says of a
process that starts from nothing (quiet, without TensorFlow, killed by Ctrl-C while it imports) it asks of `subprocess`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import inspect
import json
import os
import runpy
import select
import selectors
import socket
import struct
import subprocess
import sys
import time
import types
from pathlib import Path

PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL
ROOT = Path(__file__).resolve().parents[2]
FOLDER: Path | None = None  # where the workers of a run meet; `conftest` sets it
_NEEDED = (
    "keras", "pandas", "scipy.stats", "sklearn.linear_model", "matplotlib.pyplot", "nbformat", "nbclient",
    "attribeval.evaluator", "attribeval.cli", "attribeval.map_folder", "attribeval.plots", "attribeval.report",
    "attribeval.benchmarks.bam.procedure", "attribeval.benchmarks.leaderboard.procedure",
    "attribeval.benchmarks.roar.cell", "attribeval.benchmarks.roar.importance", "attribeval.benchmarks.roar.procedure",
    "attribeval.benchmarks.sanity.procedure", "attribeval.benchmarks.wsol.procedure",
)  # fmt: skip
_Plain = subprocess.Popen
_NOT_OURS = ("preexec_fn", "pass_fds", "shell", "executable")
_PATIENCE = 120  # seconds that the process waits for its first user, and its users for it
_held: list[socket.socket] = []  # it ends when nobody holds it


class Popen(_Plain):
    """A fork that runs a module (`-m`), code (`-c`) or a script; anything else is a process as ever."""

    _channel: socket.socket | None = None

    def _execute_child(self, *given):
        asked = inspect.signature(_Plain._execute_child).bind(self, *given).arguments
        request = None if any(asked[name] for name in _NOT_OURS) or sys.platform != "linux" else _request(**asked)
        if request is None:
            return super()._execute_child(*given)
        files = [
            own if asked[name] == -1 else asked[name] for own, name in enumerate(("p2cread", "c2pwrite", "errwrite"))
        ]
        text = json.dumps(request).encode()
        self._channel = _connect()
        socket.send_fds(self._channel, [struct.pack("!i", len(text))], files)
        self._channel.sendall(text)
        self.pid = _number(self._channel)
        self._child_created = True
        self._close_pipe_fds(*(asked[f"{pipe}{end}"] for pipe in ("p2c", "c2p", "err") for end in ("read", "write")))

    def _try_wait(self, wait_flags):
        """What `os.waitpid` says of a child, told by the process that has it."""
        if self._channel is None:
            return super()._try_wait(wait_flags)
        told, _, _ = select.select([self._channel], [], [], 0 if wait_flags else None)
        if not told:
            return 0, 0
        with self._channel:
            return self.pid, _number(self._channel)

    def _internal_poll(self, *given, **named):
        if self._channel is None:
            return super()._internal_poll(*given, **named)
        if self.returncode is None and self._child_created and self._waitpid_lock.acquire(False):
            try:
                pid, status = self._try_wait(os.WNOHANG)
                if pid:
                    self._handle_exitstatus(status)
            finally:
                self._waitpid_lock.release()
        return self.returncode


def run(command, *, capture_output=False, check=False, timeout=None, **options) -> subprocess.CompletedProcess:
    """`subprocess.run`."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} if capture_output else {}
    with Popen(command, **pipes, **options) as process:
        try:
            out, error = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, out, error)
    if check:
        done.check_returncode()
    return done


def _request(args, cwd, env, start_new_session, **_) -> dict | None:
    """What a fork must do, or None if it is nothing for a fork."""
    if isinstance(args, str | bytes | os.PathLike):
        return None
    python, *words = map(os.fspath, args)
    while words and words[0].startswith(("-X", "-u")):  # how it writes and imports, which is no matter here
        words.pop(0)
    if python != sys.executable or not words or not (words[0] in ("-m", "-c") or words[0].endswith(".py")):
        return None
    environment = dict(os.environ if env is None else env)
    folder = os.fspath(cwd or Path.cwd())
    return {"words": words, "cwd": folder, "session": start_new_session, "environment": environment}


def _number(channel: socket.socket) -> int:
    told = channel.recv(4, socket.MSG_WAITALL)
    if len(told) < 4:
        raise RuntimeError(f"The process that forks has ended: {(FOLDER / 'forks.log').read_text()[-3000:]}")
    return struct.unpack("!i", told)[0]


def _connect() -> socket.socket:
    """A line to the process that forks; it is started by who needs it first."""
    if not _held:
        from filelock import FileLock

        with FileLock(f"{FOLDER / 'forks'}.lock"):
            try:
                _held.append(_line())
            except OSError:
                _held.append(_start())
    return _line()


def _line() -> socket.socket:
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(str(FOLDER / "forks"))
    except OSError:
        line.close()
        raise
    return line


def _start() -> socket.socket:
    (FOLDER / "forks").unlink(missing_ok=True)
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with open(FOLDER / "forks.log", "wb") as log:
        command = [sys.executable, __file__, str(FOLDER / "forks")]
        server = _Plain(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    end = time.monotonic() + _PATIENCE
    while server.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError):
            return _line()
        time.sleep(0.05)
    raise RuntimeError((FOLDER / "forks.log").read_text())


# --------------------------------------------------------------------------------------- in the process that forks


def serve(path: str) -> dict:
    """Fork whenever asked, until nobody is there to ask; returns in the forks, with what they must do."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(64)
    watch = selectors.DefaultSelector()
    watch.register(listening, selectors.EVENT_READ)
    lines: set[socket.socket] = set()
    while events := watch.select(None if lines else _PATIENCE):
        for key, _ in events:
            if key.fileobj is listening:
                line = listening.accept()[0]
                lines.add(line)
                watch.register(line, selectors.EVENT_READ)
            elif key.data is not None:  # the end of a fork
                pid, line = key.data
                watch.unregister(key.fileobj)
                os.close(key.fileobj)
                with contextlib.suppress(OSError):
                    line.sendall(struct.pack("!i", os.waitpid(pid, 0)[1]))
                line.close()
            else:
                line = key.fileobj
                watch.unregister(line)
                lines.discard(line)
                asked = _asked(line)
                if asked is None:
                    line.close()
                    continue
                request, files = asked
                pid = os.fork()
                if not pid:
                    if request["session"]:
                        os.setsid()
                    line.sendall(struct.pack("!i", os.getpid()))  # not before it leads its session
                    for other in (watch, listening, line, *lines):
                        other.close()
                    return request | {"files": files}
                for file in files:
                    os.close(file)
                watch.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, line))
        if not lines and len(watch.get_map()) == 1:
            break
    sys.exit()


def _asked(line: socket.socket) -> tuple[dict, list[int]] | None:
    size, files, _, _ = socket.recv_fds(line, 4, 3)
    if len(size) < 4:
        return None
    (n,) = struct.unpack("!i", size)
    return json.loads(line.recv(n, socket.MSG_WAITALL)), files


def _do(request: dict) -> None:
    """Be the Python that was asked for."""
    global FOLDER
    FOLDER = Path(sys.argv[1]).parent
    for number, file in enumerate(request["files"]):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["cwd"])
    ours = [str(Path(__file__).parent), *os.environ["PYTHONPATH"].split(os.pathsep)]
    os.environ.clear()
    os.environ.update(request["environment"])
    flag, *words = request["words"]
    first = {"-m": request["cwd"], "-c": ""}.get(flag, str(Path(flag).parent))
    paths = [first, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    sys.path[:] = [*paths, *(path for path in sys.path if path not in ours)]
    sys.argv[:] = [flag, *(words if flag.endswith(".py") else words[1:])]
    for name in ("tqdm.auto", "tqdm.autonotebook"):  # which look once whether they are in a notebook
        sys.modules.pop(name, None)
    importlib.import_module("numpy").random.seed()  # a Python of its own draws its own
    if "MPLBACKEND" in os.environ:  # Matplotlib reads it when it is imported
        importlib.import_module("matplotlib").rcParams["backend"] = os.environ["MPLBACKEND"]
    if flag == "-m":
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    elif flag != "-c":
        runpy.run_path(flag, run_name="__main__")
    else:
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(words[0], "<string>", "exec"), main.__dict__)


if __name__ == "__main__":
    subprocess.Popen = Popen  # forks all the way down
    importlib.import_module("tensorflow")
    for _name in _NEEDED:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(_name)
    gc.collect()
    gc.freeze()  # so that forks share what is there
    _do(serve(sys.argv[1]))
