"""The command line. One file per command, a study's in its folder; nothing heavy is imported before one runs."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from attribeval import __version__
from attribeval.cli import (
    completion,
    concepts,
    config,
    crosscheck,
    demo,
    explain,
    methods,
    options,
    report,
    selftest,
    study,
)
from attribeval.errors import AttribevalError
from attribeval.files import is_disk_full
from attribeval.progress import keep_quiet
from attribeval.results.command import command_runs

_EPILOG = """\
Start with: attribeval demo

exit codes:
  0    done
  1    done, but for parts that failed; they are listed
  2    bad input; one line on standard error says what, and what to do
  3    nothing can be written: the disk is full, or the place is read-only or somebody else's
  130  interrupted; where a run directory was given, the same command goes on

NO_COLOR is respected. Completion for your shell: attribeval completion --help
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help says what there is).\n")


def parser() -> argparse.ArgumentParser:
    """The whole command line, as argparse sees it."""
    root = _Parser(
        prog="attribeval",
        description="Which attribution method can I trust on my Keras model?",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("-V", "--version", action="version", version=f"attribeval {__version__}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for one in (demo, selftest, explain, concepts):
        one.add(commands)
    study.add_all(commands)
    for one in (report, crosscheck, methods, completion):
        one.add(commands)
    config.add(root)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after `attribeval`; None takes them from the process.

    Returns:
        Exit code: 0 done, 1 done but for parts that failed (they are listed), 2 bad input (one line on standard error
        says what), 3 nothing can be written, 130 interrupted (by Ctrl-C or SIGTERM).
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    root = parser()
    try:
        config.check_commands(root, words)
        args = root.parse_args(config.with_config(root, words))
        config.check_config(args, words)
        options.check_run_dir(args)
    except AttribevalError as error:
        print(f"attribeval: {error}", file=sys.stderr)
        return 2
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up notes are not for our readers
    keep_quiet(args.quiet)
    try:
        if args.dry_run:
            config.dry_run(args)
            return 0
        with command_runs(shlex.join(["attribeval", *words])), sigterm_as_ctrl_c():
            return args.run(args) or 0
    except AttribevalError as error:
        print(f"attribeval {args.command}: {error}", file=sys.stderr)
        return 3 if is_disk_full(error) else 2
    except KeyboardInterrupt:
        folder = args.output if args.command == "explain" else getattr(args, "run_dir", None)
        hint = " Continue with the same command." if folder else ""
        print(f"attribeval {args.command}: interrupted.{hint}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # e.g. `attribeval methods | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if not (isinstance(error, PermissionError) or is_disk_full(error)):
            raise
        why = " ".join(str(error).split())
        print(f"attribeval {args.command}: nothing can be written: {why}. What is finished is kept.", file=sys.stderr)
        return 3


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """While this runs, SIGTERM, which schedulers and `kill` send, ends a command as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
