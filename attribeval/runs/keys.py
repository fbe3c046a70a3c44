"""What determines a number, as short hashes: the model, what a method or a score computes, what an image holds."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from attribeval.common.options import options_of
from attribeval.models.architecture import without_names
from attribeval.models.classifier import Classifier


def image_keys(classifier: Classifier, images: np.ndarray, targets: np.ndarray, seeds: np.ndarray) -> list[str]:
    """What tells raw images (N, H, W, C) apart: pixels, what the model gets to see of them, class, random numbers."""
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
        architecture = without_names(json.loads(model.to_json()))
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
        "output": classifier.reading.output,
        "precision": classifier.precision,
        "target_layer": layers.index(last) if last in layers else target,
        "input": [str(classifier.input_shape), str(classifier.dtype)],
    }


def method_key(method: Any) -> dict[str, Any]:
    """What a method (or a benchmark) computes: its class and all its options, those of nested methods too."""
    return {"class": f"{type(method).__module__}.{type(method).__qualname__}", "options": options_of(method)}


def digest_of(about: Any) -> str:
    """A short hash of anything that JSON can hold."""
    return hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=8).hexdigest()


def slug(name: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:48] or "x"


def file_name(thing: Any) -> str:
    """The name of a method or benchmark in a run's folder: its card's name and a hash of all its options."""
    return f"{slug(thing.card.name)}-{digest_of(method_key(thing))}"


def file_digest(path: Path) -> str | None:
    """A short hash of a file's bytes; None if it is not there."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=12)).hexdigest()
    except FileNotFoundError:
        return None


def content_of(*parts: Any) -> str:
    """A short hash of arrays, numbers, words, None, and lists of these, to the last bit."""
    digest = hashlib.blake2b(digest_size=12)
    _feed(digest, parts)
    return digest.hexdigest()


def _feed(digest: Any, part: Any) -> None:
    if isinstance(part, np.ndarray) and part.dtype != object:
        digest.update(f"array {part.dtype.str} {part.shape} ".encode())
        digest.update(np.ascontiguousarray(part))
    elif isinstance(part, (list, tuple)):
        digest.update(f"list {len(part)} ".encode())
        for one in part:
            _feed(digest, one)
    else:
        digest.update(f"{type(part).__name__} {part!r} ".encode())
