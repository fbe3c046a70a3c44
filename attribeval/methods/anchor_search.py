"""The search for an anchor: beams of candidates, explored by KL-LUCB, as questions that another one answers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from attribeval.methods.anchors import Anchors

Asking = Generator[np.ndarray, np.ndarray, Any]  # yields shown segments, bool (M, players); is sent bool (M,)
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

    def run(self) -> Candidate:
        """The smallest anchor found; without one, the candidate of highest precision."""
        return answered({0: self.steps()}, lambda asked: {0: self.holds(asked[0])})[0]

    def steps(self) -> Asking:
        """`run`, one question after the other: yields shown segments, is sent whether the prediction held."""
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
    """Let searches go on side by side: the questions of all that are still under way are asked together.

    Args:
        searches: By number.
        holds: From shown segments by number, bool (M, players), to whether the predictions are the targets, bool (M,).

    Returns:
        What each search returned, by number.
    """
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
