"""Data randomisation: maps of a model trained on true labels against maps of one trained on permuted labels.

Adebayo et al. 2018, section 4: a map that shows the relation between images and labels must differ between the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval import progress as progress_bars
from attribeval.attributer import Attributer
from attribeval.attributions import Attributions
from attribeval.benchmarks.sanity.explaining import chosen_methods, explain_each
from attribeval.benchmarks.sanity.options import SanityOptions
from attribeval.benchmarks.sanity.sentences import against_noise
from attribeval.benchmarks.sanity.summary import Curve, Part, summarise
from attribeval.common.options import check_count, options_of
from attribeval.common.versions import versions
from attribeval.datasets.digit_scenes import OBJECTS, digit_scenes
from attribeval.datasets.samples import Samples
from attribeval.datasets.source import ImageSource
from attribeval.errors import AttribevalError
from attribeval.methods.given import Given, kind_of
from attribeval.metrics.sanity.similarity import SIMILARITIES, choose_similarities
from attribeval.models.classifier import Classifier
from attribeval.models.randomised import draw_weights
from attribeval.models.small_net import small_net
from attribeval.results.numbers import share
from attribeval.results.result import Result
from attribeval.runs import failures

_CHUNK = 32
_FITTED = 0.95  # share of its own training labels that the second model must know, as in the paper
MODE = "labels"


@dataclass(frozen=True, eq=False)
class LabelPair:
    """Two models of one architecture, starting weights and images.

    Attributes:
        true: Trained on the labels.
        permuted: Trained on the same labels in another order.
        test: Images that neither has seen.
        accuracy: Share of their own training labels that each gives, and of the test labels: "true", "permuted",
            "true_test", "permuted_test".
    """

    true: Attributer
    permuted: Attributer
    test: Samples
    accuracy: dict[str, float]


def train_pair(
    *,
    images: int = 1000,
    test_images: int = 200,
    size: int = 48,
    steps: int = 1500,
    batch_size: int = 50,
    learning_rate: float = 3e-3,
    seed: int = 0,
) -> LabelPair:
    """Train the small net on the embedded digits twice: on their labels, and on the same labels permuted.

    Args:
        images: Training images. Few, as labels without sense must be learned by heart.
        test_images: Images to explain.
        size: Side of the images in pixels.
        steps: Optimiser steps of each training (Adam).
        batch_size: Images per step.
        learning_rate: Of Adam, falling to 0 along a cosine.
        seed: Of data, starting weights, order and permutation.

    Returns:
        The pair.

    Raises:
        AttribevalError: If an argument is out of range.
    """
    for name, value in (("images", images), ("steps", steps), ("batch_size", batch_size)):
        check_count(name, value, 1)
    data = digit_scenes(size=size, n_train=images, n_test=test_images, seed=seed)
    train = data.train.images.astype(np.float32)
    labels = data.train.objects.astype(np.int32)
    shuffled = np.random.default_rng(seed).permutation(labels)
    test = data.test.samples("object")
    found, accuracy = {}, {}
    for name, wanted in (("true", labels), ("permuted", shuffled)):
        model = small_net(train.shape[1:], len(OBJECTS))
        classifier = Classifier(model, class_names=list(OBJECTS), name=f"{name}_labels")
        draw_weights(classifier, seed)
        _fit(model, train, wanted, steps, batch_size, learning_rate, seed)
        found[name] = Attributer(classifier)
        for which, part, known in ((name, train, wanted), (f"{name}_test", test, test.labels)):
            accuracy[which] = float((found[name].predict(part, progress=False).argmax(1) == known).mean())
    return LabelPair(found["true"], found["permuted"], test, accuracy)


def run_data_randomisation(
    true: Attributer, permuted: Attributer, images: Any,
    methods: Given | Sequence[Given] | Mapping[str, Given] = ("gradient", "gradcam", "guided_backprop"), *,
    similarities: Sequence[str] | None = None, accuracy: Mapping[str, float] | None = None, strict: bool = False,
    seed: int = 0, batch_size: int | None = None, progress: bool | None = None,
) -> Result:  # fmt: skip
    """Compare the maps of a model trained on true labels with those of one trained on permuted labels.

    The class that the first model predicts is explained in both.

    Args:
        true, permuted: The models; of one architecture, or what differs may be due to that.
        images: What `Attributer.explain` takes.
        methods: As in `run_sanity`, controls included: "sobel" has 1, "random" is drawn anew for the second model.
        similarities: As in `run_sanity`.
        accuracy: Of `LabelPair`; only a second model that knows its labels by heart makes the test.
        strict: As in `run_sanity`.
        seed: Of the methods.
        batch_size: Images that a model takes at a time.
        progress: Show a progress bar.

    Returns:
        `table` as of `run_sanity`, with mode "labels" and one step; `arrays` holds "<method>|labels|<metric>",
        float32 (1, N).

    Raises:
        AttribevalError: If the models do not take the same images or have other classes.
    """
    ours, theirs = true.classifier, permuted.classifier
    _check_pair(ours, theirs)
    options = SanityOptions(
        methods, similarities=similarities, strict=strict, seed=seed, batch_size=batch_size, progress=progress
    )
    built = chosen_methods(methods)
    source = ImageSource(images, ours.input_shape)
    names, left_out = choose_similarities(similarities, source.load(0, 1).shape[1:3])
    parts: dict[str, list[Part]] = {label: [] for label in built}
    with progress_bars.bar(len(source), "labels", progress) as bar:
        for start in range(0, len(source), _CHUNK):
            raw = source.load(start, min(start + _CHUNK, len(source)))
            targets = true.predict(raw, batch_size=batch_size, progress=False).argmax(1)
            first, failed = explain_each(true, raw, built, targets, options, model=(), where="the model of true labels")
            alive = {label: built[label] for label in first}
            second, failed_too = explain_each(
                permuted, raw, alive, targets, options, model=(start + 1,), where="the model of permuted labels"
            )
            lost = failed | failed_too
            for label in built:
                if label not in lost:
                    arrays, reasons = _compared(first[label], second[label], names, strict)
                else:
                    arrays, reasons = {}, dict.fromkeys(names, lost[label])
                told = {n: failures.of_images(start, start + len(raw) - 1, why) for n, why in reasons.items()}
                parts[label].append(Part(len(raw), arrays, told))
            bar.update(len(raw))
    curves = []
    for label, method in built.items():
        curves.append(Curve(label, kind_of(method), MODE, [1], ["permuted labels"]))
        curves[-1].fill([parts[label]], names, kept=False)
    settings = {
        "models": [ours.name, theirs.name],
        "weights": [ours.fingerprint(), theirs.fingerprint()],
        "accuracy": dict(accuracy or {}),
        "images": len(source),
        "methods": list(built),
        "options": {name: of_one for name, method in built.items() if (of_one := options_of(method))},
        "modes": [MODE],
        "similarities": names,
        "left_out": left_out,
        "unchanged_layers": [],
        "seed": seed,
        "versions": versions(),
    }
    result = summarise(curves, settings, "data_randomisation")
    result.summary[:0] = _sentences(result, settings)
    return result


def _check_pair(ours: Classifier, theirs: Classifier) -> None:
    if (ours.input_shape, ours.classes) != (theirs.input_shape, theirs.classes):
        raise AttribevalError(
            f"Expected two models of the same images and classes. Received: {ours.input_shape}, {ours.classes} "
            f"classes, and {theirs.input_shape}, {theirs.classes} classes."
        )


def _compared(
    first: Attributions, second: Attributions, names: Sequence[str], strict: bool
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The similarities of a method's maps of both models and their seconds, and the reasons of what failed."""

    def compare(some: dict[str, Any]) -> dict[str, np.ndarray]:
        return {name: one(first.values, second.values) for name, one in some.items()}

    arrays, failed = failures.each(compare, {name: SIMILARITIES[name] for name in names}, strict)
    return {"seconds": np.array(first.seconds + second.seconds)} | arrays, failed


