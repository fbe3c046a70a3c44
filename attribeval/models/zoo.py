"""Models by name or file: the three networks of the field, those that come with the package, and the user's own."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError, unknown
from attribeval.models.classifier import Classifier
from attribeval.models.reading import Reading


@dataclass(frozen=True)
class _Network:
    """A network of `keras.applications` and what is known about it."""

    builder: str
    preprocess: str
    target_layer: str


NETWORKS = {
    "vgg16": _Network("VGG16", "caffe", "block5_conv3"),
    "inception_v3": _Network("InceptionV3", "tf", "mixed10"),
    "resnet50": _Network("ResNet50", "caffe", "conv5_block3_out"),
}
EMBEDDED = ("digit_objects", "digit_scenes")
PAIRS = ("digit_segmenter", "digit_detector")  # of `digit_pairs`; no classifiers: they need a score
NAMES = (*NETWORKS, *EMBEDDED, *PAIRS)
_SUFFIXES = (".keras", ".h5", ".hdf5")


@dataclass(frozen=True)
class _Known:
    """A loaded model and what its name tells about it."""

    model: Any
    name: str
    preprocess: str | None = None
    target_layer: str | None = None
    class_names: Any = None


def load_classifier(
    model: str | PathLike,
    *,
    weights: str | PathLike | None = "imagenet",
    preprocess: str | Callable | None = None,
    target_layer: str | None = None,
    reading: Reading | None = None,
) -> Classifier:
    """Make a classifier from a name or a file.

    Args:
        model: One of `NAMES`, or the path of a `.keras` or `.h5` file.
        weights: For the networks of `keras.applications`: "imagenet", None (random), or the path of a weights file.
        preprocess, target_layer: As in `Classifier`; None takes what is known about a named network.
        reading: As in `Classifier`.

    Raises:
        AttribevalError: If the name is unknown, the file cannot be loaded safely, or the weights cannot be had.
    """
    known = _find(str(model), weights)
    return Classifier(
        known.model,
        preprocess=preprocess if preprocess is not None else known.preprocess,
        target_layer=target_layer or known.target_layer,
        class_names=known.class_names,
        reading=reading,
        name=known.name,
    )


def untrained(name: str, classes: int) -> Any:
    """A network of `keras.applications` with random weights, for so many classes.

    Args:
        name: One of `NETWORKS`.
        classes: Number of outputs.

    Raises:
        AttribevalError: If the name is unknown.
    """
    if name not in NETWORKS:
        raise unknown("network", name, NETWORKS)
    return getattr(tf.keras.applications, NETWORKS[name].builder)(weights=None, classes=classes)


def check_name(name: str) -> None:
    """Refuse what neither is one of `NAMES` nor looks like a model file.

    Raises:
        AttribevalError: With the nearest names, or what to do about it.
    """
    if name in NAMES:
        return
    if (Path(name) / "saved_model.pb").is_file():
        raise AttribevalError(
            f"Expected a model file ending in .keras or .h5. Received a SavedModel folder: {name}. Keras calls one "
            "as a layer: x = keras.Input((height, width, channels)); y = keras.layers.TFSMLayer(folder, "
            "call_endpoint='serving_default')(x); model = keras.Model(x, list(y.values())[0]). Or save the model that "
            "it was made of anew, model.save('model.keras'), whose layers can be read."
        )
    if Path(name).suffix not in _SUFFIXES:
        if "/" in name or Path(name).exists():
            raise AttribevalError(f"Expected a model file ending in .keras or .h5. Received: {name}.")
        raise unknown("model", name, NAMES)


def _find(name: str, weights: str | PathLike | None) -> _Known:
    check_name(name)
    if name in NETWORKS:
        return _load_network(name, weights)
    if name in EMBEDDED:
        return _Known(_load_digit_net(name), name, class_names=_digit_names(name))
    if name in PAIRS:  # what a column of the score means, the score alone knows
        return _Known(_load_digit_net(name), name, target_layer="eighth3")
    return _Known(_load_file(name), Path(name).stem)


def _load_file(path: str | PathLike) -> Any:
    if not Path(path).is_file():
        raise AttribevalError(f"Expected a model file. Received a path that does not exist: {path}.")
    try:
        return tf.keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many types here; the remedy is the same
        raise AttribevalError(
            f"Could not load {path} in safe mode: {_last_line(error)} {_versions(path)} If you trust the file and it "
            "holds custom or Lambda layers, load it yourself with keras.models.load_model and pass the model."
        ) from error


def _versions(path: str | PathLike) -> str:
    """Which Keras wrote a `.keras` file and which reads it; a newer one writes what an older one refuses."""
    here = tf.keras.__version__
    try:
        with zipfile.ZipFile(path) as archive:
            saved_by = json.loads(archive.read("metadata.json"))["keras_version"]
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError):  # .h5, or no archive of Keras
        return f"Installed is Keras {here}."
    return f"The file was saved by Keras {saved_by}; installed is {here}: if that is older, install the file's version."


def _load_network(name: str, weights: str | PathLike | None) -> _Known:
    network = NETWORKS[name]
    builder = getattr(tf.keras.applications, network.builder)
    if weights not in ("imagenet", None) and not Path(weights).is_file():
        raise AttribevalError(f"Expected weights 'imagenet', None or a file. Received: {weights}, which is no file.")
    try:
        built = builder(weights=None if weights is None else str(weights))
    except Exception as error:  # urllib, OSError or Keras' own, by Keras version
        if weights != "imagenet":
            raise AttribevalError(
                f"Could not load {weights} into {network.builder}: {_first_line(error)} Expected a weights file of "
                f"keras.applications.{network.builder} with its top."
            ) from error
        raise AttribevalError(
            f"Could not download the ImageNet weights of {name} ({_first_line(error)}). Without a network, download "
            f"them elsewhere and pass weights='/path/to/{name}.weights.h5' (on the command line --weights), pass a "
            "model of your own, or weights=None for random weights."
        ) from error
    names = _imagenet_class_names if weights is not None else None
    return _Known(built, name, network.preprocess, network.target_layer, names)


def _imagenet_class_names() -> list[str] | None:
    """Names of the 1,000 classes, from the index file that Keras downloads beside its weights; None if it cannot."""
    try:
        decoded = tf.keras.applications.imagenet_utils.decode_predictions(np.eye(1000, dtype=np.float32), top=1)
    except Exception:  # no network: names are a convenience, indices are shown instead
        return None
    return [best[0][1].replace("_", " ") for best in decoded]


def _load_digit_net(name: str) -> Any:
    with resources.as_file(resources.files("attribeval.models") / "digit_nets" / f"{name}.keras") as path:
        return _load_file(path)


def _digit_names(name: str) -> tuple[str, ...]:
    from attribeval.datasets.digit_scenes import OBJECTS, SCENES

    return OBJECTS if name == "digit_objects" else SCENES


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200] if text else 'no message'}"


def _last_line(error: Exception) -> str:
    """Keras quotes the whole configuration first, and says what is wrong with it at the end."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[-1][-300:] if text else 'no message'}"
