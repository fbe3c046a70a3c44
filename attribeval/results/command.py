"""The command line under way, so that what it makes can say how to make it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_COMMAND: ContextVar[str | None] = ContextVar("command", default=None)


def running_command() -> str | None:
    """The command line that runs now; None in Python."""
    return _COMMAND.get()


@contextmanager
def command_runs(text: str) -> Iterator[None]:
    """Every result made inside remembers this command line.

    Args:
        text: Quoted for a shell.
    """
    token = _COMMAND.set(text)
    try:
        yield
    finally:
        _COMMAND.reset(token)
