"""Maps on disk, found again by what made them; any number of processes may share a folder.

    <folder>/<method>-<hash of model, method, options, versions>/<hash of image, target, seed>.npy

A file is a plain .npy array of one map (float32), followed by 49 bytes that NumPy's readers pass over: what the map
cost when it was made, and a checksum.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from attribeval.common.versions import versions
from attribeval.errors import AttribevalError
from attribeval.files import write_bytes
from attribeval.methods.card import Method
from attribeval.models.classifier import Classifier
from attribeval.runs.keys import digest_of, method_key, model_key, slug
from attribeval.sealed import seal, unseal

_COSTS = struct.Struct("<dd")


@dataclass(frozen=True)
class Maps:
    """Maps of some images, and what they cost when they were made.

    Attributes:
        values: float32 (N, H, W, C or 1).
        seconds: Of each image, float64 (N,).
        peak_mib: See `memory.PeakMemory`, float64 (N,); NaN where it was not measured.
    """

    values: np.ndarray
    seconds: np.ndarray
    peak_mib: np.ndarray


class MapsCache:
    """A folder, made if it is not there, of maps of one model, beside those of others.

    The model is known by its weights and its architecture, target layer, score and precision; its preprocessing by what
    it makes of each image.
    """

    def __init__(self, folder: str | PathLike, classifier: Classifier):
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AttribevalError(f"Expected a folder to write maps to. Received {folder}: {error}.") from error
        self._model = model_key(classifier)
        self._warned = False

    def load(self, method: Method, keys: list[str]) -> Maps | None:
        """The maps of images with these keys; None if one is missing or damaged (then a warning says so)."""
        folder = self._folder_of(method)
        maps = []
        for key in keys:
            file = folder / f"{key}.npy"
            try:
                maps.append(_unpack(file.read_bytes()))
            except FileNotFoundError:
                return None
            except (OSError, ValueError) as error:
                if not self._warned:  # once: a damaged disk has many
                    self._warned = True
                    warnings.warn(f"{file} is damaged ({error}): such maps are made again.", stacklevel=2)
                return None
        values, seconds, peak = zip(*maps, strict=True)
        if len({one.shape for one in values}) > 1:
            return None
        return Maps(np.stack(values), np.array(seconds), np.array(peak))

    def save(self, method: Method, keys: list[str], maps: Maps) -> None:
        """Keep maps. Who comes second writes the same again."""
        folder = self._folder_of(method)
        folder.mkdir(exist_ok=True)
        for key, value, seconds, peak in zip(keys, maps.values, maps.seconds, maps.peak_mib, strict=True):
            data = _pack(value, float(seconds), float(peak))
            write_bytes(folder / f"{key}.npy", data)

    def bytes(self) -> int:
        """Size of all maps in the folder, those of other models too."""
        return sum(file.stat().st_size for file in self.folder.glob("*/*.npy"))

    def _folder_of(self, method: Method) -> Path:
        return self.folder / f"{slug(method.card.name)}-{digest_of([self._model, method_key(method), versions()])}"


def _pack(value: np.ndarray, seconds: float, peak_mib: float) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(value, dtype="<f4"), allow_pickle=False)
    return seal(file.getvalue() + _COSTS.pack(seconds, peak_mib))


def _unpack(data: bytes) -> tuple[np.ndarray, float, float]:
    body = unseal(data)
    value = np.load(io.BytesIO(body), allow_pickle=False)
    return value, *_COSTS.unpack(body[-_COSTS.size :])
