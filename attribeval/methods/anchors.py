"""Anchors for images: the smallest set of superpixels that holds the prediction, whatever happens to the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.fills import Fill
from attribeval.methods.options import check_count
from attribeval.methods.seeds import generators
from attribeval.methods.segments import Regions, check_regions

PULL = 16  # perturbed images per question about a candidate
_SLACK = 0.05  # an anchor is accepted when its lower bound is within this of the threshold, as in the authors' code


def kl_bounds(mean: float, n: int, level: float) -> tuple[float, float]:
    """Where a Bernoulli mean can lie: n · KL(mean, q) ≤ level (Kaufmann & Kalyanakrishnan 2013, section 4).

    Returns:
        Smallest and largest q.
    """

    def end(outer: float) -> float:
        inner = mean
        for _ in range(30):
            middle = (inner + outer) / 2
            p, q = np.clip([mean, middle], 1e-12, 1 - 1e-12)
            divergence = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
            inner, outer = (middle, outer) if n * divergence <= level else (inner, middle)
        return inner

    return end(0.0), end(1.0)


@dataclass
class Candidate:
    """A set of segments that are always shown, and how often the prediction held."""

    kept: frozenset[int]
    n: int = 0
    held: int = 0
    bounds: tuple[float, float] = field(default=(0.0, 1.0))

    @property
    def precision(self) -> float:
        return self.held / self.n if self.n else 0.0


class Search:
    """Beam search for an anchor (Ribeiro et al. 2018, algorithms 1 and 2; exploration by KL-LUCB).

    Args:
        holds: From shown segments, bool (M, players), to whether the prediction is the target, bool (M,).
        players: Number of segments.
        generator: Where perturbations come from: each segment outside the candidate is shown by a fair coin.
        options: The method's options.
    """

    def __init__(
        self, holds: Callable[[np.ndarray], np.ndarray], players: int, generator: np.random.Generator, options: Anchors
    ):
        self.holds, self.players, self.generator, self.options = holds, players, generator, options

    def pull(self, candidates: list[Candidate]) -> None:
        """Try every candidate on PULL more perturbed images."""
        shown = self.generator.random((len(candidates), PULL, self.players)) < 0.5
        for rows, candidate in zip(shown, candidates, strict=True):
            rows[:, list(candidate.kept)] = True
        held = self.holds(shown.reshape(-1, self.players)).reshape(len(candidates), PULL)
        for candidate, count in zip(candidates, held.sum(1), strict=True):
            candidate.n += PULL
            candidate.held += int(count)

    def best(self, candidates: list[Candidate]) -> list[Candidate]:
        """The `beam` candidates of highest precision, up to `tolerance` with confidence 1 − `delta` (KL-LUCB)."""
        options = self.options
        self.pull(candidates)
        spent, turn = PULL * len(candidates), 0
        while True:
            turn += 1
            level = np.log(405.5 * len(candidates) * turn**1.1 / options.delta)
            level += np.log(level)
            for candidate in candidates:
                candidate.bounds = kl_bounds(candidate.precision, candidate.n, level)
            ranked = sorted(candidates, key=lambda c: -c.precision)
            top, others = ranked[: options.beam], ranked[options.beam :]
            if not others or spent >= options.samples:
                return top
            weakest = min(top, key=lambda c: c.bounds[0])
            rival = max(others, key=lambda c: c.bounds[1])
            if rival.bounds[1] - weakest.bounds[0] <= options.tolerance:
                return top
            self.pull([weakest, rival])
            spent += 2 * PULL

    def verified(self, candidate: Candidate, rivals: int) -> bool:
        """Whether the precision reaches the threshold, sampled until the bounds say so or the samples are spent."""
        options, threshold = self.options, self.options.threshold
        level = np.log(rivals / options.delta)
        spent = 0
        while True:
            if candidate.n:
                low, high = candidate.bounds = kl_bounds(candidate.precision, candidate.n, level)
                if candidate.precision >= threshold and low > threshold - _SLACK:
                    return True
                if (candidate.precision < threshold and high < threshold + _SLACK) or spent >= options.samples:
                    return False
            self.pull([candidate])
            spent += PULL

    def run(self) -> Candidate:
        """The smallest anchor found; without one, the candidate of highest precision."""
        if not self.holds(np.ones((1, self.players), bool))[0]:
            return Candidate(frozenset())  # the model does not predict the target at all
        nothing = Candidate(frozenset())
        if self.verified(nothing, 1):
            return nothing
        beam, best = [nothing], nothing
        for _ in range(min(self.options.max_size, self.players)):
            sets = {c.kept | {s} for c in beam for s in range(self.players) if s not in c.kept}
            candidates = [Candidate(kept) for kept in sorted(sets, key=sorted)]
            beam = self.best(candidates)
            found = [c for c in beam if self.verified(c, len(candidates))]
            if found:
                return max(found, key=lambda c: c.bounds[0])
            best = max([best, *beam], key=lambda c: c.precision)
        return best


@dataclass(frozen=True)
class Anchors:
    """Anchors (Ribeiro et al. 2018): segments that suffice for the prediction, whichever others are hidden.

    The anchor's segments carry its precision, the estimated probability that the prediction is the target while they
    are shown and every other segment is hidden by a fair coin; all other pixels are 0. A map of zeros says that nothing
    needs to be shown, or that the model does not predict the target. If no set of `max_size` segments reaches the
    threshold, the best one is returned with its lower precision.

    Attributes:
        segments: About how many superpixels; None takes 50.
        segmentation: "slic", "quickshift" or "grid".
        fill: What replaces a hidden segment, in raw image space.
        threshold: Precision that an anchor must have.
        delta: One minus the confidence of the search.
        tolerance: Difference of precision that need not be told apart.
        beam: Candidates kept for each size.
        max_size: Segments in an anchor at most.
        samples: Perturbed images per size at most, and again for each check of a candidate.
    """

    segments: int | None = None
    segmentation: str = "slic"
    fill: Fill = "mean"
    threshold: float = 0.95
    delta: float = 0.05
    tolerance: float = 0.15
    beam: int = 2
    max_size: int = 10
    samples: int = 1000

    card: ClassVar[Card] = Card(
        name="anchors",
        family="model-agnostic",
        summary="superpixels that suffice for the prediction, with the precision of that",
        needs="nothing",
        passes="≈ 1000 per segment of the anchor + 0",
        paper="Ribeiro et al. 2018, alg. 1-2",
        maths=r"M(u) = \pi(A) \, 1[s(u) \in A], \quad \pi(A) = P(\arg\max f(x_z) = c \;|\; z_A = 1) \geq \tau",
        misleads="One sufficient set of many looks like the evidence; zeros may mean that nothing is needed.",
        signed=False,
    )

    def __post_init__(self) -> None:
        check_regions(self.segmentation, self.segments, self.fill)
        for name in ("threshold", "delta", "tolerance"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise AttribevalError(f"Expected {name} between 0 and 1. Received: {value!r}.")
        check_count("beam", self.beam, 1)
        check_count("max_size", self.max_size, 1)
        check_count("samples", self.samples, PULL)

    def attribute(self, batch: Batch) -> Any:
        """Return the precision on the pixels of the anchor, (B, H, W, 1), between 0 and 1."""
        regions = Regions(batch, self.segmentation, self.segments, self.fill)
        values = []
        for i, generator in enumerate(generators(batch.seeds)):
            search = Search(lambda shown, i=i: regions.is_target(i, shown), regions.count(i), generator, self)
            anchor = search.run()
            value = np.zeros(regions.count(i))
            value[list(anchor.kept)] = anchor.precision
            values.append(value)
        return regions.maps(values)
