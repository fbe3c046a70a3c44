"""How often a test claims a difference where there is none, and how often an interval holds the truth, by images.

    python benchmarks/statistics/level.py [--runs 2000] [--seed 0] [--table levels coverage studies repeats concepts]

Prints Markdown tables, those of docs/statistics.md. `levels`: two methods with the same scores up to chance are tested
at 5 %: scores that are normal, skewed or thirds, hits, and hits of the best of many thresholds, chosen for each method
on the same images. Beside the test of the package stands the bootstrap (1000 samples, the difference in units of its
standard error) for comparison. `coverage`: an interval should hold the truth in 95 %. `studies`: how often a whole run
of ten methods that do not differ claims anything. `repeats`: ROAR's test, over trainings. `concepts`: TCAV's, of a
concept that is more random examples, one set of them or one for each random set, and of one that is a concept.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import stats

from attribeval.concepts.cav import train_cav
from attribeval.concepts.tcav import p_of_scores, tcav_score
from attribeval.results.comparisons import groups, holm, paired_test
from attribeval.results.over_images import mean_interval, not_told_from, sign_flip_test
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


METHODS = 10  # of a run
REPEATS = (2, 3, 5, 10)
SETS = (5, 10, 20)


def studies(runs, seed):
    """Ten methods with scores alike up to chance, correlated over images, as those of one set of images are."""

    def against_control(scores, control):  # wsol, sanity, the board and BAM (against 0)
        return (holm(np.array([sign_flip_test(one, control) for one in scores])) < 0.05).any()

    def best(scores, _):  # wsol, BAM
        by_name = dict(enumerate(scores))
        first = int(np.argmax([one.mean() for one in scores]))
        return len(not_told_from(first, by_name)) < METHODS - 1

    def letters(scores, _):  # the board
        by_name = {str(i): one for i, one in enumerate(scores)}
        return len(set(groups(list(by_name), by_name, 0.95, sign_flip_test).values())) > 1

    claims = {"any better or worse than a control": against_control, "any told from the best": best, "letters": letters}
    few = runs // 4
    print("| images | " + " | ".join(f"{name}: scores | hits" for name in claims) + " |")
    print("|" + " ---: |" * (2 * len(claims) + 1))
    for n in (2, 5, 8, 10, 20, 50):
        cells = []
        for claim in claims.values():
            for is_hit in (False, True):
                rng = np.random.default_rng([seed, n, 2])
                found = 0
                for _ in range(few):
                    scores = rng.normal(0, 1, n) + rng.normal(0, 1, (METHODS + 1, n))
                    scores = (scores > -0.5).astype(float) if is_hit else scores
                    found += bool(claim(scores[1:], scores[0]))
                cells.append(found / few)
        print(f"| {n} | " + " | ".join(f"{cell:.1%}" for cell in cells) + " |", flush=True)
    print(f"\n{few} runs: 5 % ± {2 * np.sqrt(0.05 * 0.95 / few):.1%}.\n")


def repeats(runs, seed):
    """Accuracies of two methods, counted on test images, of repeats that share their starting weights."""
    kinds = {"100 test images": 100, "1000 test images": 1000, "10,000 test images": 10_000}
    print("| repeats | " + " | ".join(kinds) + " |")
    print("|" + " ---: |" * (len(kinds) + 1))
    for n in REPEATS:
        cells = []
        for images in kinds.values():
            rng = np.random.default_rng([seed, n, images])
            chance = np.clip(0.7 + rng.normal(0, 0.02, (runs, 1, n)) + rng.normal(0, 0.01, (runs, 2, n)), 0, 1)
            accuracies = rng.binomial(images, chance) / images
            cells.append(np.mean([paired_test(*one) <= 0.05 for one in accuracies]))
        print(f"| {n} | " + " | ".join(f"{cell:.1%}" for cell in cells) + " |", flush=True)


def concepts(runs, seed, examples=50, features=20, inputs=40):
    """Random activations and gradients: nothing is a concept; one that is, by a shift of half a standard deviation."""
    few = runs // 4
    print(
        "| random sets | p <= .01, one set of the concept | a set for each | of a concept: one set | a set for each |"
    )
    print("|" + " ---: |" * 5)
    for sets in SETS:
        found = np.zeros((2, 2))
        for run in range(few):
            rng = np.random.default_rng([seed, sets, run])
            way = rng.normal(size=features)
            randoms, of_concept = rng.normal(size=(2, sets, examples, features))
            gradients = rng.normal(size=(inputs, features)) + way
            chance = _tcav_scores(gradients, randoms, np.roll(randoms, -1, 0))
            for i, shift in enumerate((0.0, 0.5 / np.linalg.norm(way))):
                own = of_concept + shift * way
                for j, meet in enumerate((np.repeat(own[:1], sets, 0), own)):
                    found[i, j] += p_of_scores(_tcav_scores(gradients, meet, randoms), chance) <= 0.01
        print(f"| {sets} | " + " | ".join(f"{share:.1%}" for share in (found / few).ravel()) + " |", flush=True)
    print(f"\n{few} runs each.\n")


def _tcav_scores(gradients, concepts, others):
    pairs = enumerate(zip(concepts, others, strict=True))
    return np.array([tcav_score(gradients, train_cav(*pair, seed=i)[0]) for i, pair in pairs])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tables = {one.__name__: one for one in (levels, coverage, studies, repeats, concepts)}
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", nargs="+", choices=tables, default=list(tables))
    args = parser.parse_args()
    for name in args.table:
        tables[name](args.runs, args.seed)
