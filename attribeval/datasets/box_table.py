"""Any table of boxes: a CSV file or a DataFrame, a row per box."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attribeval.datasets.images import image_size
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError

if TYPE_CHECKING:
    import pandas as pd

_NEEDED = ("image", "x0", "y0", "x1", "y1")


def box_table(table: str | PathLike | pd.DataFrame, images: str | PathLike = "", *, relative: bool = False) -> Samples:
    """Images and boxes from a table with the columns image, x0, y0, x1, y1 and optionally label, width, height.

    An image with several boxes has several rows; a row without numbers in x0 … y1 stands for an image without a box.

    Args:
        table: Path of a CSV file with a header, or a DataFrame.
        images: Folder that file names in the column image are relative to.
        relative: Whether coordinates are relative to the image (0 to 1); otherwise they are pixels (edges) of the
            image, whose size comes from the columns width and height or, without them, from the image file.

    Returns:
        `Samples` in the order in which the images first appear; label 0 where there is no such column; ids are the
        values of the column image.

    Raises:
        AttribevalError: If a column is missing, an image has two labels, or a box is inverted, empty or outside its
            image (naming it).
    """
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        try:
            table = pd.read_csv(table, dtype={"image": str})
        except (OSError, ValueError) as error:
            raise AttribevalError(f"Expected a CSV file with a header. Received {str(table)!r}: {error}.") from error
    missing = [name for name in _NEEDED if name not in table.columns]
    if missing:
        raise AttribevalError(
            f"Expected the columns {', '.join(_NEEDED)} (and label, width, height). Received {list(table.columns)}: "
            f"{', '.join(missing)} missing."
        )
    ids, labels, boxes = [], [], []
    for name, rows in table.groupby("image", sort=False):
        ids.append(str(name))
        of_image = sorted(set(rows["label"])) if "label" in table.columns else [0]
        if len(of_image) != 1:
            raise AttribevalError(f"Expected one label per image. Received {of_image} for image {name!r}.")
        labels.append(int(of_image[0]))
        edges = rows[list(_NEEDED[1:])].to_numpy(np.float64)
        edges = edges[~np.isnan(edges).all(1)]
        if not relative and len(edges):
            if {"width", "height"} <= set(table.columns):
                height, width = float(rows["height"].iloc[0]), float(rows["width"].iloc[0])
            else:
                height, width = image_size(Path(images) / str(name))
            edges = edges / [width, height, width, height]
        boxes.append(edges)
    return Samples([Path(images) / name for name in ids], np.array(labels, int), boxes=boxes, ids=ids, name="box table")
