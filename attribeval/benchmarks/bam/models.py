"""The models of the article's figures 1 and 2, trained once and kept by their content.

f_o and f_s are trained on the composites with object and with scene labels, f_∅s on the scenes alone, and f_k on
X^k_{o,s}: "object", "scene", "scene_only", "k0.1" … "k1".
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from filelock import FileLock

from attribeval import _tf as tf
from attribeval import progress as progress_bars
from attribeval.benchmarks.bam.nets import Net
from attribeval.common.versions import versions
from attribeval.datasets.bam import Bam, BamView
from attribeval.errors import AttribevalError
from attribeval.files import write_model
from attribeval.models.classifier import Classifier
from attribeval.models.preprocessing import find_preprocessing
from attribeval.runs.failures import reason_of
from attribeval.runs.keys import file_digest
from attribeval.runs.store import Store
from attribeval.training.loop import train
from attribeval.training.recipe import Recipe
from attribeval.training.strategies import is_chief, make_strategy, workers

OBJECT, SCENE, SCENE_ONLY = "object", "scene", "scene_only"


@dataclass(frozen=True, eq=False)
class Trained:
    """A model of BAM.

    Attributes:
        name: "object", "scene", "scene_only" or "k…".
        classifier: The model.
        record: Training loss by epoch, seconds, whether it came from the run directory.
    """

    name: str
    classifier: Classifier
    record: dict[str, Any]


def k_name(k: float) -> str:
    """Name of the model of a commonality."""
    return f"k{k:g}"


def training_sets(data: Bam, ks: Sequence[float], feature: int, order: Sequence[int] | None) -> dict[str, BamView]:
    """What each model is trained on, by name."""
    sets = {
        OBJECT: data.train.view("composite", "object"),
        SCENE: data.train.view("composite", "scene"),
        SCENE_ONLY: data.train.view("scene_only", "scene"),
    }
    return sets | {k_name(k): data.train.common_feature(k, feature, order) for k in ks}


def train_models(
    sets: dict[str, BamView],
    net: Net,
    store: Store,
    *,
    strategy: Any = "auto",
    seed: int = 0,
    progress: bool | None = None,
    failed: dict[str, str] | None = None,
) -> dict[str, Trained]:
    """Train what the run directory does not hold yet; several processes may share one.

    A model is found again by its content: architecture, starting weights, training images and labels, recipe,
    preprocessing and seed (of the starting weights and the order of the images). `failed` gets the reasons of
    trainings that fail (the loss is not finite), by name; None: one that fails is an error.
    """
    if store.folder is None:
        raise AttribevalError("Expected a folder to keep trained models in. Received a store in memory: pass run_dir=.")
    strategy = make_strategy(strategy)
    trained = {}
    with progress_bars.bar(len(sets), "train", progress, unit="model") as bar:
        for name, view in sets.items():
            recipe = net.series_recipe or net.recipe if name.startswith("k") else net.recipe
            model = _untrained(view, net, strategy, seed)
            try:
                record = _train_one(name, model, view, net, recipe, store, strategy, seed)
            except Exception as error:
                if failed is None:
                    raise
                failed[name] = f"{symbol(name)} could not be trained: {reason_of(error)}"
            else:
                names, label = list(view.class_names), f"bam_{name}"
                classifier = Classifier(model, preprocess=net.preprocess, class_names=names, name=label)
                trained[name] = Trained(name, classifier, record)
            bar.update(1)
    return trained


def symbol(name: str) -> str:
    """What the article calls a model."""
    of_objects = {OBJECT: "f_o", SCENE: "f_s", SCENE_ONLY: "f_∅s"}
    return of_objects.get(name, f"f_k, k = {name.removeprefix('k')}")


def _untrained(view: BamView, net: Net, strategy: Any, seed: int) -> Any:
    shape, classes = tuple(view.part.images.shape[1:]), len(view.class_names)
    tf.keras.utils.set_random_seed(seed)
    with strategy.scope():
        model = net.build(shape, classes)
    _check_model(model, shape, view)
    return model


def _train_one(
    name: str, model: Any, view: BamView, net: Net, recipe: Recipe, store: Store, strategy: Any, seed: int
) -> dict[str, Any]:
    """Give a model the weights that the store has, or train it; returns its record."""
    kept = f"models/{name}-{_key(model, view, net, recipe, seed)}"
    folder: Any = store.folder  # a run of BAM always has one
    weights = folder / f"{kept}.weights.h5"
    weights.parent.mkdir(exist_ok=True)
    # Workers of one training all have to train: only processes that train by themselves may wait for each other.
    shared = workers() > 1
    with nullcontext() if shared else FileLock(weights.with_name(f".{weights.name}.lock")):
        record = store.read(kept)
        if record is not None and file_digest(weights) == record["weights"]:
            model.load_weights(weights)
            record |= {"from_run_dir": True}
        else:
            if record is not None:
                warnings.warn(f"{weights} is missing or damaged: the model is trained again.", stacklevel=4)
            record = _fit(model, view, net, recipe, strategy, seed)
            if not shared or is_chief():
                write_model(weights, model, model.save_weights)
                record["weights"] = file_digest(weights)
                store.write(kept, record)
    return record


def _check_model(model: Any, shape: tuple[int, ...], view: BamView) -> None:
    if not isinstance(model, tf.keras.Model):
        raise AttribevalError(f"Expected build to return a Keras model. Received: {type(model).__name__}.")
    outputs = tuple(model.output_shape)
    if len(outputs) != 2 or outputs[1] != len(view.class_names):
        raise AttribevalError(
            f"Expected a model with an output for each of the data's {len(view.class_names)} classes "
            f"({', '.join(view.class_names[:5])} …). Received outputs {outputs}."
        )
    wanted = tuple(model.input_shape[1:])
    if any(side is not None and side != of for side, of in zip(wanted, shape, strict=True)):
        raise AttribevalError(f"Expected a model of images {shape}. Received one that takes {wanted}.")


def _key(model: Any, view: BamView, net: Net, recipe: Recipe, seed: int) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for layer in model._flatten_layers():
        plain = {
            k: v for k, v in layer.get_config().items() if k != "name" and isinstance(v, str | int | float | tuple)
        }
        digest.update(f"{type(layer).__name__} {sorted(plain.items())}".encode())
    for variable in model.weights:
        value = np.ascontiguousarray(variable.numpy())
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(value)
    digest.update(view.fingerprint().encode())
    digest.update(json.dumps([recipe.to_json(), net.preprocess, seed]).encode())
    return digest.hexdigest()


def _fit(model: Any, view: BamView, net: Net, recipe: Recipe, strategy: Any, seed: int) -> dict[str, Any]:
    begun = time.perf_counter()
    preprocess = find_preprocessing(net.preprocess) or (lambda images: images)
    n = len(view)

    def batches(size: int, place: tuple[int, int]) -> Any:
        def generate() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            number = place[0]
            while True:
                rows = _rows(number * size, size, n, seed)
                images = view.load(rows).astype(np.float32)
                if recipe.augment is not None and recipe.augment.flip:
                    flips, _ = recipe.augment.draw_moves(seed, np.full(size, number), np.arange(size))
                    images[flips] = images[flips, :, ::-1]
                yield np.asarray(preprocess(images), np.float32), view.labels[rows].astype(np.int32)
                number += place[1]

        shape = (size, *view.part.images.shape[1:])
        signature = (tf.TensorSpec(shape, tf.float32), tf.TensorSpec((size,), tf.int32))
        return tf.data.Dataset.from_generator(generate, output_signature=signature).prefetch(4)

    history = train(model, batches, n, recipe, strategy)
    return dataclasses.asdict(history) | {
        "images": n,
        "total_seconds": time.perf_counter() - begun,
        "recipe": recipe.to_json(),
        "seed": seed,
        "versions": versions(),
    }


def _rows(start: int, size: int, n: int, seed: int) -> np.ndarray:
    """Rows `start` … of the endless stream of epochs, each in an order of its own."""
    places = np.arange(start, start + size)
    rows = np.empty(size, np.int64)
    for epoch in np.unique(places // n):
        inside = places // n == epoch
        rows[inside] = np.random.default_rng([seed, int(epoch)]).permutation(n)[places[inside] % n]
    return rows
