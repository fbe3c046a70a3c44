"""`attribeval roar`: remove or keep, and retrain; plan it, run it, look at it, report it."""

from __future__ import annotations

import argparse
import dataclasses
import warnings
from pathlib import Path
from typing import Any

from attribeval.files import write_bytes
from attribeval.results.command import running_command

_NAMES = {"executor_options": "executor_option"}
_COMMAND = "command.json"  # in the folder of a grid: the command that said what it is


def add(commands: Any) -> None:
    """Add the command and its four parts to the parser."""
    from attribeval.benchmarks.roar.options import RoarOptions, WorkOptions
    from attribeval.cli.arguments import add as add_options
    from attribeval.cli.options import add_run_dir

    command = commands.add_parser("roar", help="ROAR and KAR: remove or keep, retrain, and say who beats chance")
    parts = command.add_subparsers(dest="part", metavar="PART", required=True)

    plan = parts.add_parser("plan", help="what a grid will take: cells, passes, bytes, hours; nothing is written")
    _add_grid(plan)
    plan.add_argument("--devices", type=int, nargs="+", default=[1, 2, 4, 8, 16, 64], metavar="N", help="for the hours")
    plan.add_argument("--strategy", default="auto", help="to time: auto, one_device or mirrored (default: auto)")
    plan.set_defaults(run=_plan, check=_check)

    start = parts.add_parser("run", help="do what is missing of a grid; may be called again, and by many at once")
    add_options(start, RoarOptions, only=["run_dir"])
    _add_grid(start, needs_data=False)
    add_options(start.add_argument_group("work"), WorkOptions, names=_NAMES, without=["callbacks"])
    _add_output(start)
    start.set_defaults(run=_run, check=_check, grid_defaults=_grid_defaults())

    for name, what, run in (
        ("status", "what is done, running, failed and left", _status),
        ("report", "table, curves and one HTML page of what is there", _report),
    ):
        part = parts.add_parser(name, help=what)
        add_run_dir(part, "the folder of the grid", required=True)
        if name == "report":
            _add_output(part)
        part.set_defaults(run=run, check=_check_existing)


def _add_grid(command: argparse.ArgumentParser, needs_data: bool = True) -> None:
    """Options that say what the grid is."""
    from attribeval.benchmarks.roar.options import GridOptions
    from attribeval.cli.arguments import add as add_options

    data = command.add_argument_group("data and model")
    data.add_argument(
        "--data",
        required=needs_data,
        metavar="WHAT",
        help="digits (embedded), a .npz file with x_train …, a folder with train/ and test/ by class, or an official "
        "set as its archive unpacks, its split: imagenet:DIR, birdsnap:DIR, food101:DIR, cub:DIR, cifar10:DIR",
    )
    data.add_argument("--size", type=int, default=48, help="side in pixels of digits, and of files for the small net")
    data.add_argument("--train", type=int, metavar="N", help="so many training images, spread evenly (digits: 5000)")
    data.add_argument("--test", type=int, metavar="N", help="so many test images, spread evenly (digits: 1000)")
    data.add_argument("--builder", help="small, resnet50, vgg16, inception_v3, or FILE.py:FUNCTION (default: small; "
                      "resnet50 for official sets but cifar10)")  # fmt: skip
    data.add_argument("--geometry", choices=["resized", "cropped"], help="how files become squares: squashed whole, or "
                      "centre, the short side 8/7 of it (default: resized; of official sets cropped)")  # fmt: skip
    about_data = ["preprocess", "checkpoint"]
    add_options(data, GridOptions, only=about_data)
    grid = command.add_argument_group("grid")
    add_options(grid, GridOptions, without=[*about_data, "geometry", "recipe"])
    grid.add_argument("--recipe", metavar="NAME", help="small, cifar10, imagenet, birdsnap or food101 (default: the "
                      "official set's, else small)")  # fmt: skip
    grid.add_argument("--epochs", type=float, help="instead of the recipe's")
    grid.add_argument("--learning-rate", type=float, help="the schedule's peak, instead of the recipe's")
    grid.add_argument("--batch-size", type=int, metavar="N", help="images per step, instead of the recipe's")
    grid.add_argument("--precision", choices=["float32", "tf32", "bfloat16", "float16"], help="instead of the recipe's")


def _add_output(part: argparse.ArgumentParser) -> None:
    from attribeval.cli.options import add_output

    add_output(part, "where its files go (default: RUN_DIR/report)")
    part.add_argument("--shown", type=int, default=0, metavar="N", help="test image of the paper's figures 1, 7 and 8 "
                      "(default: 0)")  # fmt: skip


