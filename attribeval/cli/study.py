"""Commands of studies: a study's own (`command.add`), or one made from its `options.Options` and `procedure.run`."""

from __future__ import annotations

import argparse
import functools
import inspect
import warnings
from typing import Any

from attribeval.cli.arguments import add as add_options
from attribeval.cli.arguments import read
from attribeval.cli.data import add_data, check_data, read_data
from attribeval.cli.options import add_model, add_output, make_attributer
from attribeval.cli.outputs import show

_MODEL = ("batch_size",)  # fields that the model's flags have already


def add_all(commands: Any) -> None:
    """Add the command of every study; one of another package that breaks is left out, and named."""
    from attribeval.benchmarks.registry import STUDIES, part, studies

    added = set()
    for name in studies():
        try:
            own = part(name, "command")
            if own is None:
                _add(commands, name, getattr(part(name, "options"), "Options", None))
            elif own not in added:  # a study whose results have several names has one command
                own.add(commands)
                added.add(own)
        except Exception as error:
            if name in STUDIES:
                raise
            warnings.warn(f"The study {name!r} is left out: {type(error).__name__}: {error}.", stacklevel=2)


def _add(commands: Any, name: str, options: type | None) -> None:
    if options is None:
        return
    said = inspect.cleandoc(options.__doc__ or name).splitlines()[0].rstrip(".")
    command = commands.add_parser(name, help=said.replace("%", "%%"))
    add_data(command)
    add_options(command, options, without=_MODEL)
    add_output(command)
    add_model(command)
    command.set_defaults(
        run=functools.partial(run, name=name, options=options), check=functools.partial(check, options=options)
    )


def check(args: argparse.Namespace, options: type) -> dict[str, Any]:
    """The study's options as they were typed, checked by its dataclass."""
    found = read(args, options, without=_MODEL)
    check_data(args)
    return found


def run(args: argparse.Namespace, name: str, options: type) -> int:
    """Measure, print, save; 1 if something failed."""
    from attribeval.benchmarks.registry import part

    found = check(args, options)
    attributer = make_attributer(args)
    dataset = read_data(args, classifier=attributer.classifier)
    procedure: Any = part(name, "procedure")
    return show(procedure.run(attributer, dataset, **found), args.output)
