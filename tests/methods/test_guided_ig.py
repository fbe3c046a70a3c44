"""Guided IG against the paper's algorithm."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.known import CLASSES, SHAPE, Known, Polynomial, close, known_known, known_x  # noqa: F401

from attribeval import Attributer


def guided_ig_slowly(image, start, gradient_of, steps, fraction, distance):
    """Kapishnikov et al. 2021, algorithm 1, value by value in plain Python."""
    end, x = [float(v) for v in image.ravel()], [float(v) for v in start.ravel()]
    begin, n = list(x), image.size
    total = sum(abs(e - b) for e, b in zip(end, begin, strict=True))
    out = [0.0] * n
    for step in range(1, steps + 1):
        g = gradient_of(np.array(x).reshape(image.shape)).ravel()
        alpha = step / steps
        low, high = max(alpha - distance, 0), min(alpha + distance, 1)
        lowest = [b + low * (e - b) for e, b in zip(end, begin, strict=True)]
        highest = [b + high * (e - b) for e, b in zip(end, begin, strict=True)]
        target = total * (1 - alpha)
        old = list(x)
        for i in range(n):  # behind the corridor
            if abs(x[i] - begin[i]) < abs(lowest[i] - begin[i]):
                x[i] = lowest[i]
        movable = {i for i in range(n) if abs(highest[i] - x[i]) > 1e-12}
        while movable:
            left = sum(abs(e - v) for e, v in zip(end, x, strict=True)) - target
            if left <= 1e-9 * total:
                break
            in_order = sorted(abs(g[i]) for i in movable)
            rank = int(np.floor(fraction * (n - 1)))  # the lower quantile over all n values, the immovable being last
            limit = in_order[rank] if rank < len(in_order) else np.inf
            chosen = [i for i in movable if abs(g[i]) <= limit]
            room = sum(abs(highest[i] - x[i]) for i in chosen)
            share = min(1.0, left / room)
            for i in chosen:
                x[i] = highest[i] if share == 1 else x[i] + share * (highest[i] - x[i])
            if share < 1:
                break
            movable -= set(chosen)
        for i in range(n):
            out[i] += (x[i] - old[i]) * g[i]
    return np.array(out).reshape(image.shape)


@pytest.mark.parametrize(("fraction", "distance"), [(0.25, 0.02), (0.25, 0.3), (0.1, 1.0), (1.0, 0.2), (0.5, 0.0)])
def test_guided_ig_against_the_algorithm_of_the_paper(known, x, fraction, distance):
    start = np.zeros(SHAPE)
    start[0, 0] = x[1, 0, 0]  # three values with no way to go
    maps = Attributer(known.model).explain(
        x[:2], "guided_ig", 1, steps=7, fraction=fraction, max_distance=distance, baseline=start
    )
    for i, image in enumerate(x[:2]):
        begin = start.astype(np.float32).astype(np.float64)
        expected = guided_ig_slowly(
            image.astype(np.float64), begin, lambda p: known.gradient(p, 1), 7, fraction, distance
        )
        close(maps.values[i], expected, 1e-4)
        gap = expected.sum() - (known.score(image, 1) - known.score(begin, 1))
        assert abs(maps.completeness_gap[i] - gap) < 1e-2


def test_guided_ig_without_room_is_integrated_gradients(small_model, images):
    attributer = Attributer(small_model)
    guided = attributer.explain(images[:3], "guided_ig", max_distance=0, steps=20).values
    straight = attributer.explain(images[:3], "IG", rule="left", steps=20).values
    close(guided, straight, 1e-4)
