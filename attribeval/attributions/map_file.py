"""The file of `Attributions.save`: arrays, and what is said of them in words; nothing is pickled."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.errors import AttribevalError
from attribeval.files import write_atomic
from attribeval.sealed import UNREADABLE

if TYPE_CHECKING:
    from attribeval.attributions import Attributions

# What a file says in words, and its arrays beside values and targets.
_ABOUT = (
    "method", "options", "seconds", "model", "seed", "class_names", "task", "versions",
    "ids", "paths", "preprocessing", "target_layer", "image_input",
)  # fmt: skip
_OPTIONAL = ("completeness_gap", "probabilities")


def write(maps: Attributions, path: Path) -> Path:
    """Write maps, by way of a temporary name; see `Attributions.save`."""
    path = path if path.suffix in (".npz", ".npy") else path.with_name(path.name + ".npz")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        write_atomic(path, lambda file: np.save(file, maps.values, allow_pickle=False))
        return path
    arrays: dict[str, Any] = arrays_of(maps)
    write_atomic(path, lambda file: np.savez_compressed(file, **arrays))
    return path


def arrays_of(maps: Attributions) -> dict[str, np.ndarray]:
    """All that a file holds, by name."""
    about = {name: getattr(maps, name) for name in _ABOUT}
    arrays = {"values": maps.values, "targets": maps.targets, "about": np.array(json.dumps(about))}
    return arrays | {name: getattr(maps, name) for name in _OPTIONAL if getattr(maps, name) is not None}


def read(path: Path, make: Callable[..., Attributions]) -> Attributions:
    """The maps of a file, made by their class.

    Raises:
        AttribevalError: If the file is missing or not one of ours.
    """
    if path.suffix == ".npy":
        raise AttribevalError(
            f"Expected an .npz file of Attributions.save. Received {path}, an array that does not say which "
            "classes it explains: use Attributions.from_array(np.load(path), targets, method=...)."
        )
    try:
        with np.load(path, allow_pickle=False) as data:
            about = json.loads(str(data["about"]))
            optional = {name: data.get(name) for name in _OPTIONAL}
            return make(values=data["values"], targets=data["targets"], **optional, **about)
    except (TypeError, *UNREADABLE) as error:
        raise AttribevalError(f"Expected a file written by Attributions.save. Received {path}: {error}.") from error
