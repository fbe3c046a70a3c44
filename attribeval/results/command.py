"""The command line under way, so that what it makes can say how to make it again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_QUOTED = re.compile(r"(['\"])((?:~|[A-Za-z]:)?[/\\][^'\"]*[^'\"/\\][^'\"]*)\1")
_BARE = re.compile(r"(?<![\w.:/\\'\"~])(?:~|[A-Za-z]:)?[/\\][^\s'\"]*[^\s'\"/\\][^\s'\"]*")
_COMMAND: ContextVar[str | None] = ContextVar("command", default=None)


def running_command() -> str | None:
    """The command line that runs now; None in Python."""
    return _COMMAND.get()


@contextmanager
def command_runs(text: str) -> Iterator[None]:
    """Every result made inside remembers this command line, quoted for a shell."""
    token = _COMMAND.set(text)
    try:
        yield
    finally:
        _COMMAND.reset(token)


def portable(text: str) -> str:
    """A command or code without the folders of this machine: of a path from the root or from home only the last name is
    left; addresses (https://…) and relative paths stay."""
    text = _QUOTED.sub(lambda found: found[1] + _last(found[2]) + found[1], text)
    return _BARE.sub(lambda found: _last(found[0]), text)


def _last(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]
