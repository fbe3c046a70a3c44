"""`attribeval bam`: relative feature importance; build the data, train and measure, report."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from attribeval.benchmarks.bam.options import BamOptions
from attribeval.cli.arguments import add as add_options
from attribeval.cli.arguments import read
from attribeval.cli.options import add_images, add_output, add_run_dir, add_seed
from attribeval.cli.outputs import show
from attribeval.errors import AttribevalError, unknown
from attribeval.quiet import load_tensorflow

_NAMES = {"images": "limit"}  # --images are paths
_WHERE = "where its files go (default: RUN_DIR/report)"


def add(commands: Any) -> None:
    """Add the command and its parts to the parser."""
    command = commands.add_parser("bam", help="BAM: relative feature importance (MCS, IDR, IIR, TCAV)")
    parts = command.add_subparsers(dest="part", metavar="PART", required=True)

    build = parts.add_parser("build", help="paste COCO's objects into scenes of yours; may be called again to go on")
    build.add_argument("folder", metavar="FOLDER", help="where the data go")
    build.add_argument("--coco", required=True, metavar="FILE", help="COCO's instances_*.json")
    add_images(build, required=True, help="folder of the images that it names")
    build.add_argument("--scenes", required=True, metavar="DIR", help="a folder of images per scene class")
    build.add_argument("--object-classes", nargs="+", metavar="NAME", help="default: the article's ten")
    build.add_argument("--scene-classes", nargs="+", metavar="NAME", help="default: all folders of --scenes")
    build.add_argument(
        "--scene-annotations", metavar="FILE", help="COCO's format: scenes that hold an object are left out"
    )
    build.add_argument("--size", type=int, default=128, help="side of the images in pixels (default: 128)")
    build.add_argument("--per-pair", type=int, default=1000, help="images per object and scene class (default: 1000)")
    build.add_argument("--test-share", type=float, default=0.1, help="share of them for testing (default: 0.1)")
    build.add_argument("--smallest", type=int, default=32, help="least longer side of an object, pixels (default: 32)")
    build.add_argument("--jobs", type=int, help="threads (default: all cores)")
    add_seed(build)
    build.set_defaults(run=_build, check=_check_build)

    start = parts.add_parser("run", help="train what is missing, measure what is missing, report")
    add_options(start, BamOptions, names=_NAMES, without=["feature"])
    start.add_argument("--feature", default="0", help="object class that is the common feature, name or index (0)")
    start.add_argument(
        "--train", type=int, default=20_000, metavar="N", help="embedded training images (default: 20000)"
    )
    start.add_argument("--test", type=int, default=10_000, metavar="N", help="embedded test images (default: 10000)")
    start.add_argument("--size", type=int, default=48, help="side of the embedded images (default: 48)")
    start.add_argument("--weights", default="imagenet", help="of resnet50: imagenet, a file without top, or none")
    start.add_argument("--steps", type=int, help="optimiser steps of f_o, f_s, f_∅s (default: the net's recipe)")
    start.add_argument("--series-steps", type=int, help="of the f_k (default: the net's recipe)")
    add_output(start, _WHERE)
    start.set_defaults(run=_run, check=_check_run, sets_of_methods=("all",))

    again = parts.add_parser("report", help="tables, pictures and one HTML page of a finished run")
    add_run_dir(again, "the folder of the run", required=True)
    add_output(again, _WHERE)
    again.set_defaults(run=_report, check=_check_report)


def _check_build(args: argparse.Namespace) -> Any:
    """The objects' classes, and the one folder of images."""
    from attribeval.datasets.bam_sources import PAPER_OBJECTS

    if len(args.images) > 1:
        raise AttribevalError(f"Expected one folder as --images. Received: {' '.join(args.images)}.")
    if not 0 < args.test_share < 1:
        raise AttribevalError(f"Expected --test-share between 0 and 1. Received: {args.test_share}.")
    return args.object_classes or PAPER_OBJECTS


