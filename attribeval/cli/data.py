"""Options that say which labelled images a command works on, and how they become `Samples`."""

from __future__ import annotations

import argparse
from typing import Any


def add_data(command: argparse.ArgumentParser) -> Any:
    """Add the options; returns their group, for what a command adds to them."""
    data = command.add_argument_group(
        "data (one of these; none: the embedded digit scenes, with --model digit_objects)"
    )
    data.add_argument("--imagenet", metavar="DIR", help="ImageNet folder (Kaggle, devkit or synset-folder layout)")
    data.add_argument("--metadata", metavar="DIR", help="one split of wsolevaluation's metadata (image_ids.txt, …)")
    data.add_argument("--coco", metavar="FILE", help="COCO instances_*.json; an item is an image and a category in it")
    data.add_argument("--boxes", metavar="CSV", help="a table of boxes: image, x0, y0, x1, y1 (pixels), label")
    data.add_argument("--images", metavar="DIR", default="", help="folder of the images (for all but --imagenet)")
    data.add_argument("--masks", metavar="DIR", help="folder of mask files named in the metadata (default: with them)")
    data.add_argument("--limit", type=int, help="only the first images")
    return data


def read_data(args: argparse.Namespace) -> Any:
    """The data set that the options name; the embedded digit scenes for the model digit_objects.

    Raises:
        AttribevalError: If they name none, or several.
    """
    from attribeval import datasets
    from attribeval.errors import AttribevalError

    given = [name for name in ("imagenet", "metadata", "coco", "boxes") if getattr(args, name)]
    if len(given) > 1:
        raise AttribevalError(f"Expected one data set. Received --{' and --'.join(given)}.")
    if args.imagenet:
        return datasets.imagenet(args.imagenet, limit=args.limit)
    if args.metadata:
        return datasets.wsol_metadata(args.metadata, args.images, args.masks, args.limit)
    if args.coco:
        return datasets.coco(args.coco, args.images, limit=args.limit)
    if args.boxes:
        return datasets.box_table(args.boxes, args.images)[: args.limit]
    if args.model == "digit_objects":
        return datasets.digit_scenes().test.samples(label="object")[: args.limit]
    raise AttribevalError(
        "Expected --imagenet DIR, --metadata DIR, --coco FILE or --boxes CSV (or --model digit_objects for the "
        "embedded data). Received none."
    )
