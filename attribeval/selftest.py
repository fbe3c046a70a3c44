"""Known answers on the user's machine: what must come out, what came out.

A check is a function that returns a `Check`; to add one, put it into `KNOWN` (needs nothing) or `OF_MODEL` (asks the
user's model). `tests/test_selftest.py` breaks what each of them checks, and sees it fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.attributer import Attributer
from attribeval.benchmarks.bam.idr import depends
from attribeval.errors import AttribevalError
from attribeval.metrics.localisation.energy import energy_inside
from attribeval.metrics.localisation.maxboxacc import hits
from attribeval.metrics.registry import BENCHMARKS, build_benchmark
from attribeval.metrics.subject import Explained, Subject


@dataclass(frozen=True)
class Check:
    """One known answer.

    Attributes:
        name: What is checked.
        expected, received: In words and numbers.
        passed: None where the model cannot be asked (then `received` says why).
    """

    name: str
    expected: str
    received: str
    passed: bool | None


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


# ------------------------------------------------------------------------------------------- on the user's model


def logits_and_probabilities(asked: Asked) -> Check:
    """The logits that are explained, through the link function, are the model's own output."""
    classifier = asked.attributer.classifier
    scores, output = (part.numpy().astype(np.float64) for part in classifier.forward(classifier.prepare(asked.raw)))
    if classifier.score != "logit" or classifier.link is None or not classifier.task.has_probabilities:
        return _at_most("scores are the model's output", np.abs(scores - output).max(), 1e-5)
    if classifier.link == "softmax":
        powers = np.exp(scores - scores.max(1, keepdims=True))
        linked = powers / powers.sum(1, keepdims=True)
    else:
        linked = 1 / (1 + np.exp(-scores))
    return _at_most(f"{classifier.link} of the logits is the model's output", np.abs(linked - output).max(), 1e-4)


def gradient_is_slope(asked: Asked) -> Check:
    """The gradient along itself, on a random half of the places, is the slope of the score there.

    Slopes are central differences over several step lengths, of which the nearest counts: the longer ones cross kinks
    of rectifiers, the shorter ones are lost in float32.
    """
    classifier = asked.attributer.classifier
    x = np.asarray(classifier.prepare(asked.raw), dtype=np.float64)
    gradient = classifier.restore_channels(asked.explain("gradient")).astype(np.float64)
    half = np.random.default_rng(asked.seed).random(x.shape) < 0.5
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
    return _at_most("gradient = finite differences (relative)", max(errors), 0.05)


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
    return _at_most(name, np.abs(together - alone).max() / max(np.abs(together).max(), 1e-30), 1e-2)


def neighbours_do_not_matter(asked: Asked) -> Check:
    """An image has the same random numbers, and so the same map, at another place of another batch."""
    first = asked.explain("random")
    turned = asked.attributer.explain(asked.raw[::-1], "random", asked.targets[::-1], seed=asked.seed, progress=False)
    same = np.array_equal(first, turned.values[::-1])
    return Check("same map in any order", "same bits", "same bits" if same else "others", same)


OF_MODEL: list[Callable[[Asked], Check]] = [
    logits_and_probabilities,
    gradient_is_slope,
    integrated_gradients_are_complete,
    deeplift_is_complete,
    same_seed_same_bits,
    batch_size_does_not_matter,
    neighbours_do_not_matter,
]


# --------------------------------------------------------------------------------------------- models by hand


def linear_model_by_hand() -> Check:
    """Of f(x) = Σ w x, gradient × input is w x, place by place."""
    weights = np.random.default_rng(0).normal(size=(4, 4, 2))
    x = np.random.default_rng(1).normal(size=(3, 4, 4, 2)).astype(np.float32)
    layers = tf.keras.layers
    model = tf.keras.Sequential([tf.keras.Input((4, 4, 2)), layers.Flatten(), layers.Dense(1, use_bias=False)])
    model.layers[-1].set_weights([weights.reshape(-1, 1)])
    maps = Attributer(model, task="regression").explain(x, "gradient_x_input", 0, progress=False).values
    return _at_most("linear model: gradient × input = w · x", np.abs(maps - weights * x).max(), 1e-5)


def guided_backprop_by_hand() -> Check:
    """One rectifier: a gradient passes where its input and it itself are positive."""
    kernel, heads = np.array([[1.0, -2.0], [0.5, 1.0]]), np.array([[3.0], [-1.0]])
    x = np.random.default_rng(2).normal(size=(2, 3, 3, 2)).astype(np.float32)
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            tf.keras.Input((3, 3, 2)),
            layers.Conv2D(2, 1, activation="relu", use_bias=False),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1, use_bias=False),
        ]
    )
    model.set_weights([kernel.reshape(1, 1, 2, 2), heads])
    gates = (x @ kernel > 0) * np.maximum(heads[:, 0] / 9, 0)
    maps = Attributer(model, task="regression").explain(x, "guided_backprop", 0, progress=False).values
    return _at_most("guided backpropagation by hand", np.abs(maps - gates @ kernel.T).max(), 1e-5)


def idr_by_hand() -> Check:
    """Regions that are attributed less, the same, and more with the feature: one of three depends on the input."""
    share = depends(np.array([0.1, 0.3, 0.5]), np.array([0.2, 0.3, 0.4])).mean()
    return _equal("BAM: input dependence rate", share, 1 / 3)


