"""`attribeval roar`: remove or keep, and retrain; plan it, run it, look at it, report it."""

from __future__ import annotations

import argparse
from typing import Any

_COMMAND = "command.txt"  # in the run directory
_FRACTIONS = [0.1, 0.3, 0.5, 0.7, 0.9]


def add(commands: Any) -> None:
    """Add the command and its four parts to the parser."""
    from attribeval.cli.options import add_run_dir

    command = commands.add_parser("roar", help="ROAR and KAR: remove or keep, retrain, and say who beats chance")
    parts = command.add_subparsers(dest="part", metavar="PART", required=True)

    plan = parts.add_parser("plan", help="what a grid will take: cells, passes, bytes, hours; nothing is written")
    _add_grid(plan)
    plan.add_argument("--devices", type=int, nargs="+", default=[1, 2, 4, 8, 16, 64], metavar="N", help="for the hours")
    plan.add_argument("--strategy", default="auto", help="to time: auto, one_device or mirrored (default: auto)")
    plan.set_defaults(run=_plan)

    start = parts.add_parser("run", help="do what is missing of a grid; may be called again, and by many at once")
    add_run_dir(start, "the folder of the grid; without --data, one that is there", required=True)
    _add_grid(start, needs_data=False)
    work = start.add_argument_group("work")
    work.add_argument("--executor", default="local", help="local, ray or slurm (default: local)")
    work.add_argument("--jobs", type=int, default=1, help="cells at a time on this machine (default: 1)")
    work.add_argument("--gpus-per-job", type=int, metavar="N", help="GPUs of each (default: all)")
    work.add_argument("--strategy", default="auto", help="auto, one_device, mirrored or multi_worker (default: auto)")
    work.add_argument("--executor-option", nargs="+", default=[], metavar="NAME=VALUE", help="for ray or slurm")
    start.set_defaults(run=_run, grid_defaults=_grid_defaults())

    for name, what, run in (
        ("status", "what is done, running, failed and left", _status),
        ("report", "table, curves and one HTML page of what is there", _report),
    ):
        part = parts.add_parser(name, help=what)
        add_run_dir(part, "the folder of the grid", required=True)
        if name == "report":
            part.add_argument("-o", "--output", metavar="DIR", help="where its files go (default: RUN_DIR/report)")
        part.set_defaults(run=run)


def _add_grid(command: argparse.ArgumentParser, needs_data: bool = True) -> None:
    """Options that say what the grid is."""
    from attribeval.cli.options import add_methods, add_targets

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
    data.add_argument("--preprocess", help="between raw images and the model: caffe, tf, … (resnet50 … know theirs)")
    data.add_argument("--geometry", choices=["resized", "cropped"], help="how files become squares: squashed whole, or "
                      "centre, the short side 8/7 of it (default: resized; of official sets cropped)")  # fmt: skip
    data.add_argument("--checkpoint", metavar="FILE", help="trained .keras model to explain (default: trained here)")
    grid = command.add_argument_group("grid")
    add_methods(grid, help="default: the paper's 15, random and sobel")
    grid.add_argument("--fractions", type=float, nargs="+", default=_FRACTIONS, metavar="T", help="default: .1 .3 … .9")
    grid.add_argument("--modes", nargs="+", choices=["remove", "keep"], default=["remove", "keep"])
    grid.add_argument("--repeats", type=int, default=5, help="trainings of each (default: 5)")
    grid.add_argument("--controls", nargs="+", choices=["leakage", "max_filter", "recursive"], default=[])
    grid.add_argument("--recipe", help="small, cifar10, imagenet, birdsnap or food101 (default: the official set's, "
                      "else small)")  # fmt: skip
    grid.add_argument("--epochs", type=float, help="instead of the recipe's")
    grid.add_argument("--learning-rate", type=float, help="the schedule's peak, instead of the recipe's")
    grid.add_argument("--batch-size", type=int, metavar="N", help="images per step, instead of the recipe's")
    grid.add_argument("--precision", choices=["float32", "tf32", "bfloat16", "float16"], help="instead of the recipe's")
    grid.add_argument("--per", choices=["value", "pixel"], default="value", help="what is ranked (default: value)")
    grid.add_argument("--fill", default="mean", help="mean, blur, linear or a number (default: mean)")
    add_targets(grid, "predicted")
    grid.add_argument("--seed", type=int, default=0, help="seed of everything random (default: 0)")


def _grid_defaults() -> dict[str, Any]:
    """Options of the grid and their defaults."""
    probe = argparse.ArgumentParser(add_help=False)
    _add_grid(probe, needs_data=False)
    return vars(probe.parse_args([]))


def _plan(args: argparse.Namespace) -> None:
    request = _request(args)
    from attribeval.benchmarks.roar.plan import make_plan

    print(make_plan(request, args.strategy).text(tuple(args.devices)))


def _run(args: argparse.Namespace) -> int:
    from attribeval.cli.options import parse_options
    from attribeval.quiet import load_tensorflow

    if args.data is None:
        _refuse_grid_options(args)
    load_tensorflow()
    from attribeval.benchmarks.roar import procedure

    work = {
        "executor": args.executor,
        "jobs": args.jobs,
        "gpus_per_job": args.gpus_per_job,
        "executor_options": parse_options(args.executor_option),
    }
    if args.data is None:
        procedure.continue_roar(args.run_dir, strategy=args.strategy, **work)
    else:
        try:
            procedure.run_roar(run_dir=args.run_dir, strategy=args.strategy, **work, **_arguments(args))
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


