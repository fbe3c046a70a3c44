"""The command of a study, made from its `options.Options` and its `procedure.run(attributer, samples, …)`."""

from __future__ import annotations

import argparse
import functools
import inspect
import warnings
from typing import Any

_MODEL = ("batch_size",)  # fields that the model's flags have already


def add_all(commands: Any) -> None:
    """Add a command for every study that has `Options`; one of another package that breaks is left out, and named."""
    from attribeval.benchmarks.registry import STUDIES, part, studies

    for name in studies():
        try:
            found = getattr(part(name, "options"), "Options", None)
            if found is not None:
                _add(commands, name, found)
        except Exception as error:
            if name in STUDIES:
                raise
            warnings.warn(f"The study {name!r} is left out: {type(error).__name__}: {error}.", stacklevel=2)


def _add(commands: Any, name: str, options: type) -> None:
    from attribeval.cli.arguments import add as add_options
    from attribeval.cli.data import add_data
    from attribeval.cli.options import add_model

    said = inspect.cleandoc(options.__doc__ or name).splitlines()[0].rstrip(".")
    command = commands.add_parser(name, help=said.replace("%", "%%"))
    add_data(command)
    add_options(command, options, without=_MODEL)
    command.add_argument("-o", "--output", metavar="DIR", help="folder for table, pictures and report")
    add_model(command)
    command.set_defaults(
        run=functools.partial(run, name=name, options=options), check=functools.partial(check, options=options)
    )


def check(args: argparse.Namespace, options: type) -> dict[str, Any]:
    """The study's options as they were typed, checked by its dataclass."""
    from attribeval.cli.arguments import given
    from attribeval.cli.data import check_data

    found = given(args, options, without=_MODEL)
    options(**found)
    check_data(args)
    return found


def run(args: argparse.Namespace, name: str, options: type) -> int:
    """Measure, print, save; 1 if something failed."""
    from pathlib import Path

    from attribeval.benchmarks.registry import part
    from attribeval.cli.data import read_data
    from attribeval.cli.options import make_attributer
    from attribeval.cli.report import write_pictures_and_page
    from attribeval.report.views import terminal_text
    from attribeval.runs.failures import exit_code

    found = check(args, options)
    attributer = make_attributer(args)
    dataset = read_data(args, classifier=attributer.classifier)
    procedure: Any = part(name, "procedure")
    result = procedure.run(attributer, dataset, **found)
    print(terminal_text(result))
    print("\n" + "\n".join(result.summary))
    if args.output:
        folder = result.save(Path(args.output))
        print(f"\n{write_pictures_and_page(result, folder)}")
    return exit_code(result)
