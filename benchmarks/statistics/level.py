"""How often a test claims a difference where there is none, and how often an interval holds the truth, by images.

    python benchmarks/statistics/level.py [--runs 2000] [--seed 0]

Prints two Markdown tables, those of docs/statistics.md. Two methods with the same scores up to chance are tested at
5 %: scores that are normal, skewed or thirds, hits, and hits of the best of many thresholds, chosen for each method on
the same images. Beside the test of the package stands the bootstrap (1000 samples, the difference in units of its
standard error) for comparison. An interval should hold the truth in 95 %.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import stats

from attribeval.results.over_images import mean_interval, sign_flip_test
from attribeval.results.statistics import bootstrap_interval

IMAGES = (2, 3, 4, 5, 6, 7, 8, 10, 12, 13, 15, 20, 30, 40, 50)
COVERED = (2, 3, 5, 10, 20, 50)


def normal(rng, n):
    return rng.normal(0.5, 0.2, (2, n))


def skewed(rng, n):
    """Many small scores, some large ones."""
    return rng.exponential(0.3, (2, n)) ** 2


def thirds(rng, n):
    return rng.binomial(3, 0.6, (2, n)) / 3


def hits(rng, n):
    return (rng.random((2, n)) < 0.7).astype(float)


def best_of_thresholds(rng, n, thresholds=256):
    """Hits between two thresholds of each image's own, about a common best one; each method at its best threshold."""
    low = rng.integers(0, thresholds // 2, (2, n, 1))
    high = low + rng.integers(1, thresholds // 2, (2, n, 1))
    found = (np.arange(thresholds) >= low) & (np.arange(thresholds) < high)
    return np.stack([one[:, one.mean(0).argmax()] for one in found]).astype(float)


def bootstrap_p(a, b, rng):
    """What stood here before: normal, with the bootstrap's standard error; 0 where that is 0 and the difference not."""
    d = a - b
    error = d[rng.integers(0, len(d), (1000, len(d)))].mean(1).std(ddof=1)
    if error == 0:
        return 1.0 if d.mean() == 0 else 0.0
    return 2 * stats.norm.sf(abs(d.mean()) / error)


def levels(runs, seed):
    nulls = (normal, skewed, thirds, hits, best_of_thresholds)
    print("| images | bootstrap, normal scores | " + " | ".join(f.__name__.replace("_", " ") for f in nulls) + " |")
    print("|" + " ---: |" * (len(nulls) + 2))
    worst = 0.0
    for n in IMAGES:
        rng = np.random.default_rng([seed, n])
        few = runs // 4
        before = np.mean([bootstrap_p(*normal(rng, n), rng) < 0.05 for _ in range(few)])
        shares = [np.mean([sign_flip_test(*null(rng, n)) <= 0.05 for _ in range(runs)]) for null in nulls]
        worst = max(worst, *shares)
        print(f"| {n} | {before:.1%} | " + " | ".join(f"{share:.1%}" for share in shares) + " |", flush=True)
    error = np.sqrt(0.05 * 0.95 / runs)
    print(f"\nLargest: {worst:.1%}; 5 % ± {2 * error:.1%} (two standard errors of {runs} runs).\n")


def coverage(runs, seed):
    rng = np.random.default_rng([seed, 1])
    kinds = {
        "hits at 90 %": (lambda n: (rng.random(n) < 0.9).astype(float), 0.9),
        "hits at 50 %": (lambda n: (rng.random(n) < 0.5).astype(float), 0.5),
        "uniform scores": (lambda n: rng.random(n), 0.5),
        "exponential scores": (lambda n: rng.exponential(1, n), 1.0),
    }
    print("| images | " + " | ".join(f"{name}: bootstrap | here" for name in kinds) + " |")
    print("|" + " ---: |" * (2 * len(kinds) + 1))
    for n in COVERED:
        cells = []
        for draw, truth in kinds.values():
            for interval, times in ((lambda v: bootstrap_interval(v, resamples=400), runs // 4), (mean_interval, runs)):
                ends = [interval(draw(n)) for _ in range(times)]
                cells.append(np.mean([low <= truth <= high for low, high in ends]))
        print(f"| {n} | " + " | ".join(f"{cell:.0%}" for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    levels(args.runs, args.seed)
    coverage(args.runs, args.seed)
