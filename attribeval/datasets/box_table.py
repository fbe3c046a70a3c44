"""Any table of boxes: a CSV file or a DataFrame, a row per box."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.datasets.class_labels import ClassIndex
from attribeval.datasets.geometry import relative_box
from attribeval.datasets.images import image_size
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError

if TYPE_CHECKING:
    import pandas as pd

_EDGES = ("x0", "y0", "x1", "y1")
_NEEDED = ("image", *_EDGES)
_NOTHING = frozenset({"", "nan", "na", "n/a", "null", "none", "<na>"})


@dataclass
class _Image:
    label: int
    size: tuple[float, float] | None
    boxes: list[np.ndarray] = field(default_factory=list)


def box_table(
    table: str | PathLike | pd.DataFrame,
    images: str | PathLike = "",
    *,
    relative: bool = False,
    class_names: ClassIndex | Sequence[str] | Mapping[str, int] | None = None,
) -> Samples:
    """Images and boxes from a table with the columns image, x0, y0, x1, y1 and optionally label, width, height.

    An image with several boxes has several rows; a row with nothing in x0 … y1 stands for an image without a box.

    Args:
        table: Path of a CSV file with a header, UTF-8, or a DataFrame.
        images: Folder that file names in the column image are relative to.
        relative: Whether coordinates are relative to the image (0 to 1); otherwise they are pixels (edges) of the
            image, whose size comes from the columns width and height or, without them, from the image file.
        class_names: The model's classes, in order or by name, for labels that are names. Numbers are indices.

    Returns:
        `Samples` in the order in which the images first appear; label 0 where there is no such column; ids are the
        values of the column image.

    Raises:
        AttribevalError: If a column is missing, a row has no image, label or number where one should be, an image has
            two labels, or a box is inverted, empty or outside its image; the message names the line.
    """
    name = "the table" if hasattr(table, "columns") else repr(str(table))
    columns, rows = _read(table, name)
    missing = [column for column in _NEEDED if column not in columns]
    if missing:
        raise AttribevalError(
            f"Expected the columns {', '.join(_NEEDED)} (and label, width, height) in the header of {name}. Received "
            f"{columns}: {', '.join(missing)} missing."
        )
    index = None if class_names is None else ClassIndex.of(class_names)
    found: dict[str, _Image] = {}
    for where, row in rows:
        _add(found, dict(zip(columns, row, strict=True)), where, Path(images), relative, index)
    return Samples(
        [Path(images) / name for name in found],
        np.array([image.label for image in found.values()], int),
        boxes=[np.array(image.boxes).reshape(-1, 4) for image in found.values()],
        ids=list(found),
        name="box table",
    )


def _read(table: Any, name: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Names of the columns; rows of texts, and what each is called."""
    if hasattr(table, "columns"):
        texts = table.astype(object).where(table.notna(), "").astype(str).to_numpy().tolist()
        return list(map(str, table.columns)), [(f"row {i} of {name}", row) for i, row in enumerate(texts)]
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            columns = [word.strip() for word in next(reader, [])]
            rows = []
            for words in reader:
                if not any(word.strip() for word in words):
                    continue
                if len(words) != len(columns):
                    raise AttribevalError(
                        f"Expected {len(columns)} values as in the header. Received {len(words)} in line "
                        f"{reader.line_num} of {name}."
                    )
                rows.append((f"line {reader.line_num} of {name}", [word.strip() for word in words]))
    except AttribevalError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise AttribevalError(f"Expected a CSV file with a header, UTF-8. Received {name}: {error}.") from error
    return columns, rows


def _add(
    found: dict[str, _Image], row: dict[str, str], where: str, images: Path, relative: bool, index: ClassIndex | None
) -> None:
    """What one row says, added to its image."""
    name = row["image"]
    if not name:
        raise AttribevalError(f"Expected the name of an image in every row. Received none in {where}.")
    label = _label(row["label"], where, index) if "label" in row else 0
    image = found.setdefault(name, _Image(label, None))
    if image.label != label:
        raise AttribevalError(
            f"Expected one label per image. Received {[image.label, label]} for image {name!r}, {where}."
        )
    edges = [row[edge] for edge in _EDGES]
    if all(edge.casefold() in _NOTHING for edge in edges):
        return
    box = [_number(text, edge, where) for text, edge in zip(edges, _EDGES, strict=True)]
    size = (1.0, 1.0)
    if not relative:
        if {"width", "height"} <= set(row):
            size = _number(row["height"], "height", where), _number(row["width"], "width", where)
            if min(size) <= 0:
                raise AttribevalError(f"Expected width and height above 0. Received {size[::-1]} in {where}.")
        else:
            size = image.size = image.size or image_size(images / name)
    image.boxes.append(relative_box(box, size, f"image {name!r}, {where}"))


def _label(text: str, where: str, index: ClassIndex | None) -> int:
    """A class index from a number or, with an index, a name."""
    try:
        number = float(text)
    except ValueError:
        number = None
    if number is not None and number.is_integer() and number >= 0 and abs(number) < 2**53:
        return int(number)
    named = index is not None and text != "" and index.find(text) is not None
    if not named and (text.casefold() in _NOTHING or number is not None):
        raise AttribevalError(f"Expected a class as label, an index or a name. Received {text!r} in {where}.")
    if index is None:
        raise AttribevalError(
            f"Expected class indices as labels where no class names are known. Received {text!r} in {where}: pass the "
            "model's class names (class_names=, --class-names)."
        )
    try:
        return index[text]
    except AttribevalError as error:
        raise AttribevalError(f"Label in {where}: {error}") from None


def _number(text: str, what: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        raise AttribevalError(f"Expected a number as {what}. Received {text!r} in {where}.")
    return number
