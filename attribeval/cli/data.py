"""Options that say which labelled images a command works on, and how they become `Samples`."""

from __future__ import annotations

import argparse
from typing import Any


def add_data(command: argparse.ArgumentParser, plain: bool = False) -> Any:
    """Add the options; returns their group, for what a command adds to them.

    Args:
        command: That gets them.
        plain: Whether it also takes photographs of which nothing else is known.
    """
    from attribeval.cli.options import add_images

    data = command.add_argument_group(
        "data (one of these; none: the embedded digit scenes, with --model digit_objects)"
    )
    data.add_argument("--imagenet", metavar="DIR", help="ImageNet folder (Kaggle, devkit or synset-folder layout)")
    data.add_argument("--metadata", metavar="DIR", help="one split of wsolevaluation's metadata (image_ids.txt, …)")
    data.add_argument("--coco", metavar="FILE", help="COCO instances_*.json; an item is an image and a category in it")
    data.add_argument("--boxes", metavar="CSV", help="a table of boxes: image, x0, y0, x1, y1 (pixels), label")
    alone = "; or, alone, image files" if plain else ""
    add_images(data, help=f"folder of the images that --metadata, --coco or --boxes name{alone}")
    data.add_argument("--masks", metavar="DIR", help="folder of mask files named in the metadata (default: with them)")
    data.add_argument("--limit", type=int, help="only the first images")
    return data


def read_data(args: argparse.Namespace, plain: bool = False) -> Any:
    """The data set that the options name; the embedded digit scenes for the model digit_objects.

    Args:
        args: Of the command line.
        plain: Whether image files alone will do.

    Returns:
        `Samples`; paths, if there are image files alone.

    Raises:
        AttribevalError: If they name none, or several.
    """
    from attribeval import datasets
    from attribeval.errors import AttribevalError

    given = [name for name in ("imagenet", "metadata", "coco", "boxes") if getattr(args, name)]
    if len(given) > 1:
        raise AttribevalError(f"Expected one data set. Received --{' and --'.join(given)}.")
    if plain and args.images and not given:
        return args.images[: args.limit]
    if args.images and (len(args.images) > 1 or given in ([], ["imagenet"])):
        raise AttribevalError(
            "Expected --images to be the one folder of the images that --metadata, --coco or --boxes name. "
            f"Received: {' '.join(args.images)}{' with --imagenet' if args.imagenet else ''}."
        )
    folder = args.images[0] if args.images else ""
    if args.imagenet:
        return datasets.imagenet(args.imagenet, limit=args.limit)
    if args.metadata:
        return datasets.wsol_metadata(args.metadata, folder, args.masks, args.limit)
    if args.coco:
        return datasets.coco(args.coco, folder, limit=args.limit)
    if args.boxes:
        return datasets.box_table(args.boxes, folder)[: args.limit]
    if args.model == "digit_objects":
        return datasets.digit_scenes().test.samples(label="object")[: args.limit]
    raise AttribevalError(
        "Expected --imagenet DIR, --metadata DIR, --coco FILE or --boxes CSV (or --model digit_objects for the "
        "embedded data). Received none."
    )
