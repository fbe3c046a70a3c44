"""Maps on disk, found again by what made them; any number of processes may share a folder.

    <folder>/<method>-<hash of model, method, options, versions>/<hash of image, target, seed>.npy

A file is a plain .npy array of one map (float32), followed by 48 bytes that NumPy's readers pass over: what the map
cost when it was made, and a checksum.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import warnings
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from attribeval.attributer import versions
from attribeval.errors import AttribevalError
from attribeval.files import write_atomic
from attribeval.methods.card import Method
from attribeval.methods.options import options_of
from attribeval.models.classifier import Classifier

_MAGIC = b"attribeval-map-1"
_COSTS = struct.Struct("<dd")
_DIGEST = 16
_FOOTER = len(_MAGIC) + _COSTS.size + _DIGEST


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
    """A folder of maps of one model.

    Args:
        folder: Made if it is not there; may hold maps of other models and methods.
        classifier: The model. It is known by its weights and its architecture, target layer, score and precision; its
            preprocessing by what it makes of each image.

    Raises:
        AttribevalError: If the folder cannot be made.
    """

    def __init__(self, folder: str | PathLike, classifier: Classifier):
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AttribevalError(f"Expected a folder to write maps to. Received {folder}: {error}.") from error
        self._model = model_key(classifier)

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
                warnings.warn(f"{file} is damaged ({error}): its map is made again.", stacklevel=2)
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
            write_atomic(folder / f"{key}.npy", lambda file, data=data: file.write(data))

    def bytes(self) -> int:
        """Size of all maps in the folder, those of other models too."""
        return sum(file.stat().st_size for file in self.folder.glob("*/*.npy"))

    def _folder_of(self, method: Method) -> Path:
        return self.folder / f"{slug(method.card.name)}-{digest_of([self._model, method_key(method), versions()])}"


def image_keys(classifier: Classifier, images: np.ndarray, targets: np.ndarray, seeds: np.ndarray) -> list[str]:
    """What tells images apart: pixels, what the model gets to see of them, the class, the random numbers.

    Args:
        classifier: Prepares the images.
        images: Raw, float32 (N, H, W, C).
        targets: Classes explained, ints (N,).
        seeds: int32 (N, 2).
    """
    seen = np.asarray(classifier.prepare(images))
    keys = []
    for image, prepared, target, seed in zip(images, seen, targets, seeds, strict=True):
        digest = hashlib.blake2b(f"{image.shape} {int(target)} {seed.tolist()}".encode(), digest_size=16)
        digest.update(np.ascontiguousarray(image))
        digest.update(np.ascontiguousarray(prepared))
        keys.append(digest.hexdigest())
    return keys


def model_key(classifier: Classifier) -> dict[str, Any]:
    """What a map depends on in a model, beside preprocessing; of subclassed models the class's name, not its code.

    The same model, built or loaded again, has the same key: names that Keras numbers do not count.
    """
    model = classifier.model
    try:
        architecture = _without_names(json.loads(model.to_json()), {})
    except Exception:  # subclassed models have none, and Keras raises what it likes
        architecture = [f"{type(model).__module__}.{type(model).__qualname__}", len(classifier.layer_names)]
    target = classifier.target_layer
    layers = classifier.layer_names
    last = None if target is None else target.split("/")[-1]
    return {
        "weights": classifier.fingerprint(),
        "architecture": digest_of(architecture),
        "score": classifier.score_key(),
        "task": classifier.task.name,
        "output": classifier.output,
        "precision": classifier.precision,
        "target_layer": layers.index(last) if last in layers else target,
        "input": [str(classifier.input_shape), str(classifier.dtype)],
    }


_NAMES = ("name", "keras_history", "input_layers", "output_layers")
_IRRELEVANT = ("shared_object_id", "compile_config", "registered_name")  # an address in memory; training; of no effect


def _without_names(part: Any, numbers: dict[str, int], is_name: bool = False) -> Any:
    """A model's JSON with its layers numbered in the order in which they appear."""
    if isinstance(part, dict):
        kept = {key: value for key, value in part.items() if key not in _IRRELEVANT}
        return {key: _without_names(value, numbers, is_name or key in _NAMES) for key, value in kept.items()}
    if isinstance(part, list):
        return [_without_names(one, numbers, is_name) for one in part]
    return numbers.setdefault(part, len(numbers)) if is_name and isinstance(part, str) else part


def method_key(method: Any) -> dict[str, Any]:
    """What a method (or a benchmark) computes: its class and all its options, those of nested methods too."""
    return {"class": f"{type(method).__module__}.{type(method).__qualname__}", "options": options_of(method)}


def digest_of(about: Any) -> str:
    """A short hash of anything that JSON can hold."""
    return hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=8).hexdigest()


def slug(name: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:48] or "x"


def _pack(value: np.ndarray, seconds: float, peak_mib: float) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(value, dtype="<f4"), allow_pickle=False)
    body = file.getvalue()
    costs = _MAGIC + _COSTS.pack(seconds, peak_mib)
    return body + costs + hashlib.blake2b(body + costs, digest_size=_DIGEST).digest()


def _unpack(data: bytes) -> tuple[np.ndarray, float, float]:
    body, footer = data[:-_FOOTER], data[-_FOOTER:]
    costs, digest = footer[:-_DIGEST], footer[-_DIGEST:]
    if not costs.startswith(_MAGIC):
        raise ValueError("cut short, or written by something else")
    if hashlib.blake2b(body + costs, digest_size=_DIGEST).digest() != digest:
        raise ValueError("its checksum does not fit")
    value = np.load(io.BytesIO(body), allow_pickle=False)
    return value, *_COSTS.unpack(costs[len(_MAGIC) :])