def box_by_hand() -> Check:
    """A map that is its box is right at every threshold but the last; one that overlaps a third never at IoU ½."""
    heat = np.zeros((2, 8, 8))
    heat[0, 2:6, 2:6] = heat[1, 2:6, 4:8] = 1
    right = hits(heat, [np.array([[2.0, 2, 6, 6]])] * 2).mean(1)
    return _equal("WSOL: share of thresholds at which a box is right", right, [255 / 256, 0])


def energy_by_hand() -> Check:
    """Three of four parts of the heat lie inside."""
    region = np.zeros((2, 2), bool)
    region[0] = True
    return _equal("WSOL: energy inside a region", energy_inside(np.array([[1.0, 2], [1, -5]]), region), 0.75)


def sensitivity_n_of_linear_model() -> Check:
    """Exact attributions of a linear model correlate perfectly with what it loses."""
    subject, weights = _linear_subject()
    explained = _given((weights * subject.images).sum(-1))
    benchmark = build_benchmark("sensitivity_n")
    score = benchmark.score(subject, benchmark.prepare(subject), explained)
    return _equal("Sensitivity-n of a linear model", score, np.ones(len(score)))


def deletion_by_hand() -> Check:
    """Four pixels worth 4, 3, 2, 1: 10, 6, 3, 1, 0 are left, whose area is 15 / 4."""
    images = np.array([[[[4.0], [1.0]], [[3.0], [2.0]]]], np.float32)
    subject = _subject(images, np.ones((2, 2, 1)))
    benchmark = build_benchmark("deletion(steps=4, fill=black, output=logit)")
    score = benchmark.score(subject, benchmark.prepare(subject), _given(images[..., 0]))
    return _equal("RISE deletion by hand", score, [3.75])


KNOWN: list[Callable[[], Check]] = [
    linear_model_by_hand,
    guided_backprop_by_hand,
    idr_by_hand,
    box_by_hand,
    energy_by_hand,
]
KNOWN += [check for name, check in (("sensitivity_n", sensitivity_n_of_linear_model), ("deletion", deletion_by_hand))
          if name in BENCHMARKS]  # fmt: skip


# -------------------------------------------------------------------------------------------------------- all


def selftest(attributer: Attributer, images: Any, *, seed: int = 0) -> Iterator[Check]:
    """Make all checks, one after another.

    Args:
        attributer: The user's model.
        images: A few images as `Attributer.explain` takes them, two or more.
        seed: Of everything random.

    Yields:
        The checks as they are done; one that raises an error has failed, and says with what.
    """
    asked = Asked(attributer, images, seed)
    for known in KNOWN:
        yield _made(known)
    for check in OF_MODEL:
        yield _made(check, asked)


def _made(check: Callable[..., Check], *given: Any) -> Check:
    try:
        return check(*given)
    except Exception as error:  # whatever it is, it is no right answer
        text = " ".join(str(error).split())[:200]
        return Check(check.__name__.replace("_", " "), "an answer", f"{type(error).__name__}: {text}", False)


def _completeness(asked: Asked, name: str, maps: np.ndarray, tolerance: float) -> Check:
    """The sum of maps against the difference of scores that the model itself gives."""
    classifier, raw = asked.attributer.classifier, asked.raw[: len(maps)]
    difference = asked.scores(classifier.prepare(raw)) - asked.scores(classifier.prepare(np.zeros_like(raw)))
    gaps = np.abs(maps.sum((1, 2, 3), dtype=np.float64) - difference) / np.maximum(np.abs(difference), 1e-3)
    return _at_most(f"{name} sums to the difference (relative)", gaps.max(), tolerance)


def _linear_subject() -> tuple[Subject, np.ndarray]:
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(6, 6, 3))
    return _subject(rng.uniform(0, 1, (3, 6, 6, 3)).astype(np.float32), weights), weights


def _subject(images: np.ndarray, weights: np.ndarray) -> Subject:
    """Images and the model Σ w x, beside a class whose logit is 0."""

    def answer(asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits = np.tensordot(np.asarray(asked, np.float64), weights, 3)
        logits = np.stack([logits, np.zeros_like(logits)], axis=1)
        return logits, np.exp(logits) / np.exp(logits).sum(1, keepdims=True)

    seeds = np.arange(2 * len(images), dtype=np.int32).reshape(-1, 2)
    return Subject(images, np.zeros(len(images), np.int64), answer, seeds)


def _given(heat: np.ndarray) -> Explained:
    """Maps that no method made."""
    heat = heat.astype(np.float32)

    def explain(*_: Any) -> np.ndarray:
        raise AttribevalError("Expected a benchmark that asks for no other maps.")

    return Explained(heat[..., None], heat, explain)


def _at_most(name: str, error: float, tolerance: float) -> Check:
    return Check(name, f"error ≤ {tolerance:g}", f"{error:.2g}", bool(error <= tolerance))


def _equal(name: str, received: Any, expected: Any, tolerance: float = 1e-4) -> Check:
    received, expected = np.atleast_1d(received), np.atleast_1d(expected)
    close = received.shape == expected.shape and bool(np.allclose(received, expected, atol=tolerance, rtol=0))
    words = [", ".join(f"{value:.4g}" for value in values) for values in (expected, received)]
    return Check(name, words[0], words[1], close)
