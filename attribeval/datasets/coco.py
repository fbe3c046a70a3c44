"""COCO annotations (Lin et al. 2014): an image per class in it, with the boxes and masks of that class."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from attribeval.datasets.class_labels import ClassIndex
from attribeval.datasets.geometry import relative_box
from attribeval.datasets.masks import Layers, Mask, PolygonMask, RunLengthMask
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError, unknown


def coco(
    annotations: str | PathLike,
    images: str | PathLike,
    *,
    categories: Sequence[str] | None = None,
    class_index: ClassIndex | Sequence[str] | Mapping[str, int] | None = None,
    limit: int | None = None,
) -> Samples:
    """Read an `instances_*.json` file and its folder of images.

    COCO's images show several classes; a map explains one. So an item is a pair of image and category, as in the
    pointing game. Its boxes and its mask are those of the category's instances; crowds give no box, and their pixels
    are not scored.

    Args:
        annotations: The JSON file.
        images: Folder of the image files.
        categories: Names to keep; None: all.
        class_index: The model's classes, in order, by name (`read_class_index` reads files of them; WNIDs are names,
            too); pairs of other categories are left out. None: the categories' places in the order of their ids.
        limit: Only the first pairs, by image id and category id.

    Returns:
        `Samples` over paths; ids are "<file stem>_<category>", boxes relative, masks drawn when asked for.

    Raises:
        AttribevalError: If the file is no such JSON, refers to an unknown image or category, a box or mask is
            malformed (naming the annotation), or no category is one of the classes.
    """
    path = Path(annotations)
    about, names, listed = read_coco(path)
    for name in categories or ():
        if name not in names.values():
            raise unknown("category of this COCO file", name, names.values())
    classes = _classes(names, class_index, path)
    wanted = {i for i, name in names.items() if (categories is None or name in categories) and name in classes}
    pairs: dict[tuple[Any, Any], list[dict[str, Any]]] = {}
    for annotation in listed:
        key = annotation.get("image_id"), annotation.get("category_id")
        if not all(isinstance(one, int) for one in key) or key[0] not in about or key[1] not in names:
            raise AttribevalError(
                f"Expected annotations of the file's own images and categories. Received {annotation.get('id')} of "
                f"image {key[0]} and category {key[1]} in {str(path)!r}."
            )
        if key[1] in wanted:
            pairs.setdefault(key, []).append(annotation)
    # A pair whose instances are all crowds has nothing to find.
    keys = sorted(key for key, of_pair in pairs.items() if any(not a.get("iscrowd") for a in of_pair))[:limit]
    paths, labels, boxes, masks, ids = [], [], [], [], []
    for key in keys:
        image = about[key[0]]
        size = size_of(image, path)
        singles = [a for a in pairs[key] if not a.get("iscrowd")]
        paths.append(Path(images) / image["file_name"])
        labels.append(classes[names[key[1]]])
        boxes.append(np.stack([_box(a, size, path) for a in singles]))
        masks.append(
            Layers(
                [instance_mask(a, size, path) for a in singles],
                [instance_mask(a, size, path) for a in pairs[key] if a.get("iscrowd")],
            )
        )
        ids.append(f"{Path(image['file_name']).stem}_{names[key[1]].replace(' ', '_')}")
    class_names = list(names.values()) if class_index is None else None
    return Samples(paths, np.array(labels, int), boxes=boxes, masks=masks, ids=ids, class_names=class_names,
                   name=path.stem)  # fmt: skip


def coco_categories(annotations: str | PathLike) -> list[str]:
    """Names of the categories of an `instances_*.json` file, in the order of their ids."""
    return list(read_coco(Path(annotations))[1].values())


def read_coco(path: Path) -> tuple[dict[int, dict[str, Any]], dict[int, str], list[dict[str, Any]]]:
    """Images by id, names of categories by id, annotations."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        about = {image["id"]: image for image in content["images"]}
        names = {category["id"]: category["name"] for category in sorted(content["categories"], key=lambda c: c["id"])}
        listed = content["annotations"]
        if not all(isinstance(name, str) for name in names.values()):
            raise TypeError("a category's name is no text")
        for what, ids in (("images", about), ("categories", names)):
            if not all(isinstance(i, int) for i in ids):
                raise TypeError(f"an id of {what} is no whole number")
        bad = next((i for i, one in enumerate(listed) if not isinstance(one, dict)), None)
        if bad is not None or not isinstance(listed, list):
            raise TypeError(f"entry {bad} of annotations is no object")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise AttribevalError(
            f"Expected COCO's JSON with images, annotations and categories. Received {str(path)!r}: "
            f"{type(error).__name__}: {error}."
        ) from error
    return about, names, listed


def _classes(names: dict[int, str], class_index: Any, path: Path) -> dict[str, int]:
    """Class by name of a category, of those that are classes."""
    if class_index is None:
        return {name: place for place, name in enumerate(names.values())}
    index = ClassIndex.of(class_index)
    found = {name: index.find(name) for name in names.values()}
    classes = {name: place for name, place in found.items() if place is not None}
    if not classes:
        raise AttribevalError(
            f"Expected categories that are classes of the model. Received {str(path)!r} with "
            f"{', '.join(list(names.values())[:5])}, …, of which none is: map them, {{category: class}}, "
            "by class_index= or --class-index FILE."
        )
    return classes


def size_of(image: dict[str, Any], path: Path) -> tuple[int, int]:
    """(height, width) of an image, of which the name is there, too."""
    try:
        size = int(image["height"]), int(image["width"])
        if not 1 <= min(size) <= max(size) < 2**31 or not isinstance(image["file_name"], str) or not image["file_name"]:
            raise ValueError("a side of no image, or no file name")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise AttribevalError(
            f"Expected file_name, height and width of image {image['id']} in {str(path)!r}. Received: "
            f"{type(error).__name__}: {error}."
        ) from error
    return size


def _box(annotation: dict[str, Any], size: tuple[int, int], path: Path) -> np.ndarray:
    """COCO's x, y, width, height in pixels as relative edges, cut at the image (they overrun it by rounding)."""
    given, where = annotation.get("bbox"), f"annotation {annotation.get('id')} of {str(path)!r}"
    try:
        x, y, width, height = (float(v) for v in annotation["bbox"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise AttribevalError(f"Expected bbox as x, y, width, height. Received {given!r} in {where}.") from error
    return relative_box((x, y, x + width, y + height), size, f"the bbox {given} in {where}", slack=np.inf)


def instance_mask(annotation: dict[str, Any], size: tuple[int, int], path: Path) -> Mask:
    """The mask of one annotation of an image of (height, width); `path` is the file, for messages."""
    shape = annotation.get("segmentation")
    try:
        if isinstance(shape, list):
            return PolygonMask([np.array(corners, np.float64).reshape(-1, 2) for corners in shape], size)
        if not isinstance(shape, dict):
            raise TypeError(f"{type(shape).__name__} instead of one of them")
        return RunLengthMask(shape["counts"], tuple(shape["size"]))
    except (AttribevalError, KeyError, TypeError, ValueError, OverflowError, AttributeError, IndexError) as error:
        raise AttribevalError(
            "Expected a segmentation of polygons or run lengths. Received another in annotation "
            f"{annotation.get('id')} of {str(path)!r}: {error}"
        ) from error