def _sentences(result: Result, settings: dict[str, Any]) -> list[str]:
    found = []
    known = settings["accuracy"].get("permuted")
    if known is not None and known < _FITTED:
        found.append(
            f"The second model knows {share(known)} of its permuted labels, not {share(_FITTED, 0)}: it has not "
            "learned them by heart, so that it may resemble the first one for that reason. Train longer, or on "
            "fewer images."
        )
    metric = settings["similarities"][0]
    found += against_noise(result.table, result.arrays, MODE, metric, "Across the two models", settings["images"])
    return found


def _fit(
    model: Any, images: np.ndarray, labels: np.ndarray, steps: int, batch_size: int, learning_rate: float, seed: int
) -> None:
    """Adam on batches of an endless stream of epochs, each in an order of its own."""
    rng = np.random.default_rng([seed, 1])
    size = min(batch_size, len(images))
    needed = -(-steps * size // len(images))
    rows = np.concatenate([rng.permutation(len(images)) for _ in range(needed)])[: steps * size].reshape(steps, size)
    optimizer = tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.CosineDecay(learning_rate, steps))
    model.compile(optimizer, loss="sparse_categorical_crossentropy")
    stream = tf.data.Dataset.from_generator(
        lambda: ((images[row], labels[row]) for row in rows),
        output_signature=(tf.TensorSpec((size, *images.shape[1:]), tf.float32), tf.TensorSpec((size,), tf.int32)),
    )
    model.fit(stream, epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0)
