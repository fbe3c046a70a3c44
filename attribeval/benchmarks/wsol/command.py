"""`attribeval wsol`: how well do maps localise objects?"""

from __future__ import annotations

import argparse
from typing import Any

from attribeval.benchmarks.wsol.options import WsolOptions
from attribeval.cli.arguments import add as add_options
from attribeval.cli.arguments import read
from attribeval.cli.data import add_data, check_data, read_data
from attribeval.cli.options import add_model, add_output, make_attributer
from attribeval.cli.outputs import show
from attribeval.errors import AttribevalError


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("wsol", help="localisation: maps against the boxes or masks of objects")
    data = add_data(command)
    data.add_argument("--maps", metavar="DIR", help="score the map files <id>.npy below DIR instead of a model's maps")
    add_options(command, WsolOptions, without=["batch_size"])
    add_output(command)
    add_model(command, required=False)
    command.set_defaults(run=run, check=check)


def check(args: argparse.Namespace) -> dict[str, Any]:
    """The study's options as they were typed, checked, and what goes with what."""
    options = read(args, WsolOptions, without=["batch_size"])
    if args.maps and (args.geometry != "resized" or args.targets != "label" or args.run_dir):
        raise AttribevalError(
            "--geometry, --targets and --run-dir belong to a model's maps. Received them with --maps."
        )
    if args.maps is None and args.model is None:
        raise AttribevalError(
            "Expected --model, whose maps are scored, or --maps DIR with map files. Received neither."
        )
    check_data(args)
    return options


def run(args: argparse.Namespace) -> int:
    """Score, print, save; 1 if something failed."""
    from attribeval.results.numbers import share

    options = check(args)
    result, boxes = _of_files(args, options) if args.maps else _of_model(args, options)
    known = result.settings
    if "top1_accuracy" in known:
        five = f", top-5 {share(known['top5_accuracy'])}" if "top5_accuracy" in known else ""
        print(f"top-1 accuracy {share(known['top1_accuracy'])}{five}\n")
    pictures = {} if boxes is None else {"Boxes (of the best method at its threshold, over the true ones)": boxes}
    return show(result, args.output, pictures)


def _of_files(args: argparse.Namespace, options: dict[str, Any]) -> Any:
    """No model, and TensorFlow is not loaded."""
    from attribeval.benchmarks.wsol.map_files import evaluate_files

    return evaluate_files(args.maps, read_data(args), options), None


def _of_model(args: argparse.Namespace, options: dict[str, Any]) -> Any:
    from attribeval.evaluator import Evaluator

    attributer = make_attributer(args)
    dataset = read_data(args, classifier=attributer.classifier)
    result = Evaluator(attributer, dataset).wsol(**options)
    return result, _picture(attributer, dataset, result, args) if args.output else None


def _picture(attributer: Any, dataset: Any, result: Any, args: argparse.Namespace) -> Any:
    """A few photographs with the map and the box of the method that has the best MaxBoxAcc; None if none has one."""
    from attribeval.methods.abilities import at, of_images
    from attribeval.methods.given import methods_of, ranking
    from attribeval.metrics.localisation.maxboxacc import predicted_boxes
    from attribeval.plots import box_overlays

    rows = result.table[(result.table["metric"] == "MaxBoxAcc") & (result.table["kind"] == "method")]
    rows = rows[rows["value"].notna()]
    if rows.empty:
        return None
    best = rows.iloc[0]
    places = [i for i, boxes in enumerate(dataset.boxes) if len(boxes)][:12]
    some = dataset[places]
    images = attributer.read(some)
    methods = at(of_images(methods_of(args.methods), dataset, len(dataset)), places)
    targets = some.labels if args.targets == "label" else None
    maps = attributer.explain(images, {best["method"]: methods[best["method"]]}, targets, seed=args.seed)
    heat = maps.heatmap(ranking(methods[best["method"]]))
    names = some.class_names or attributer.classifier.class_names
    names = names or [f"class {k}" for k in range(attributer.classifier.classes)]
    return box_overlays(
        images,
        heat,
        predicted_boxes(heat, int(best["threshold"])),
        some.boxes_at(images.shape[1:3]),
        [f"{names[label].split(',')[0]}: {best['method']}" for label in some.labels],
    )
