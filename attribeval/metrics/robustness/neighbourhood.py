"""Images next to an image: drawn once, explained once per method, for all benchmarks of robustness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.common.options import check_count, check_positive
from attribeval.common.seeds import fold, uniform
from attribeval.errors import AttribevalError
from attribeval.metrics.subject import Explained, Subject, checked_maps

_STREAM = 7_000_000  # far from the indices that methods fold, or SmoothGrad's noise would be this noise


def draw_neighbours(images: np.ndarray, seeds: np.ndarray, radius: float = 0.02, samples: int = 4) -> np.ndarray:
    """Draw images uniformly from the L∞ ball around each image.

    Nothing is clipped: a neighbour may leave the range of pixels by as much as the radius.

    Args:
        images: Raw images, (N, H, W, C).
        seeds: One per image, int32 (N, 2).
        radius: Of the ball, as a share of each image's own largest minus smallest value.
        samples: S, neighbours of each image.

    Returns:
        float32 (N, S, H, W, C). An image of one value has no range: its neighbours are itself.
    """
    images = np.asarray(images, np.float32)
    out = np.empty((len(images), samples, *images.shape[1:]), np.float32)
    reach = np.float32(radius) * spans(images)
    for sample in range(samples):
        noise = uniform(fold(seeds, _STREAM + sample), images.shape[1:])
        out[:, sample] = images + (2 * noise - 1) * reach.reshape(-1, 1, 1, 1)
    return out


def spans(images: np.ndarray) -> np.ndarray:
    """Largest minus smallest value of each image, (N,)."""
    return np.ptp(images.reshape(len(images), -1), axis=1)


@dataclass(frozen=True)
class Neighbourhood:
    """The options of all benchmarks of robustness, and what those with the same options share.

    Neighbours are explained for the class of their image, with the image's own random numbers: the noise of methods
    that sample does not count as a lack of robustness (`repeatability` asks for that).

    Attributes:
        radius: As in `draw_neighbours`.
        samples: Neighbours per image. Each costs every method one explanation.
        images: How many images are judged, the first ones; the others' scores are NaN.
    """

    radius: float = 0.02
    samples: int = 4
    images: int = 25

    def __post_init__(self):
        check_positive("radius", self.radius)
        check_count("samples", self.samples, least=1)
        check_count("images", self.images, least=1)

    def _key(self, what: str) -> tuple:
        return what, self.radius, self.samples, self.images

    def prepare(self, subject: Subject) -> np.ndarray:
        """The neighbours of the judged images, float32 (n, S, H, W, C), the same array for all who ask."""
        judged = slice(self.images)
        return subject.share(
            self._key("neighbours"),
            lambda: draw_neighbours(subject.images[judged], subject.seeds[judged], self.radius, self.samples),
        )

    def logits(self, subject: Subject) -> tuple[np.ndarray, np.ndarray]:
        """Logits of the judged images, (n, classes), and of their neighbours, (n, S, classes), asked for once."""
        neighbours = self.prepare(subject)

        def compute() -> np.ndarray:
            answers = subject.logits_of(neighbours.reshape(-1, *neighbours.shape[2:]))
            return answers.reshape(*neighbours.shape[:2], -1)

        return subject.logits[: self.images], subject.share(self._key("logits of neighbours"), compute)

    def maps(self, subject: Subject, explained: Explained) -> np.ndarray:
        """Maps of the neighbours, (n, S, H, W, C or 1), computed once per method in one call."""
        neighbours = self.prepare(subject)

        def compute() -> np.ndarray:
            owners = np.repeat(np.arange(len(neighbours)), self.samples)
            flat = neighbours.reshape(-1, *neighbours.shape[2:])
            maps = np.asarray(explained.explain(flat, subject.targets[owners], subject.seeds[owners]))
            return maps.reshape(*neighbours.shape[:2], *maps.shape[1:])

        return explained.share(self._key("maps of neighbours"), compute)

    def score(self, subject: Subject, prepared: np.ndarray, explained: Explained) -> np.ndarray:
        """As the function of the same name, (N,); NaN also for images that were not judged or have one value only."""
        judged = slice(self.images)
        scores = self.judge(subject, prepared, explained.values[judged], self.maps(subject, explained))
        return subject.of_first(np.where(spans(subject.images[judged]) == 0, np.nan, scores))

    def judge(self, subject: Subject, near: np.ndarray, maps: np.ndarray, near_maps: np.ndarray) -> np.ndarray:
        """The function's numbers (n,) for the judged images' maps, from the images near them and the maps of those."""
        raise NotImplementedError


def sensitivities(maps: np.ndarray, neighbour_maps: np.ndarray) -> np.ndarray:
    """‖φ(x + δ) − φ(x)‖ / ‖φ(x)‖ of each neighbour, float64 (N, S); NaN for a map of zeros."""
    maps, neighbour_maps = checked_near(maps, neighbour_maps)
    return ratio(distances(maps, neighbour_maps), norms(maps)[:, None])


def checked_near(maps: np.ndarray, neighbour_maps: np.ndarray, *beside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maps (N, H, W) or (N, H, W, C), and those of neighbours (N, S, ...), as the metrics take them.

    Maps of neighbours stay as small as they are, since S times as many float64 values may not fit.

    Args:
        maps: Of the images.
        neighbour_maps: With the same places and channels, S >= 1.
        beside: What else is compared, if anything: of the images (N, ...), then of their neighbours (N, S, ...).

    Raises:
        AttribevalError: If shapes do not match, or a map has NaN or infinity (naming image and neighbour).
    """
    maps, neighbour_maps = checked_maps(maps, channels=True), np.asarray(neighbour_maps)
    shape = neighbour_maps.shape
    if neighbour_maps.ndim != maps.ndim + 1 or (shape[0], *shape[2:]) != maps.shape or shape[1] < 1:
        raise AttribevalError(
            f"Expected maps of neighbours (N, S, ...) for maps (N, ...) of shape {maps.shape}. Received: {shape}."
        )
    bad = np.argwhere(~np.isfinite(neighbour_maps.reshape(*shape[:2], -1)).all(-1))
    if len(bad):
        raise AttribevalError(
            f"Expected finite maps. Received NaN or infinity in the map of neighbour {bad[0][1]} of image {bad[0][0]}: "
            "drop or mend it first."
        )
    if beside and (len(beside[0]) != shape[0] or beside[1].shape != (*shape[:2], *beside[0].shape[1:])):
        raise AttribevalError(
            f"Expected (N, ...) and (N, S, ...) with N, S = {shape[:2]}, as the maps of neighbours. Received: "
            f"{beside[0].shape} and {beside[1].shape}."
        )
    return maps, neighbour_maps


def norms(arrays: np.ndarray) -> np.ndarray:
    """Euclidean norm of each of N arrays (N, ...), float64 (N,)."""
    return np.linalg.norm(np.asarray(arrays, np.float64).reshape(len(arrays), -1), axis=1)


def distances(arrays: np.ndarray, neighbours: np.ndarray, units: np.ndarray | None = None) -> np.ndarray:
    """Euclidean distance of each array (N, ...) from each of its neighbours (N, S, ...), float64 (N, S).

    `units` (N, ...) divide each element's change. One neighbour at a time, so that memory stays that of one.
    """
    found = []
    for sample in range(neighbours.shape[1]):
        changes = np.subtract(neighbours[:, sample], arrays, dtype=np.float64)
        found.append(norms(changes if units is None else ratio(changes, units)))
    return np.stack(found, axis=1)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, broadcast; NaN where below is 0: nothing can be said relative to nothing."""
    above, below = np.broadcast_arrays(np.asarray(above, np.float64), below)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
