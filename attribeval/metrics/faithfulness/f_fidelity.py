"""F-Fidelity (Zheng et al. 2024): fidelity with random, bounded removal, which a fine-tuned model is used to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.common.fills import PLAIN_FILLS, Fill, check_fill, filled
from attribeval.common.options import check_choice, check_count
from attribeval.common.seeds import fold, generators
from attribeval.errors import AttribevalError
from attribeval.metrics.card import Card, OfMaps
from attribeval.metrics.faithfulness.scoring import clean_scores, scored, subject_of
from attribeval.metrics.faithfulness.second_model import asked
from attribeval.metrics.subject import BATCH_SIZE, Explained, Predict, Subject, checked_maps

SCORES = ("accuracy", "probability")
_STREAM = 2**34 + 3 * 2**32  # random numbers of removals


def f_fidelity(
    maps: np.ndarray, images: np.ndarray, predict: Predict, targets: np.ndarray, *,
    sizes: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5), samples: int = 10, alpha: float = 0.5, beta: float = 0.1,
    score: str = "accuracy", fill: Fill = "black",
    seeds: np.ndarray | None = None, clean: np.ndarray | None = None, batch_size: int = BATCH_SIZE,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """FFid+ and FFid− (Zheng et al. 2024): what removal of important and of other pixels costs.

    The important pixels are the highest share s of the map. Of them, a random share α is removed, but never more than
    the share β of the whole image, which the model knows from fine-tuning (`fine_tuning.fine_tune` with
    deletion="pixels"). FFid+ is the mean loss over samples and sizes; FFid− is the same with all other pixels.

    Args:
        maps: Attributions (N, H, W). Pixels of one value are ranked at random.
        images: Raw images, float32 (N, H, W, C).
        predict: Raw images -> (B, classes), by the fine-tuned model; the order of the classes is enough for "accuracy",
            "probability" needs probabilities.
        targets: Class explained for each image, ints (N,).
        sizes: Shares s, above 0 and below 1.
        samples: Random removals of each size and side; the paper draws 50, at twenty sizes.
        alpha: Share of the important (or the other) pixels that is removed, 0..1.
        beta: Largest share of the whole image that is removed, 0..1.
        score: "accuracy" (1 if the target is still the first class, the paper's) or "probability".
        fill: What replaces a removed pixel, in raw space.
        seeds: One per image, int32 (N, 2); None makes them from the images.
        clean: The score of each image itself, (N,), if known: 0 or 1, or its probability.
        batch_size: Images that `predict` gets at a time.

    Returns:
        FFid+ and FFid−, float64 (N,) each, -1..1: a good map has a high FFid+ and a low FFid−.

    Raises:
        AttribevalError: If shapes do not match, a map or score is not finite (naming the item), or so little would be
            removed that no pixel is.

    Differs from the reference code: exactly the share is removed (there, each pixel with that probability, so that the
    bound holds on average only); FFid− removes from all other pixels, and not from as many
    lowest ones.
    """
    metric = FFidelity(tuple(sizes), samples, alpha, beta, score, fill)
    subject = metric.read(subject_of(images, predict, targets, seeds, None, batch_size))
    maps = checked_maps(maps, subject.images)
    known = clean_scores(subject)[:, 0] if clean is None else np.asarray(clean, np.float64)
    kept = metric.kept(subject, maps)
    return known - kept[:, 0], known - kept[:, 1]


def _first(answer: np.ndarray) -> np.ndarray:
    """Whether each class is the first, bool (B, classes)."""
    if not np.isfinite(answer).all():
        raise AttribevalError("Expected finite scores. Received NaN or infinity from predict: check the model.")
    return np.arange(answer.shape[1]) == answer.argmax(1)[:, None]


def removed_count(pixels: int, total: int, alpha: float, beta: float) -> int:
    """How many of `pixels` are removed: the share α of them, at most the share β of all."""
    count = min(round(alpha * pixels), math.floor(beta * total + 1e-9))
    if count < 1:
        raise AttribevalError(
            f"Expected at least one pixel to be removed. Received: alpha={alpha} of {pixels} pixels, beta={beta} of "
            f"{total}: take larger sizes, alpha or beta."
        )
    return count


@dataclass(frozen=True)
class FFidelity(OfMaps):
    """FFid+ − FFid−: how much more the removal of important pixels costs than that of others; see `f_fidelity`.

    Attributes:
        sizes, samples, alpha, beta: See `f_fidelity`.
        score_by: "accuracy" (the paper's) or "probability".
        fill: See `f_fidelity`.
        model: The model that loses pixels, fine-tuned with deletion="pixels": a Keras model or its file, with the same
            preprocessing. None: the one explained; then removal surprises it, unless it was fine-tuned itself.
    """

    sizes: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5)
    samples: int = 10
    alpha: float = 0.5
    beta: float = 0.1
    score_by: str = "accuracy"
    fill: Fill = "black"
    model: Any = None

    card = Card.of(r"""
        f_fidelity (faithfulness): FFid+ − FFid−, -1 to 1: accuracy lost without important pixels, less that lost
            without others
        better: high
        passes: 0 + 100
        paper: Zheng et al. 2024 (arXiv:2410.02970)
        maths: \mathrm{FFid}^+ - \mathrm{FFid}^-, \qquad \mathrm{FFid}^\pm = E_{s, R} \left[1[\hat y(x) = c] - 1[\hat
            y(x_{-R}) = c]\right] \\ R \subset T \mathrm{\ at\ random}, \quad |R| = \min(\alpha |T|, \beta H W), \quad
            T: \mathrm{the\ share\ } s \mathrm{\ with\ the\ highest\ } M \; (+) \mathrm{,\ all\ others\ } (-)
        misleads: Without a fine-tuned model it measures surprise as well; and a tenth of the pixels, scattered, rarely
            changes the class of a robust model, so that all methods are near 0.
        needs: fine-tuned
    """)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", tuple(self.sizes))
        shares = [*self.sizes, self.alpha, self.beta]
        numbers = all(isinstance(share, (int, float)) and not isinstance(share, bool) for share in shares)
        if not self.sizes or not numbers or not all(0 < share <= 1 for share in shares) or max(self.sizes) == 1:
            raise AttribevalError(
                f"Expected sizes above 0 and below 1, alpha and beta above 0 up to 1. Received: sizes={self.sizes}, "
                f"alpha={self.alpha!r}, beta={self.beta!r}."
            )
        check_count("samples", self.samples, 1)
        check_choice("score", self.score_by, SCORES)
        check_fill(self.fill, allowed=PLAIN_FILLS)

    def read(self, subject: Subject) -> Subject:
        """A subject whose answers are what is read of them: probabilities, or which class is the first."""

        def answer(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            found = subject.probabilities_of(images)
            found = _first(found) if self.score_by == "accuracy" else found
            return found, found

        return Subject(subject.images, subject.targets, answer, subject.seeds, batch_size=subject.batch_size)

    def kept(self, subject: Subject, maps: np.ndarray) -> np.ndarray:
        """The mean of what `read` reads when important and when other pixels are removed, float64 (N, 2)."""
        return scored(subject, self._modified(subject, maps))[:, 0].reshape(len(maps), 2, -1).mean(-1)

    def score(self, subject: Subject, prepared: None, explained: Explained) -> np.ndarray:
        """FFid+ − FFid− by image, float64 (N,)."""
        maps = checked_maps(explained.heat, subject.images)
        kept = self.kept(self.read(asked(subject, self.model)), maps)
        return kept[:, 1] - kept[:, 0]

    def _modified(self, subject: Subject, maps: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """For each image first all removals of important pixels, then all of others."""
        total, hidden = maps[0].size, filled(subject.images, self.fill)
        for i, generator in enumerate(generators(fold(subject.seeds, _STREAM))):
            order = np.lexsort((generator.random(total), -maps[i].ravel()))  # ties at random, not by place
            for important in (True, False):
                for size in self.sizes:
                    pixels = round(size * total)
                    candidates = order[:pixels] if important else order[pixels:]
                    count = removed_count(len(candidates), total, self.alpha, self.beta)
                    for _ in range(self.samples):
                        image = subject.images[i].copy()
                        removed = generator.choice(candidates, count, replace=False)
                        place = np.unravel_index(removed, image.shape[:2])
                        image[place] = hidden[i][place]
                        yield i, image
