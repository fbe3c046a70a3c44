"""Infidelity: the squared error of a map as a linear model of what perturbations do to the score (Yeh et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attribeval.common.fills import PLAIN_FILLS, Fill, check_fill, filled
from attribeval.common.options import check_choice, check_count, check_positive
from attribeval.common.seeds import fold, generators, normal
from attribeval.metrics.card import Card
from attribeval.metrics.faithfulness.scoring import clean_scores, score_of, scored, subject_of
from attribeval.metrics.subject import BATCH_SIZE, Explained, Predict, Subject, checked_maps

PERTURBATIONS = ("square", "noise")
_STREAM = 2**34 + 2**33  # random numbers of perturbations
_LARGEST = 10 / 28  # the largest square's side, as a share of the image's shorter side: the authors' 10 of 28 pixels


def infidelity(
    maps: np.ndarray, images: np.ndarray, predict: Predict, targets: np.ndarray, *,
    perturbation: str = "square", samples: int = 50, fill: Fill = "black", sigma: float = 0.2, scaled: bool = True,
    relative: bool = False,
    seeds: np.ndarray | None = None, clean: np.ndarray | None = None, batch_size: int = BATCH_SIZE,
) -> np.ndarray:  # fmt: skip
    """E[(I · Φ − (f(x) − f(x − I)))²] over random perturbations I (Yeh et al. 2019, eq. 1).

    "square": a random square is filled; I · Φ is the sum of the map over the square, for maps whose values are shares
    of the score (those of a gradient would be multiplied by the input first). Every square with a side of up to 10/28
    of the image's is as likely as any other.
    "noise": all pixels become the fill plus normal noise, clipped to the image's own range ("noisy baseline");
    I · Φ multiplies the map, as a slope, with the change of each raw value.

    With `scaled` the map is multiplied before by the one number per image that makes the error least, as the authors'
    code does: then units do not matter. Neither does the sign: a map turned upside down has the same score.

    Args:
        maps: Maps (N, H, W), or (N, H, W, C); "square" sums channels.
        images: Raw images, float32 (N, H, W, C).
        predict: Raw images -> (B, classes); the paper has the class's logit.
        targets: Class explained for each image, ints (N,).
        perturbation: "square" or "noise".
        samples: Perturbations.
        fill: The baseline, in raw space; 0 in the paper.
        sigma: Of the noise, as a share of the image's (maximum − minimum).
        scaled: Whether the best factor for each image is applied.
        relative: Divide by the mean square of f(x) − f(x − I): with `scaled` then 0 to 1, the unexplained share.
        seeds: One per image, int32 (N, 2); None makes them from the images.
        clean: Scores of the images, (N,), if known.
        batch_size: Images that `predict` gets at a time.

    Returns:
        float64 (N,), 0 or more, in squared units of the score; low is faithful. A map of zeros has the mean square of
        f(x) − f(x − I). NaN with `relative` where no perturbation changes the score.

    Raises:
        AttribevalError: If shapes do not match, or a map or score is not finite (naming the item).

    Differs from the authors' code: a random sample of the squares, and not all of them, which for photographs are
    millions. Differs from Quantus: there squares of one size pile up along a grid, so that most perturbations are
    most of the image; I · Φ is the matrix product of the two as images; and maps are not scaled.
    """
    metric = Infidelity(perturbation, samples, fill, sigma, scaled, relative)
    subject = subject_of(images, predict, targets, seeds, clean, batch_size)
    return score_of(metric, maps, subject, channels=True)


def _error(products: np.ndarray, drops: np.ndarray, scaled: bool, relative: bool) -> np.ndarray:
    """Mean squared error (N,) of I · Φ, (N, S), for the drops (N, S)."""
    if scaled:
        squares = (products**2).mean(1)
        factor = np.divide((products * drops).mean(1), squares, out=np.zeros(len(drops)), where=squares > 0)
        products = products * factor[:, None]
    error = ((products - drops) ** 2).mean(1)
    if not relative:
        return error
    total = (drops**2).mean(1)
    return np.divide(error, total, out=np.full(len(drops), np.nan), where=total > 0)


@dataclass(frozen=True)
class Infidelity:
    """`infidelity` of the logit.

    Attributes:
        perturbation, samples, fill, sigma, scaled, relative: See `infidelity`.
    """

    perturbation: str = "square"
    samples: int = 50
    fill: Fill = "black"
    sigma: float = 0.2
    scaled: bool = True
    relative: bool = False

    card = Card.of(r"""
        infidelity (faithfulness): mean squared error, in squared logits, of the scaled map for what filled squares do
            to the logit
        better: low
        passes: 50 + 0
        paper: Yeh et al. 2019, eq. 1
        maths: E_I \left[\left(\beta \, I \cdot \Phi - \left(f(x) - f(x - I)\right)\right)^2\right], \qquad \beta =
            \frac{E_I[(I \cdot \Phi) \, (f(x) - f(x - I))]}{E_I[(I \cdot \Phi)^2]} \\ I \cdot \Phi = \sum_{u \in S} M(u)
            \quad \mathrm{for\ a\ filled\ square\ } S
        misleads: Large squares cost more than small ones whatever the map says, so that any map of one sign, a random
            one too, explains a part; the best factor may be negative: the opposite of the truth is as good as the
            truth.
    """)

    def __post_init__(self) -> None:
        check_choice("perturbation", self.perturbation, PERTURBATIONS)
        check_count("samples", self.samples, 1)
        check_fill(self.fill, allowed=PLAIN_FILLS)
        check_positive("sigma", self.sigma)

    def prepare(self, subject: Subject) -> np.ndarray:
        """f(x) − f(x − I), logits, float64 (N, samples)."""
        clean = clean_scores(subject)[:, :1]
        return clean - scored(subject, self._modified(subject))[:, 0].reshape(len(subject), self.samples)

    def score(self, subject: Subject, prepared: np.ndarray, explained: Explained) -> np.ndarray:
        """Infidelity by image, float64 (N,); NaN with `relative` where no perturbation changes the logit."""
        if self.perturbation == "square":
            products = self._sums(subject, checked_maps(explained.heat, subject.images))
        else:
            maps, copies = checked_maps(explained.values, subject.images, channels=True), self._modified(subject)
            flat = [((subject.images[i] - image).astype(np.float64) * maps[i]).sum() for i, image in copies]
            products = np.reshape(flat, (len(subject), self.samples))
        return _error(products, prepared, self.scaled, self.relative)

    def _modified(self, subject: Subject) -> Iterator[tuple[int, np.ndarray]]:
        """Pairs of (image, its perturbed copy x − I), sample after sample; made again from the seed when needed."""
        images, everything = subject.images, filled(subject.images, self.fill)
        if self.perturbation == "square":
            for i, squares in enumerate(self._squares(subject)):
                for top, left, side in squares:
                    image = images[i].copy()
                    image[top : top + side, left : left + side] = everything[i, top : top + side, left : left + side]
                    yield i, image
            return
        for i, (image, hidden) in enumerate(zip(images, everything, strict=True)):
            low, high = image.min(), image.max()
            seed, spread = fold(subject.seeds[i : i + 1], _STREAM), np.full(1, self.sigma * (high - low), np.float32)
            for sample in range(self.samples):
                (noisy,) = normal(fold(seed, sample), hidden[None], spread)
                yield i, np.clip(noisy, min(low, hidden.min()), max(high, hidden.max()))

    def _squares(self, subject: Subject) -> Iterator[np.ndarray]:
        """Top, left and side of each image's squares, ints (samples, 3)."""
        height, width = subject.images.shape[1:3]
        sides = np.arange(1, max(1, round(_LARGEST * min(height, width))) + 1)
        chances = np.cumsum((height - sides + 1) * (width - sides + 1)).astype(np.float64)
        for generator in generators(fold(subject.seeds, _STREAM)):
            which, rows, columns = generator.random((3, self.samples))
            side = sides[np.searchsorted(chances, which * chances[-1], side="right")]
            top, left = (rows * (height - side + 1)).astype(int), (columns * (width - side + 1)).astype(int)
            yield np.stack([top, left, side], axis=1)

    def _sums(self, subject: Subject, maps: np.ndarray) -> np.ndarray:
        """Σ of each map (N, H, W) over each square, float64 (N, samples)."""
        sums = []
        for one, (top, left, side) in zip(maps, (squares.T for squares in self._squares(subject)), strict=True):
            table = np.zeros((one.shape[0] + 1, one.shape[1] + 1))  # sums over all pixels above and to the left
            one.cumsum(0).cumsum(1, out=table[1:, 1:])
            bottom, right = top + side, left + side
            sums.append(table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left])
        return np.stack(sums)
