"""`attribeval crosscheck`: our methods beside the field's libraries, on the user's model."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any

from attribeval.cli.options import add_classes, add_images, add_model, add_seed, make_attributer, read_classes

_FORMS = (".1e", ".5f", ".2f", ".2f")


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("crosscheck", help="compare our methods with the field's libraries on a model")
    add_images(command, help="image files (default: three photographs of scikit-image)")
    add_classes(command)
    add_seed(command)
    add_model(command)
    command.set_defaults(run=run, check=check)


def check(args: argparse.Namespace) -> None:
    """Whether classes are such."""
    read_classes(args.targets)


def run(args: argparse.Namespace) -> None:
    """Print one table."""
    attributer = make_attributer(args)  # before anything that imports TensorFlow, to keep it quiet
    from attribeval.crosscheck import crosscheck
    from attribeval.report.terminal import text_table

    table = crosscheck(attributer, args.images, read_classes(args.targets), seed=args.seed)
    rows = []
    for row in table.itertuples():
        first, *more = textwrap.wrap(row.note, 60) or [""]
        values = (row.difference, row.spearman, row.seconds_ours, row.seconds_theirs)
        numbers = ["–" if v != v else format(v, form) for v, form in zip(values, _FORMS, strict=True)]  # NaN: not known
        rows.append([row.backend, row.method, *numbers, first])
        rows += [[""] * 6 + [line] for line in more]
    header = ["library", "method", "max |difference| / range", "Spearman", "our seconds", "its seconds", "note"]
    print(text_table(header, rows, right=(2, 3, 4, 5)))
