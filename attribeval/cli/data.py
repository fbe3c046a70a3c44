"""Options that say which labelled images a command works on, and how they become `Samples`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from attribeval.cli.options import add_images, read_class_names
from attribeval.errors import AttribevalError


def add_data(command: argparse.ArgumentParser, plain: bool = False) -> Any:
    """Add the options; returns their group, for what a command adds to them.

    A command that is `plain` also takes photographs of which nothing else is known.
    """
    data = command.add_argument_group(
        "data (one of these; none: the embedded digit scenes, with --model digit_objects)"
    )
    data.add_argument("--imagenet", metavar="DIR", help="ImageNet folder (Kaggle, devkit or synset-folder layout)")
    data.add_argument("--folders", metavar="DIR", help="a folder for each class, called as the model's classes are; "
                      "with --boxes the table's boxes")  # fmt: skip
    data.add_argument("--metadata", metavar="DIR", help="one split of wsolevaluation's metadata (image_ids.txt, …)")
    data.add_argument("--coco", metavar="FILE", help="COCO instances_*.json; an item is an image and a category in it")
    data.add_argument("--boxes", metavar="CSV", help="a table of boxes: image, x0, y0, x1, y1 (pixels), label")
    data.add_argument(
        "--class-index", metavar="FILE", help="which class of the model a folder, category or label is: JSON "
        "{'dog': 207} in double quotes, or Keras' class index, for names and WNIDs (default: the model's names)",
    )  # fmt: skip
    alone = "; or, alone, image files" if plain else ""
    add_images(data, help=f"folder of the images that --metadata, --coco or --boxes name{alone}")
    data.add_argument("--masks", metavar="DIR", help="folder of mask files named in the metadata (default: with them)")
    data.add_argument("--limit", type=int, help="only the first images")
    return data


def check_data(args: argparse.Namespace, plain: bool = False) -> None:
    """Refuse options that name no data set, or several; see `read_data`."""
    given = _given(args)
    if len(given) > 1 and given != ["folders", "boxes"]:
        raise AttribevalError(f"Expected one data set. Received --{' and --'.join(given)}.")
    if plain and args.images and not given:
        return
    if args.images and (len(args.images) > 1 or given in ([], ["imagenet"]) or args.folders):
        raise AttribevalError(
            "Expected --images to be the one folder of the images that --metadata, --coco or --boxes name. "
            f"Received: {' '.join(args.images)}{''.join(f' with --{name}' for name in given)}."
        )
    if not given and args.model != "digit_objects":
        raise AttribevalError(
            "Expected --imagenet DIR, --folders DIR, --metadata DIR, --coco FILE or --boxes CSV (or --model "
            "digit_objects for the embedded data). Received none."
        )


def _given(args: argparse.Namespace) -> list[str]:
    return [name for name in ("imagenet", "folders", "metadata", "coco", "boxes") if getattr(args, name)]


def read_data(args: argparse.Namespace, plain: bool = False, classifier: Any = None) -> Any:
    """The data set that the options name; the embedded digit scenes for the model digit_objects.

    Args:
        args: Of the command line.
        plain: Whether image files alone will do; they come back as paths, all else as `Samples`.
        classifier: Of the model, by whose class names folders, categories and labels are found; None: not known.
    """
    from attribeval import datasets

    check_data(args, plain)
    if plain and args.images and not _given(args):
        return args.images[: args.limit]
    folder = args.images[0] if args.images else ""
    if args.imagenet:
        return datasets.imagenet(args.imagenet, limit=args.limit)
    index = _class_index(args, classifier)
    if args.folders:
        return _folders(args, index, classifier)
    if args.metadata:
        return datasets.wsol_metadata(args.metadata, folder, args.masks, args.limit)
    if args.coco:
        return _coco(args, folder, index, classifier)
    if args.boxes:
        return datasets.box_table(args.boxes, folder, class_names=index)[: args.limit]
    return datasets.digit_scenes().test.samples(label="object")[: args.limit]


def _class_index(args: argparse.Namespace, classifier: Any) -> Any:
    """Which class is called what: by --class-index, else by the model's names; None: not known."""
    from attribeval.datasets import read_class_index

    if args.class_index:
        return read_class_index(args.class_index)
    if classifier is not None:
        return classifier.class_names
    return read_class_names(args.class_names) if args.class_names else None


def _check_known(index: Any, classifier: Any, count: int, what: str) -> None:
    """Refuse classes without names, unless there are as many as the model has."""
    if index is None and classifier is not None and count != classifier.classes:
        raise AttribevalError(
            f"Expected to know which of the model's {classifier.classes} classes the {count} {what} are. Received no "
            "names: pass --class-names or --class-index FILE."
        )


def _folders(args: argparse.Namespace, index: Any, classifier: Any) -> Any:
    """One folder of class folders, with the boxes of a table, if there is one."""
    import numpy as np

    from attribeval import datasets

    samples = datasets.folder(args.folders, limit=args.limit)
    if index is not None:
        samples = datasets.to_classes(samples, index)
    _check_known(index, classifier, len(samples.class_names or ()), f"folders of {args.folders!r}")
    if not args.boxes:
        return samples
    table = datasets.box_table(args.boxes, args.folders, class_names=index)
    unknown = sorted(set(table.ids) - set(samples.ids)) if args.limit is None else []
    if unknown:
        raise AttribevalError(
            f"Expected images of {args.folders!r} in {args.boxes!r}, called class/file. Received {unknown[0]!r}."
        )
    known = dict(zip(table.ids, table.boxes or (), strict=True))
    boxes = [known.get(name, np.empty((0, 4))) for name in samples.ids]
    return datasets.Samples(
        samples.images, samples.labels, boxes=boxes, ids=samples.ids,
        class_names=samples.class_names, exif=False, name=samples.name,
    )  # fmt: skip


def _coco(args: argparse.Namespace, folder: str, index: Any, classifier: Any) -> Any:
    """Pairs of image and category whose category is a class of the model; the others are counted."""
    from attribeval import datasets
    from attribeval.datasets.class_labels import ClassIndex
    from attribeval.datasets.coco import coco_categories
    from attribeval.datasets.listed import some

    categories = coco_categories(args.coco)
    _check_known(index, classifier, len(categories), f"categories of {args.coco!r}")
    left_out = [] if index is None else [name for name in categories if ClassIndex.of(index).find(name) is None]
    if left_out:
        print(
            f"{len(left_out)} of {len(categories)} categories are no classes of the model and left out: "
            f"{some(left_out, 5)}",
            file=sys.stderr,
        )
    return datasets.coco(args.coco, folder, class_index=index, limit=args.limit)