def _check(args: argparse.Namespace) -> dict[str, Any]:
    """The grid's options as they were typed, checked; the work's too, and what the data and the model are."""
    from attribeval.benchmarks.roar.command.subject import check_data, find_builder, usual
    from attribeval.benchmarks.roar.options import GridOptions, WorkOptions
    from attribeval.cli.arguments import given, read
    from attribeval.training.recipe import find_recipe

    if "run_dir" in args:
        read(args, WorkOptions, names=_NAMES)
    if args.data is None:
        _refuse_grid_options(args)
        _check_existing(args)
        return {}
    check_data(args)
    treatment = usual(args.data)
    find_builder(args.builder or treatment.builder)
    options = given(args, GridOptions) | {"geometry": args.geometry or treatment.geometry}
    changed = {name: getattr(args, name) for name in ("epochs", "learning_rate", "batch_size", "precision")}
    changed = {name: value for name, value in changed.items() if value is not None}
    changed |= {"steps": None} if "epochs" in changed else {}
    options["recipe"] = dataclasses.replace(find_recipe(args.recipe or treatment.recipe), **changed)
    GridOptions(**options)
    return options


def _check_existing(args: argparse.Namespace) -> None:
    from attribeval.benchmarks.roar.run_dir import RunDir

    RunDir.existing(args.run_dir)


def _grid_defaults() -> dict[str, Any]:
    """Options of the grid and their defaults."""
    probe = argparse.ArgumentParser(add_help=False)
    _add_grid(probe, needs_data=False)
    return vars(probe.parse_args([]))


def _plan(args: argparse.Namespace) -> None:
    from attribeval.quiet import load_tensorflow

    options = _check(args)
    load_tensorflow()
    from attribeval.benchmarks.roar.plan import make_plan
    from attribeval.benchmarks.roar.request import make_request

    subject = _builder_and_data(args, options)
    print(make_plan(make_request(*subject, **options), args.strategy).text(tuple(args.devices)))


def _run(args: argparse.Namespace) -> int:
    from attribeval.benchmarks.roar.options import WorkOptions
    from attribeval.cli.arguments import given
    from attribeval.quiet import load_tensorflow

    options = _check(args)
    load_tensorflow()
    from attribeval.benchmarks.roar import procedure

    work = given(args, WorkOptions, names=_NAMES)
    if args.data is None:
        procedure.continue_roar(args.run_dir, **work)
    else:
        try:
            subject = _builder_and_data(args, options)
            procedure.run_roar(*subject, run_dir=args.run_dir, **options, **work)
        except KeyboardInterrupt:
            _keep_command(args.run_dir)
            raise
        _keep_command(args.run_dir)
    from attribeval.benchmarks.roar.run_dir import RunDir
    from attribeval.benchmarks.roar.status import status

    state = status(RunDir.existing(args.run_dir))
    if any(not name.startswith("unmodified_") for name in state.done):
        _report(args)
    return _tell_failures(state, args.run_dir)


def _refuse_grid_options(args: argparse.Namespace) -> None:
    """Without --data the folder says what the grid is; to extend it, the data and all of its options are needed."""
    from attribeval.errors import AttribevalError

    given = [name for name, default in args.grid_defaults.items() if getattr(args, name) != default]
    if given:
        raise AttribevalError(
            f"Expected --data together with --{given[0].replace('_', '-')}. Received none: without --data a run goes "
            "on with the grid that its folder holds; give --data and all options to change it."
        )


def _tell_failures(state: Any, run_dir: str) -> int:
    """1, and a line on standard error, if trainings failed."""
    import sys

    if not state.failed:
        return 0
    total = sum(map(len, (state.done, state.running, state.failed, state.left)))
    print(
        f"attribeval roar: {len(state.failed)} of {total} trainings failed: attribeval roar status {run_dir} says "
        "why; the same command tries them again.",
        file=sys.stderr,
    )
    return 1


def _status(args: argparse.Namespace) -> None:
    from attribeval.benchmarks.roar.run_dir import RunDir
    from attribeval.benchmarks.roar.status import status

    print(status(RunDir.existing(args.run_dir)).text())


def _report(args: argparse.Namespace) -> None:
    from attribeval.benchmarks.roar.procedure import report
    from attribeval.benchmarks.roar.run_dir import RunDir
    from attribeval.cli.outputs import show

    result = report(RunDir.existing(args.run_dir), args.shown)
    result.command = _kept_command(args.run_dir)
    show(result, args.output or Path(args.run_dir) / "report")


def _builder_and_data(args: argparse.Namespace, options: dict[str, Any]) -> tuple[Any, Any]:
    """What is trained, and on what; the preprocessing that goes with it becomes one of the options."""
    from attribeval.benchmarks.roar.command.subject import read_builder, read_dataset

    dataset = read_dataset(args)
    builder, options["preprocess"] = read_builder(args, dataset)
    return builder, dataset


def _keep_command(run_dir: str) -> None:
    """Keep the command that said what the grid is: those that go on with it, or report it, name the folder alone."""
    from attribeval.sealed import json_bytes  # loads NumPy, which --help does not need

    command = running_command()
    if command is not None and Path(run_dir).is_dir():
        write_bytes(Path(run_dir) / _COMMAND, json_bytes(command))


def _kept_command(run_dir: str) -> str | None:
    """What `_keep_command` wrote; None if it is not there, or damaged."""
    from attribeval.sealed import Damaged, read_json

    file = Path(run_dir) / _COMMAND
    try:
        return str(read_json(file.read_bytes()))
    except FileNotFoundError:
        return None
    except Damaged as error:
        warnings.warn(f"{file} is damaged ({error}): the report does not say which command made it.", stacklevel=2)
        return None
