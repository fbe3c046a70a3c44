"""What the model said of each image that was explained, a row per map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from attribeval.attributions import Attributions
from attribeval.errors import AttribevalError


def map_rows(maps: Attributions, top: int = 3) -> Iterator[dict[str, Any]]:
    """The rows of `Attributions.table`, one after the other, with the `top` of the model's classes."""
    if top < 1:
        raise AttribevalError(f"Expected top of 1 or more. Received: {top}.")
    what = "quantity" if maps.task in ("regression", "score") else "probability"
    for i, target in enumerate(maps.targets):
        row: dict[str, Any] = {"image": str(i) if maps.ids is None else maps.ids[i]}
        if maps.paths is not None:
            row["path"] = maps.paths[i]
        row["explained"] = _name(maps, int(target))
        if maps.probabilities is not None:
            said = maps.probabilities[i]
            row[what] = float(said[target])
            for rank, k in enumerate(np.argsort(-said, kind="stable")[:top], 1):
                row[f"class {rank}"], row[f"{what} {rank}"] = _name(maps, int(k)), float(said[k])
        yield row


def _name(maps: Attributions, k: int) -> str:
    names = maps.class_names
    return f"class {k}" if names is None or not 0 <= k < len(names) else str(names[k])
