"""`attribeval report`: saved results, one or many, on one page."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attribeval.errors import AttribevalError
from attribeval.files import write_picture

if TYPE_CHECKING:
    from attribeval.results.result import Result


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("report", help="one HTML page about results that were saved, one or many")
    command.add_argument("paths", nargs="+", metavar="PATH", help="folders with results in them or below them")
    command.add_argument("-o", "--output", default="report.html", metavar="FILE", help="page (default: report.html)")
    command.add_argument("--title", default="attribeval report", help="heading of the page")
    command.add_argument("--table", metavar="FILE", help="also write the table: .tex, .md, .csv, .json or .parquet")
    command.add_argument("--columns", nargs="+", metavar="NAME", help="columns of --table, in this order; of .tex and "
                         ".md by the page's headings (default: all)")  # fmt: skip
    command.add_argument("--figure", metavar="NUMBER", help="instead of the page: a figure of the study's paper, by "
                         "its number there, as PNG: --figure 4 -o figure4.png")  # fmt: skip
    command.set_defaults(run=run, check=check)


def check(args: argparse.Namespace) -> None:
    """Whether there is anything to report."""
    from attribeval.results.find import find_results

    find_results(args.paths)


def run(args: argparse.Namespace) -> None:
    """Find results, write the page, say where it is."""
    from attribeval.plots import more_pictures
    from attribeval.report.page import write_report
    from attribeval.results.find import find_results
    from attribeval.results.result import Result

    folders = find_results(args.paths)
    results = [Result.load(folder) for folder in folders]
    if args.figure is not None:
        return _figure(args, results)
    names = _names(folders) if len(folders) > 1 else None
    pictures = [more_pictures(result) for result in results]
    for path in _tables(Path(args.table), results, names, args.columns) if args.table else ():
        print(path)
    print(write_report(args.output, results, pictures=pictures, title=args.title, names=names))


def _figure(args: argparse.Namespace, results: list[Result]) -> None:
    """Write one figure of one result."""
    if len(results) != 1:
        raise AttribevalError(f"Expected one result for --figure. Received {len(results)}: name its folder.")
    default = args.output == "report.html"
    path = Path(f"figure_{args.figure}.png" if default else args.output)
    write_picture(results[0].figure(args.figure), path)
    print(path)


def _names(folders: list[Path]) -> list[str]:
    """The folders without what all have in front, and without a last "report", which says nothing."""
    whole = [folder.resolve() for folder in folders]
    top = os.path.commonpath([folder.parent for folder in whole])
    short = [folder.relative_to(top).as_posix().removesuffix("/report") for folder in whole]
    return short if len(set(short)) == len(short) else [str(folder) for folder in folders]


def _tables(path: Path, results: list[Result], names: list[str] | None, columns: list[str] | None) -> list[Path]:
    """Write the table, or one for each result, named after it."""
    if names is None:
        return [results[0].write_table(path, columns)]
    files = [path.with_stem(f"{path.stem}-{name.replace('/', '-').lstrip('-')}") for name in names]
    return [result.write_table(file, columns) for result, file in zip(results, files, strict=True)]
