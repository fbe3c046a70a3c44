"""`attribeval sanity`: do the maps change when the model's weights, or the labels that it learned from, are random?"""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Add the command to the parser."""
    from attribeval.cli.options import add_images, add_methods, add_model, add_run_dir, add_seed

    command = commands.add_parser("sanity", help="sanity checks: maps of the model against those of random weights")
    data = command.add_argument_group("data (one of these; none: embedded digits for the embedded nets, else three "
                                      "photographs of scikit-image)")  # fmt: skip
    data.add_argument("--folders", metavar="DIR", help="a folder for each class")
    data.add_argument("--imagenet", metavar="DIR", help="ImageNet folder (Kaggle, devkit or synset-folder layout)")
    add_images(data, help="image files")
    data.add_argument("--limit", type=int, default=32, help="only the first images (default: 32)")
    add_methods(command, default=["gradient", "gradcam", "guided_backprop"],
                help="methods to check (default: gradient gradcam guided_backprop)")  # fmt: skip
    command.add_argument("--modes", nargs="+", default=["cascading", "independent"], metavar="MODE",
                         help="cascading, independent (default: both)")  # fmt: skip
    command.add_argument("--similarities", nargs="+", metavar="NAME",
                         help="spearman_abs, spearman, ssim, hog (default: all that the maps allow)")  # fmt: skip
    command.add_argument("--layers", nargs="+", metavar="N|NAME",
                         help="how many layers to stop at, or which (default: all with weights)")  # fmt: skip
    command.add_argument("--statistics", action="store_true", help="BatchNorm's moving statistics go back too")
    command.add_argument("--permuted", metavar="MODEL",
                         help="instead: compare with this model, which was trained on permuted labels")  # fmt: skip
    add_run_dir(command, "keep what is measured here; call again to continue")
    command.add_argument("-o", "--output", metavar="DIR", help="folder for table, plots and report")
    add_seed(command)
    add_model(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Measure, print, save."""
    from pathlib import Path

    from attribeval.cli.options import make_attributer

    attributer = make_attributer(args)  # before anything that imports TensorFlow, to keep it quiet
    from attribeval.cli.report import write_pictures_and_page
    from attribeval.report.sanity_terminal import sanity_text

    result = _permuted(attributer, args) if args.permuted else _random(attributer, args)
    print(sanity_text(result))
    print("\n" + "\n".join(result.summary))
    if args.output:
        folder = result.save(Path(args.output))
        print("\n" + str(write_pictures_and_page(result, folder, "sanity", "Sanity checks")))


def _random(attributer: Any, args: argparse.Namespace) -> Any:
    from attribeval.benchmarks.sanity.procedure import run_sanity

    return run_sanity(
        attributer,
        _images(attributer, args),
        args.methods,
        modes=args.modes,
        similarities=args.similarities,
        layers=_layers(args.layers),
        statistics=args.statistics,
        seed=args.seed,
        run_dir=args.run_dir,
    )


def _permuted(attributer: Any, args: argparse.Namespace) -> Any:
    from attribeval.attributer import Attributer
    from attribeval.benchmarks.sanity.data_randomisation import run_data_randomisation
    from attribeval.cli.options import read_output
    from attribeval.errors import AttribevalError

    if args.run_dir or args.layers or args.statistics or args.modes != ["cascading", "independent"]:
        raise AttribevalError(
            "--modes, --layers, --statistics and --run-dir belong to random weights. Received them with --permuted."
        )
    other = Attributer(args.permuted, preprocess=args.preprocess, target_layer=args.target_layer, task=args.task,
                       output=read_output(args.model_output),
                       batch_size=args.batch_size)  # fmt: skip
    images = _images(attributer, args)
    return run_data_randomisation(
        attributer, other, images, args.methods, similarities=args.similarities, seed=args.seed
    )


def _layers(words: list[str] | None) -> int | list[str] | None:
    if words is None:
        return None
    return int(words[0]) if len(words) == 1 and words[0].isdecimal() else words


def _images(attributer: Any, args: argparse.Namespace) -> Any:
    from attribeval import datasets
    from attribeval.errors import AttribevalError

    given = [name for name in ("imagenet", "folders", "images") if getattr(args, name)]
    if len(given) > 1:
        raise AttribevalError(f"Expected one data set. Received --{' and --'.join(given)}.")
    if args.limit < 1:
        raise AttribevalError(f"Expected --limit of 1 or more. Received: {args.limit}.")
    if args.imagenet:
        return datasets.imagenet(args.imagenet, limit=args.limit)
    if args.folders:
        return datasets.folder(args.folders, limit=args.limit)
    if args.images:
        return args.images[: args.limit]
    if args.model in ("digit_objects", "digit_scenes"):
        return datasets.digit_scenes(n_train=1, n_test=args.limit).test.samples()
    from attribeval.crosscheck import example_images

    return example_images(attributer.classifier.input_shape)[: args.limit]
