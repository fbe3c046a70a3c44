"""The command that made a run of ROAR, kept in its directory."""

from __future__ import annotations

import warnings
from pathlib import Path

from attribeval.files import write_atomic
from attribeval.results.command import running_command
from attribeval.sealed import Damaged, json_bytes, read_json

_COMMAND = "command.json"


def keep_command(run_dir: str) -> None:
    """Keep the command that said what the grid is: those that go on with it, or report it, name the folder alone."""
    command = running_command()
    if command is not None and Path(run_dir).is_dir():
        write_atomic(Path(run_dir) / _COMMAND, lambda file: file.write(json_bytes(command)))


def kept_command(run_dir: str) -> str | None:
    """What `keep_command` wrote; None if it is not there, or damaged."""
    file = Path(run_dir) / _COMMAND
    try:
        return str(read_json(file.read_bytes()))
    except FileNotFoundError:
        return None
    except Damaged as error:
        warnings.warn(f"{file} is damaged ({error}): the report does not say which command made it.", stacklevel=2)
        return None
