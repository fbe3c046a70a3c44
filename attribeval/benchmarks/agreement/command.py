"""`attribeval agreement`: does a cheap score rank methods as retraining does?"""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Add the command to the parser."""
    from attribeval.benchmarks.agreement.options import AgreementOptions
    from attribeval.cli.arguments import add as add_options
    from attribeval.cli.options import add_output

    command = commands.add_parser("agreement", help="which scores rank methods as ROAR, KAR or BAM do, from saved runs")
    command.add_argument("results", nargs="+", metavar="RUN_DIR", help="folders with results in them or below them")
    add_options(command, AgreementOptions, without=["results"])
    add_output(command)
    command.set_defaults(run=run, check=check)


def check(args: argparse.Namespace) -> dict[str, Any]:
    """The options as they were typed, and whether there is anything to read."""
    from attribeval.benchmarks.agreement.options import AgreementOptions
    from attribeval.cli.arguments import read
    from attribeval.results.find import find_results

    find_results(args.results)
    return read(args, AgreementOptions)


def run(args: argparse.Namespace) -> int:
    """Correlate, print, save; 1 if a score could not be judged."""
    from attribeval.benchmarks.agreement.options import AgreementOptions
    from attribeval.benchmarks.agreement.procedure import run_agreement
    from attribeval.cli.outputs import show

    return show(run_agreement(AgreementOptions(**check(args))), args.output)
