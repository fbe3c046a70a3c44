"""What must come out on the user's own model, whatever it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.attributer import Attributer
from attribeval.errors import AttribevalError
from attribeval.selftest.check import Check, at_most

_STEPS = (1e-3, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6)  # of an image's length: trained nets have kinks everywhere


class Asked:
    """The user's model and a few images, with what several checks need of them.

    Args:
        attributer: The model.
        images: As `Attributer.explain` takes them, two or more; the first few are used.
        seed: Of everything random.
    """

    def __init__(self, attributer: Attributer, images: Any, seed: int = 0):
        self.attributer, self.seed = attributer, seed
        self.raw = attributer.read(images)[:3]
        if len(self.raw) < 2:
            raise AttribevalError(f"Expected two images or more. Received: {len(self.raw)}.")
        self.targets = attributer.predict(self.raw).argmax(1).astype(np.int32)

    def explain(self, method: str, raw: np.ndarray | None = None, **options: Any) -> np.ndarray:
        """Maps of the images, or of others with the same targets."""
        images = self.raw if raw is None else raw
        options = {"seed": self.seed, "progress": False} | options
        return self.attributer.explain(images, method, self.targets[: len(images)], **options).values

    def scores(self, x: Any) -> np.ndarray:
        """Scores of the targets at model inputs, float64 (N,)."""
        scores = self.attributer.classifier.forward(x)[0].numpy().astype(np.float64)
        return scores[np.arange(len(scores)), self.targets[: len(scores)]]


def logits_and_probabilities(asked: Asked) -> Check:
    """The logits that are explained, through the link function, are the model's own output."""
    classifier = asked.attributer.classifier
    scores, output = (part.numpy().astype(np.float64) for part in classifier.forward(classifier.prepare(asked.raw)))
    if classifier.score != "logit" or classifier.link is None or not classifier.task.has_probabilities:
        return at_most("scores are the model's output", np.abs(scores - output).max(), 1e-5)
    if classifier.link == "softmax":
        powers = np.exp(scores - scores.max(1, keepdims=True))
        linked = powers / powers.sum(1, keepdims=True)
    else:
        linked = 1 / (1 + np.exp(-scores))
    return at_most(f"{classifier.link} of the logits is the model's output", np.abs(linked - output).max(), 1e-4)


def gradient_is_slope(asked: Asked) -> Check:
    """The gradient along itself, on a random half of the places, is the slope of the score there.

    Slopes are central differences over several step lengths, of which the nearest counts: the longer ones cross kinks
    of rectifiers, the shorter ones are lost in float32.
    """
    classifier = asked.attributer.classifier
    x = np.asarray(classifier.prepare(asked.raw), dtype=np.float64)
    gradient = classifier.restore_channels(asked.explain("gradient")).astype(np.float64)
    half = np.less(np.random.default_rng(asked.seed).random(x.shape), 0.5)
    errors = []
    for n in range(len(x)):
        direction = gradient[n] * half[n]
        steepness = np.linalg.norm(direction)
        if steepness == 0:
            return Check("gradient = finite differences", "a gradient that is not 0", f"0 for image {n}", False)
        direction = direction / steepness
        slopes = []
        for share in _STEPS:
            step = share * max(float(np.linalg.norm(x[n])), 1e-3)
            ends = np.stack([x[n] + step * direction, x[n] - step * direction])
            scores = classifier.forward(tf.constant(ends, classifier.dtype))[0].numpy().astype(np.float64)
            upper, lower = scores[:, asked.targets[n]]
            slopes.append((upper - lower) / (2 * step))
        errors.append(min(abs(slope - steepness) / steepness for slope in slopes))
    return at_most("gradient = finite differences (relative)", max(errors), 0.05)


def integrated_gradients_are_complete(asked: Asked) -> Check:
    """A map of integrated gradients sums to the score minus that of black, but for the quadrature."""
    maps = asked.explain("integrated_gradients(steps=100)", asked.raw[:1])
    return _completeness(asked, "integrated gradients, 100 steps", maps, 0.1)


def deeplift_is_complete(asked: Asked) -> Check:
    """DeepLIFT's map sums to the score minus that of black, exactly."""
    try:
        maps = asked.explain("deeplift", asked.raw[:2])
    except AttribevalError as error:  # an operation without a rule
        return Check("DeepLIFT sums to the difference", "error ≤ 0.001", str(error), None)
    return _completeness(asked, "DeepLIFT", maps, 1e-3)


def same_seed_same_bits(asked: Asked) -> Check:
    """A random method gives the same bits again, and others with another seed."""
    first, again = (asked.explain("smoothgrad(gradient, samples=3)") for _ in range(2))
    other = asked.explain("smoothgrad(gradient, samples=3)", seed=asked.seed + 1)
    equal, differs = np.array_equal(first, again), not np.array_equal(first, other)
    received = f"{'same' if equal else 'other'} bits; {'other' if differs else 'same'} map with another seed"
    expected = "same bits; other map with another seed"
    return Check("same seed, same bits (SmoothGrad)", expected, received, equal and differs)


def batch_size_does_not_matter(asked: Asked) -> Check:
    """One image at a time gives the maps that all at once give, up to rounding."""
    together = asked.explain("smoothgrad(gradient, samples=3)", batch_size=len(asked.raw))
    alone = asked.explain("smoothgrad(gradient, samples=3)", batch_size=1)
    name = "maps one image at a time = all at once (relative)"
    return at_most(name, np.abs(together - alone).max() / max(np.abs(together).max(), 1e-30), 1e-2)


def neighbours_do_not_matter(asked: Asked) -> Check:
    """An image has the same random numbers, and so the same map, at another place of another batch."""
    first = asked.explain("random")
    turned = asked.attributer.explain(asked.raw[::-1], "random", asked.targets[::-1], seed=asked.seed, progress=False)
    same = np.array_equal(first, turned.values[::-1])
    return Check("same map in any order", "same bits", "same bits" if same else "others", same)


def _completeness(asked: Asked, name: str, maps: np.ndarray, tolerance: float) -> Check:
    """The sum of maps against the difference of scores that the model itself gives."""
    classifier, raw = asked.attributer.classifier, asked.raw[: len(maps)]
    difference = asked.scores(classifier.prepare(raw)) - asked.scores(classifier.prepare(np.zeros_like(raw)))
    gaps = np.abs(maps.sum((1, 2, 3), dtype=np.float64) - difference) / np.maximum(np.abs(difference), 1e-3)
    return at_most(f"{name} sums to the difference (relative)", gaps.max(), tolerance)


OF_MODEL: list[Callable[[Asked], Check]] = [
    logits_and_probabilities,
    gradient_is_slope,
    integrated_gradients_are_complete,
    deeplift_is_complete,
    same_seed_same_bits,
    batch_size_does_not_matter,
    neighbours_do_not_matter,
]
