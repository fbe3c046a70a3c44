"""ROAD (Rong et al. 2022, "A consistent and efficient evaluation strategy for attribution methods")."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attribeval.common.options import check_choice, check_count
from attribeval.common.seeds import fold, normal
from attribeval.errors import AttribevalError
from attribeval.metrics.card import Card
from attribeval.metrics.faithfulness.imputation import impute
from attribeval.metrics.faithfulness.paths import OUTPUTS, both, clean_scores, pixel_ranks
from attribeval.metrics.faithfulness.ranking import counts, ranks
from attribeval.metrics.faithfulness.removal import BATCH, Score, of_targets, scored
from attribeval.metrics.subject import Explained, Predict, Subject, checked_maps

PERCENTAGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
NOISE = 0.01
_NOISE = 2**37  # stream of random numbers, as in ranking


def road(
    maps: np.ndarray,
    images: np.ndarray,
    predict: Predict,
    targets: np.ndarray,
    seeds: np.ndarray,
    *,
    percentages: Sequence[float] = PERCENTAGES,
    noise: float = NOISE,
    batch_size: int = BATCH,
) -> np.ndarray:
    """Output when the least relevant pixels are imputed, minus output when the most relevant are; mean of percentages.

    Args:
        maps, images, predict, targets, seeds, percentages, noise, batch_size: See `road_curves`.

    Returns:
        float64 (N,), in units of the output; −1 to 1 for probabilities. Higher is better; a random order has 0 on
        average.

    Raises:
        AttribevalError: As `road_curves`.
    """
    curves = road_curves(
        maps, images, predict, targets, seeds, percentages=percentages, noise=noise, batch_size=batch_size
    )
    return (curves[:, 1] - curves[:, 0]).mean(axis=1)


def road_curves(
    maps: np.ndarray,
    images: np.ndarray,
    predict: Predict,
    targets: np.ndarray,
    seeds: np.ndarray,
    *,
    percentages: Sequence[float] = PERCENTAGES,
    noise: float = NOISE,
    batch_size: int = BATCH,
) -> np.ndarray:
    """Outputs for the class with a part of the pixels replaced by noisy linear imputation, in both orders.

    Imputed pixels tell little about where they are (a mask of one colour gives the class away by its outline), and no
    retraining is needed.

    Differs from the authors' code: in the order least relevant first it removes 1 − p of the pixels at percentage p,
    here p in both orders; its noise is 0.01 in whatever space the images are and is drawn again for every mask, here
    `noise` times the image's range, the same for all masks and maps of an image; it breaks ties by adding noise to all
    values. Where the paper reports accuracies of many images, this is the output for the class, one number per image.

    Args:
        maps: Real numbers (N, H, W), greater is more important.
        images: Raw images (N, H, W, C).
        predict: Raw images (B, H, W, C) -> (B, classes), B up to `batch_size`; probabilities, or logits.
        targets: Class explained for each image, ints (N,).
        seeds: int32 (N, 2), one per image, as `attributer.image_seeds` gives; for ties and noise.
        percentages: Shares of the pixels that are imputed, above 0 and below 1, increasing.
        noise: Standard deviation of the noise on imputed pixels, as a part of the image's largest minus smallest
            value; 0 for none.
        batch_size: Images given to `predict` at a time.

    Returns:
        float64 (N, 2, P): [:, 0] with the most relevant pixels imputed (lower is better), [:, 1] with the least
        relevant ones (higher is better).

    Raises:
        AttribevalError: If arrays do not match, a map or an output is not finite (which one), or an option is bad.
    """
    images = np.asarray(images, np.float32)
    checked_maps(maps, images)
    _check(percentages, noise)
    check_count("batch_size", batch_size, 1)
    score = of_targets(predict, targets, len(images))
    clean = scored(enumerate(images), score, batch_size)
    return _curves(ranks(maps, seeds), images, seeds, tuple(percentages), noise, clean, score, batch_size)


def imputed(ranked: np.ndarray, image: np.ndarray, removed: Sequence[int], noise: np.ndarray) -> Iterator[np.ndarray]:
    """An image with its first pixels imputed, for numbers of them that increase.

    Args:
        ranked: Ranks of the pixels, ints (H, W), 0 is imputed first.
        image: Raw image (H, W, C).
        removed: How many pixels are imputed, each 1 to H·W − 1.
        noise: Added to imputed pixels, (H, W, C).

    Yields:
        float32 (H, W, C).
    """
    found = None
    for number in removed:
        mask = ranked < number
        found = impute(image, mask, found)
        yield found + mask[..., None] * noise


def _curves(
    ranked: np.ndarray,
    images: np.ndarray,
    seeds: np.ndarray,
    percentages: tuple[float, ...],
    noise: float,
    clean: np.ndarray,
    score: Score,
    batch_size: int = BATCH,
) -> np.ndarray:
    """Scores, (N, 2, P, ...); `clean` is that of a percentage that takes no pixel of a small image."""
    pixels = ranked[0].size
    numbers = counts(percentages, pixels)
    some = numbers[numbers > 0].tolist()

    def painted() -> Iterator[tuple[int, np.ndarray]]:
        for item, (image, order) in enumerate(zip(images, ranked, strict=True)):
            field = _noise(image, seeds[item : item + 1], noise)
            # The two orders are imputed side by side: the solver's loops let go of Python's lock.
            chains = _threads().map(
                lambda one, image=image, field=field: list(imputed(one, image, some, field)),
                (order, pixels - 1 - order),
            )
            for chain in chains:
                yield from ((item, one) for one in chain)

    out = np.empty((len(images), 2, len(numbers), *clean.shape[1:]))
    out[:] = clean[:, None, None]
    if len(some):
        out[:, :, numbers > 0] = scored(painted(), score, batch_size).reshape(len(images), 2, len(some), *out.shape[3:])
    return out


def _noise(image: np.ndarray, seeds: np.ndarray, noise: float) -> np.ndarray:
    spread = np.array([noise * np.ptp(image)], np.float32)
    return normal(fold(seeds, _NOISE), np.zeros((1, *image.shape), np.float32), spread)[0]


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2, thread_name_prefix="attribeval-road")


def _check(percentages: Sequence[float], noise: float) -> None:
    try:
        shares = np.array(percentages, np.float64)
        good = shares.ndim == 1 and shares.size > 0 and shares[0] > 0 and shares[-1] < 1 and (np.diff(shares) > 0).all()
    except (TypeError, ValueError):
        good = False
    if not good:
        raise AttribevalError(
            f"Expected percentages as shares that increase, above 0 and below 1, such as (0.1, 0.5, 0.9). "
            f"Received: {percentages!r}."
        )
    number = isinstance(noise, (int, float)) and not isinstance(noise, bool)
    if not number or not 0 <= noise < np.inf:
        raise AttribevalError(f"Expected noise to be a number of 0 or more. Received: {noise!r}.")


def _shared_curves(subject: Subject, explained: Explained, percentages: tuple[float, ...], noise: float) -> np.ndarray:
    """Logit and probability, float64 (N, 2, P, 2), asked for once per method."""
    return explained.share(
        ("road", percentages, noise),
        lambda: _curves(
            pixel_ranks(subject, explained),
            subject.images,
            subject.seeds,
            percentages,
            noise,
            clean_scores(subject),
            both(subject),
        ),
    )


@dataclass(frozen=True)
class Road:
    """ROAD as a benchmark: least relevant first minus most relevant first.

    Attributes:
        percentages, noise: See `road_curves`.
        output: "probability" or "logit".
    """

    card: ClassVar[Card] = Card(
        name="road",
        family="faithfulness",
        summary="Mean probability with the least relevant pixels imputed minus with the most relevant, −1 to 1",
        better="high",
        passes="0 + 14",
        paper="Rong et al. 2022 (ROAD)",
        maths=(
            r"\frac{1}{|P|} \sum_{q \in P} \left(p_c(\hat x^{\mathrm{LeRF}}_q) - p_c(\hat x^{\mathrm{MoRF}}_q)\right)"
        ),
        misleads="Single pixels that are missing are imputed almost as they were: scattered maps can hardly do harm.",
    )
    weights: ClassVar[tuple[int, int]] = (-1, 1)  # of the curves: most relevant first, least relevant first
    percentages: tuple[float, ...] = PERCENTAGES
    noise: float = NOISE
    output: str = "probability"

    def __post_init__(self) -> None:
        _check(self.percentages, self.noise)
        object.__setattr__(self, "percentages", tuple(self.percentages))
        check_choice("output", self.output, OUTPUTS)

    def prepare(self, subject: Subject) -> None:
        return None

    def score(self, subject: Subject, prepared: None, explained: Explained) -> np.ndarray:
        curves = _shared_curves(subject, explained, self.percentages, self.noise)
        return np.tensordot(curves[..., OUTPUTS.index(self.output)].mean(axis=2), np.array(self.weights), 1)


@dataclass(frozen=True)
class RoadMorf(Road):
    """ROAD with the most relevant pixels imputed first; options as `Road`, whose passes it shares."""

    card: ClassVar[Card] = Card(
        name="road_morf",
        family="faithfulness",
        summary="Mean probability with the most relevant pixels imputed, 0 to 1",
        better="low",
        passes="0 + 14, shared with road",
        paper="Rong et al. 2022 (ROAD)",
        maths=(
            r"\frac{1}{|P|} \sum_{q \in P} p_c(\hat x^{\mathrm{MoRF}}_q), \qquad \hat x^{\mathrm{MoRF}}_q: "
            r"\mathrm{the\ share\ } q \mathrm{\ of\ pixels\ with\ the\ highest\ } M \mathrm{\ imputed}"
        ),
        misleads="Single pixels that are missing are imputed almost as they were: scattered maps can hardly do harm.",
    )
    weights: ClassVar[tuple[int, int]] = (1, 0)


@dataclass(frozen=True)
class RoadLerf(Road):
    """ROAD with the least relevant pixels imputed first; options as `Road`, whose passes it shares."""

    card: ClassVar[Card] = Card(
        name="road_lerf",
        family="faithfulness",
        summary="Mean probability with the least relevant pixels imputed, 0 to 1",
        better="high",
        passes="0 + 14, shared with road",
        paper="Rong et al. 2022 (ROAD)",
        maths=(
            r"\frac{1}{|P|} \sum_{q \in P} p_c(\hat x^{\mathrm{LeRF}}_q), \qquad \hat x^{\mathrm{LeRF}}_q: "
            r"\mathrm{the\ share\ } q \mathrm{\ of\ pixels\ with\ the\ lowest\ } M \mathrm{\ imputed}"
        ),
        misleads="A scattered map keeps known pixels everywhere, from which the imputation restores the image.",
    )
    weights: ClassVar[tuple[int, int]] = (0, 1)