def _check_run(args: argparse.Namespace) -> dict[str, Any]:
    """The study's options as they were typed, checked; of the feature's class only that a number is one."""
    options = read(args, BamOptions, names=_NAMES, without=["feature"])
    if args.data != "digits" and not Path(args.data).is_dir():
        raise AttribevalError(f"Expected --data digits, or a folder of `bam build`. Received: {args.data!r}.")
    return options


def _check_report(args: argparse.Namespace) -> None:
    if not (Path(args.run_dir) / "report").is_dir():
        raise AttribevalError(f"Expected the folder of a finished run. Received {args.run_dir}, which has no report.")


def _build(args: argparse.Namespace) -> None:
    from attribeval.datasets.bam_build import build_bam
    from attribeval.datasets.bam_sources import coco_objects, images_holding, scene_folders

    classes = _check_build(args)
    objects = coco_objects(args.coco, args.images[0], classes, args.smallest)
    exclude = images_holding(args.scene_annotations, classes) if args.scene_annotations else ()
    scenes = scene_folders(args.scenes, args.scene_classes, exclude)
    made = build_bam(
        args.folder,
        objects,
        scenes,
        size=args.size,
        per_pair=args.per_pair,
        test_share=args.test_share,
        seed=args.seed,
        jobs=args.jobs,
    )
    print(f"{args.folder}: {len(made.train)} training and {len(made.test)} test images")


def _run(args: argparse.Namespace) -> int:
    """Measure, print, save; 1 if something failed."""
    load_tensorflow()

    from attribeval.benchmarks.bam.plan import PAPER_METHODS
    from attribeval.benchmarks.bam.procedure import run_bam
    from attribeval.runs.failures import exit_code

    options = _check_run(args)
    data = _data(args)
    options |= {"data": data, "methods": _methods(args.methods, PAPER_METHODS), "net": _net(args)}
    result = run_bam(**options, feature=_feature(args.feature, data.train.object_names))
    result.save(Path(args.run_dir) / "report")
    _report(args)
    return exit_code(result)


def _data(args: argparse.Namespace) -> Any:
    if args.data == "digits":
        from attribeval.datasets.bam import digits

        return digits(size=args.size, n_train=args.train, n_test=args.test, seed=args.seed)
    from attribeval.datasets.bam_layout import read_bam

    return read_bam(args.data)


def _methods(given: list[str] | None, default: tuple[str, ...]) -> list[str]:
    """The methods; "all" are those of the table that run by their name on any net, and the article's."""
    if given != ["all"]:
        return given or list(default)
    from attribeval.methods.registry import known, needs_attention, standalone

    on_any_net = [name for name in standalone() if not needs_attention(known()[name])]
    return list(dict.fromkeys([*default, *_WRAPPED, *on_any_net]))


_WRAPPED = (
    "smoothgrad_squared(gradient)",
    "vargrad(gradient)",
    "smoothgrad(guided_backprop)",
    "vargrad(guided_backprop)",
)


def _net(args: argparse.Namespace) -> Any:
    from attribeval.benchmarks.bam.nets import find_net

    weights = None if args.weights == "none" else args.weights
    net = find_net(args.net, **({"weights": weights} if args.net == "resnet50" else {}))
    if args.steps is not None:
        net = dataclasses.replace(net, recipe=dataclasses.replace(net.recipe, epochs=None, steps=args.steps))
    if args.series_steps is not None:
        series = dataclasses.replace(net.series_recipe or net.recipe, epochs=None, steps=args.series_steps)
        net = dataclasses.replace(net, series_recipe=series)
    return net


def _feature(text: str, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    raise unknown("object class", text, names)


def _report(args: argparse.Namespace) -> None:
    from attribeval.results.result import Result

    saved = Path(args.run_dir) / "report"
    show(Result.load(saved), args.output or saved)