def _keep_command(run_dir: str) -> None:
    """Keep the command that said what the grid is: those that go on with it, or report it, name the folder alone."""
    from pathlib import Path

    from attribeval.files import write_atomic
    from attribeval.results.command import running_command

    command = running_command()
    if command is not None and Path(run_dir).is_dir():
        write_atomic(Path(run_dir) / _COMMAND, lambda file: file.write(command.encode()))


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
    from pathlib import Path

    from attribeval.benchmarks.roar.procedure import report
    from attribeval.benchmarks.roar.run_dir import RunDir
    from attribeval.cli.report import write_pictures_and_page
    from attribeval.report.roar_terminal import roar_table

    result = report(RunDir.existing(args.run_dir))
    kept = Path(args.run_dir) / _COMMAND
    if kept.is_file():
        result.command = kept.read_text(encoding="utf-8")
    folder = result.save(Path(getattr(args, "output", None) or Path(args.run_dir) / "report"))
    page = write_pictures_and_page(result, folder, "curves", "ROAR and KAR")
    print(roar_table(result))
    print("\n" + "\n".join(result.summary))
    print(f"\n{page}")


def _request(args: argparse.Namespace) -> Any:
    from attribeval.quiet import load_tensorflow

    load_tensorflow()
    from attribeval.benchmarks.roar.request import make_request

    return make_request(**_arguments(args))


def _arguments(args: argparse.Namespace) -> dict[str, Any]:
    """What the options say, as `procedure.run_roar` and `request.make_request` take it."""
    import dataclasses

    from attribeval.benchmarks.roar.grid import PAPER_CONTROLS, PAPER_ESTIMATORS
    from attribeval.benchmarks.roar.paper import TREATMENTS, Treatment
    from attribeval.datasets.official import official_name
    from attribeval.training.recipe import find_recipe

    name = official_name(args.data)
    usual = Treatment() if name is None else TREATMENTS[name]
    dataset = _dataset(args)
    builder, preprocess = _builder(args, dataset, usual)
    recipe = find_recipe(args.recipe or usual.recipe)
    if args.epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=args.epochs, steps=None)
    given = {key: getattr(args, key) for key in ("learning_rate", "batch_size", "precision")}
    recipe = dataclasses.replace(recipe, **{key: value for key, value in given.items() if value is not None})
    return {
        "build_model": builder,
        "dataset": dataset,
        "methods": args.methods or (*PAPER_ESTIMATORS, *PAPER_CONTROLS),
        "fractions": args.fractions,
        "modes": args.modes,
        "repeats": args.repeats,
        "controls": args.controls,
        "recipe": recipe,
        "preprocess": preprocess,
        "geometry": args.geometry or usual.geometry,
        "per": args.per,
        "fill": _fill(args.fill),
        "targets": args.targets,
        "checkpoint": args.checkpoint,
        "seed": args.seed,
    }


def _dataset(args: argparse.Namespace) -> Any:
    from pathlib import Path

    from attribeval.common.options import check_count
    from attribeval.datasets import TrainTest, digit_scenes, folders, npz
    from attribeval.datasets.official import official, official_name

    for name in ("train", "test"):
        if getattr(args, name) is not None:
            check_count(f"--{name}", getattr(args, name), 1)
    if args.data == "digits":
        train, test = (default if n is None else n for n, default in ((args.train, 5000), (args.test, 1000)))
        made = digit_scenes(size=args.size, n_train=train, n_test=test)
        return TrainTest(made.train.samples(), made.test.samples())
    if official_name(args.data) is not None:
        parts = official(args.data)
    else:
        parts = folders(args.data) if Path(args.data).is_dir() else npz(args.data)
    return TrainTest(_spread(parts.train, args.train), _spread(parts.test, args.test))


def _spread(samples: Any, n: int | None) -> Any:
    """So many of the images, evenly spread: folders list one class after another."""
    return samples if n is None or n >= len(samples) else samples[[len(samples) * i // n for i in range(n)]]


def _builder(args: argparse.Namespace, dataset: Any, usual: Any) -> tuple[Any, str | None]:
    """A function that returns the untrained model, and the preprocessing that goes with it."""
    import numpy as np

    from attribeval.errors import AttribevalError

    train, word = dataset.train, args.builder or usual.builder
    classes = len(train.class_names) if train.class_names is not None else int(train.labels.max()) + 1
    if word == "small":
        from attribeval.models.small_net import small_net

        in_memory = isinstance(train.images, np.ndarray)
        shape = train.images.shape[1:] if in_memory else (args.size, args.size, 3)
        return lambda: small_net(shape, classes), args.preprocess
    if ":" in word:
        from attribeval.importable import function_in_file

        file, _, name = word.rpartition(":")
        return function_in_file(file, name), args.preprocess
    from attribeval.models.zoo import NETWORKS, untrained

    if word not in NETWORKS:
        raise AttribevalError(
            f"Expected --builder small, {', '.join(NETWORKS)} or FILE.py:FUNCTION. Received: {word!r}."
        )
    return lambda: untrained(word, classes), args.preprocess or usual.preprocess or NETWORKS[word].preprocess


def _fill(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
