"""ROAD as curves: scores while pixels are imputed, the most and the least important first."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from attribeval.common.seeds import fold, normal
from attribeval.errors import AttribevalError
from attribeval.metrics.faithfulness.imputation import impute
from attribeval.metrics.faithfulness.ranking import counts
from attribeval.metrics.faithfulness.removal import pixel_ranks
from attribeval.metrics.faithfulness.scoring import clean_scores, explained_by, scored, subject_of
from attribeval.metrics.subject import BATCH_SIZE, Explained, Predict, Subject, checked_maps

PERCENTAGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
NOISE = 0.01
_NOISE = 2**37  # stream of random numbers, as in ranking


def road_curves(
    maps: np.ndarray, images: np.ndarray, predict: Predict, targets: np.ndarray, seeds: np.ndarray, *,
    percentages: Sequence[float] = PERCENTAGES, noise: float = NOISE,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:  # fmt: skip
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
        seeds: int32 (N, 2), one per image, as `common.seeds.image_seeds` gives; for ties and noise.
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
    check_percentages(percentages, noise)
    subject = subject_of(images, predict, targets, seeds, batch_size=batch_size)
    explained = explained_by(checked_maps(maps, subject.images))
    return shared_curves(subject, explained, tuple(percentages), noise)[..., 0]


def imputed(ranked: np.ndarray, image: np.ndarray, removed: Sequence[int], noise: np.ndarray) -> Iterator[np.ndarray]:
    """An image (H, W, C) with its first pixels imputed, for numbers of them that increase, each 1 to H·W − 1: float32.

    `ranked`: ranks of the pixels, ints (H, W), 0 is imputed first. `noise` (H, W, C) is added to imputed pixels.
    """
    found = None
    for number in removed:
        mask = ranked < number
        found = impute(image, mask, found)
        yield found + mask[..., None] * noise


def shared_curves(subject: Subject, explained: Explained, percentages: tuple[float, ...], noise: float) -> np.ndarray:
    """Logit and probability, float64 (N, 2, P, 2), asked for once per method.

    A percentage that takes no pixel of a small image has the clean image's.
    """

    def compute() -> np.ndarray:
        ranked = pixel_ranks(subject, explained)
        numbers = counts(percentages, ranked[0].size)
        some = numbers[numbers > 0].tolist()
        out = np.empty((len(subject), 2, len(numbers), 2))
        out[:] = clean_scores(subject)[:, None, None]
        if some:
            found = scored(subject, _painted(subject, ranked, some, noise))
            out[:, :, numbers > 0] = found.reshape(len(subject), 2, len(some), 2)
        return out

    return explained.share(("road", percentages, noise), compute)


def _painted(subject: Subject, ranked: np.ndarray, some: list[int], noise: float) -> Iterator[tuple[int, np.ndarray]]:
    """Of each image first those whose most important pixels are imputed, then those whose least important are."""
    for item, (image, order) in enumerate(zip(subject.images, ranked, strict=True)):
        field = _noise(image, subject.seeds[item : item + 1], noise)
        # The two orders are imputed side by side: the solver's loops let go of Python's lock.
        chains = _threads().map(
            lambda one, image=image, field=field: list(imputed(one, image, some, field)),
            (order, order.size - 1 - order),
        )
        for chain in chains:
            yield from ((item, one) for one in chain)


def _noise(image: np.ndarray, seeds: np.ndarray, noise: float) -> np.ndarray:
    spread = np.array([noise * np.ptp(image)], np.float32)
    return normal(fold(seeds, _NOISE), np.zeros((1, *image.shape), np.float32), spread)[0]


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2, thread_name_prefix="attribeval-road")


def check_percentages(percentages: Sequence[float], noise: float) -> None:
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
