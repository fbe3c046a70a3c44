"""Anchors for images: the smallest set of superpixels that holds the prediction, whatever happens to the others."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.common.options import check_count, check_share
from attribeval.common.seeds import generators
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.segments import OfSegments

Asking = Generator[np.ndarray, np.ndarray, Any]  # yields shown segments, bool (M, players); is sent bool (M,)
PULL = 16  # perturbed images per question about a candidate
_SLACK = 0.05  # an anchor is accepted when its lower bound is within this of the threshold, as in the authors' code


def kl_bounds(mean: float, n: int, level: float) -> tuple[float, float]:
    """Least and greatest q that a Bernoulli mean can be: n · KL(mean, q) ≤ level (Kaufmann & Kalyanakrishnan 2013)."""

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
    bounds: tuple[float, float] = (0.0, 1.0)

    @property
    def precision(self) -> float:
        return self.held / self.n if self.n else 0.0


class Search:
    """Beam search for an anchor (Ribeiro et al. 2018, algorithms 1 and 2; exploration by KL-LUCB).

    The generator perturbs: each segment (`players` of them) outside a candidate is shown by a fair coin.
    """

    def __init__(self, players: int, generator: np.random.Generator, options: Anchors):
        self.players, self.generator, self.options = players, generator, options

    def pull(self, candidates: list[Candidate]) -> Asking:
        """Try every candidate on PULL more perturbed images."""
        shown = self.generator.random((len(candidates), PULL, self.players)) < 0.5
        for rows, candidate in zip(shown, candidates, strict=True):
            rows[:, list(candidate.kept)] = True
        held = (yield shown.reshape(-1, self.players)).reshape(len(candidates), PULL)
        for candidate, count in zip(candidates, held.sum(1), strict=True):
            candidate.n += PULL
            candidate.held += int(count)

    def best(self, candidates: list[Candidate]) -> Asking:
        """The `beam` candidates of highest precision, up to `tolerance` with confidence 1 − `delta` (KL-LUCB)."""
        options = self.options
        yield from self.pull(candidates)
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
            yield from self.pull([weakest, rival])
            spent += 2 * PULL

    def verified(self, candidate: Candidate, rivals: int) -> Asking:
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
            yield from self.pull([candidate])
            spent += PULL

    def steps(self) -> Asking:
        """The smallest anchor found, or the candidate of highest precision, one question after the other."""
        if not (yield np.ones((1, self.players), bool))[0]:
            return Candidate(frozenset())  # the model does not predict the target at all
        nothing = Candidate(frozenset())
        if (yield from self.verified(nothing, 1)):
            return nothing
        beam, best = [nothing], nothing
        for _ in range(min(self.options.max_size, self.players)):
            sets = {c.kept | {s} for c in beam for s in range(self.players) if s not in c.kept}
            candidates = [Candidate(kept) for kept in sorted(sets, key=sorted)]
            beam = yield from self.best(candidates)
            found = []
            for candidate in beam:
                if (yield from self.verified(candidate, len(candidates))):
                    found.append(candidate)
            if found:
                return max(found, key=lambda c: c.bounds[0])
            best = max([best, *beam], key=lambda c: c.precision)
        return best


def answered(
    searches: Mapping[int, Asking], holds: Callable[[dict[int, np.ndarray]], dict[int, np.ndarray]]
) -> dict[int, Any]:
    """What searches return, by number: the questions of all that are still under way are asked together (`holds`)."""
    found: dict[int, Any] = {}
    asked = {i: next(search) for i, search in searches.items()}
    while asked:
        answers, asked = holds(asked), {}
        for i, answer in answers.items():
            try:
                asked[i] = searches[i].send(answer)
            except StopIteration as end:
                found[i] = end.value
    return found


@dataclass(frozen=True)
class Anchors(OfSegments):
    """Anchors (Ribeiro et al. 2018): segments that suffice for the prediction, whichever others are hidden.

    The anchor's segments carry its precision, the estimated probability that the prediction is the target while they
    are shown and every other segment is hidden by a fair coin; all other pixels are 0. A map of zeros says that nothing
    needs to be shown, or that the model does not predict the target. If no set of `max_size` segments reaches the
    threshold, the best one is returned with its lower precision.

    Attributes:
        threshold: Precision that an anchor must have.
        delta: One minus the confidence of the search.
        tolerance: Difference of precision that need not be told apart.
        beam: Candidates kept for each size.
        max_size: Segments in an anchor at most.
        samples: Perturbed images per size at most, and again for each check of a candidate.
    """

    threshold: float = 0.95
    delta: float = 0.05
    tolerance: float = 0.15
    beam: int = 2
    max_size: int = 10
    samples: int = 1000

    card = Card.of(r"""
        anchors (model-agnostic): superpixels that suffice for the prediction, with the precision of that
        needs: nothing
        passes: ≈ 1000 per segment of the anchor + 0
        paper: Ribeiro et al. 2018, alg. 1-2
        maths: M(u) = \pi(A) \, 1[s(u) \in A], \quad \pi(A) = P(\arg\max f(x_z) = c \;|\; z_A = 1) \geq \tau
        misleads: One sufficient set of many looks like the evidence; zeros may mean that nothing is needed.
        values: unsigned
    """)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("threshold", "delta", "tolerance"):
            check_share(name, getattr(self, name))
        check_count("beam", self.beam, 1)
        check_count("max_size", self.max_size, 1)
        check_count("samples", self.samples, PULL)

    def attribute(self, batch: Batch) -> Any:
        """Return the precision on the pixels of the anchor, (B, H, W, 1), between 0 and 1."""
        regions = self.regions(batch)
        searches = {
            i: Search(regions.count(i), generator, self).steps() for i, generator in enumerate(generators(batch.seeds))
        }
        anchors = answered(searches, regions.are_targets)
        values = [np.zeros(regions.count(i)) for i in range(len(batch))]
        for i, anchor in anchors.items():
            values[i][list(anchor.kept)] = anchor.precision
        return regions.maps(values)
