"""BAM and TCAV in a script: your own maps by the pure metrics, a concept, then the whole benchmark on a small set.

Usage: python examples/bam_on_digits.py RUN_DIR

Call it again after an interruption: the run directory holds what is done.
"""

from __future__ import annotations

import dataclasses
import sys

import numpy as np

from attribeval import Attributer, Evaluator, Recipe
from attribeval.benchmarks.bam.idr import depends
from attribeval.benchmarks.bam.mcs import contrast
from attribeval.benchmarks.bam.nets import find_net
from attribeval.benchmarks.bam.region import heat, region_average
from attribeval.concepts.tcav import tcav
from attribeval.datasets import bam


def score_any_maps(data: bam.Bam) -> None:
    """Maps from anywhere: here noise, which must score MCS 0 and IDR 50 %, up to chance."""
    masks = data.test.masks
    rng = np.random.default_rng(0)
    g = [region_average(heat(rng.random(data.test.images.shape)), masks) for _ in range(3)]
    print(f"noise: MCS {contrast(g[0], g[1]).mean():+.4f}, IDR {depends(g[0], g[2]).mean():.1%}")


def ask_for_a_concept(data: bam.Bam) -> None:
    """TCAV of "zero" against other digits, in the net that names the digit and in the one that names the scene."""
    rng = np.random.default_rng(0)
    zeros, rest = np.flatnonzero(data.train.objects == 0), np.flatnonzero(data.train.objects != 0)
    concept = data.train.load("composite", rng.choice(zeros, 100, replace=False))
    others = [data.train.load("composite", rng.choice(rest, 100, replace=False)) for _ in range(20)]
    items = np.flatnonzero(data.test.objects == 0)
    for name, labels in (("digit_objects", data.test.objects), ("digit_scenes", data.test.scenes)):
        answer = tcav(Attributer(name), data.test.load("composite", items), labels[items], concept, others)
        print(f"TCAV of zero in {name}:\n{answer.table.round(4).to_string(index=False)}")


def main() -> None:
    """Three models f_k instead of ten, and short trainings."""
    (run_dir,) = sys.argv[1:]
    data = bam.digits(size=32, n_train=6000, n_test=2000)
    score_any_maps(data)
    ask_for_a_concept(bam.digits(n_train=1500, n_test=300, size=64))
    net = dataclasses.replace(find_net("small"), recipe=Recipe(steps=500), series_recipe=Recipe(steps=200))
    result = Evaluator.bam(
        data,
        ["gradcam", "gradient", "guided_backprop", "integrated_gradients"],
        run_dir=run_dir,
        net=net,
        ks=(0.2, 0.5, 1.0),
        images=120,
        patch_images=60,
    )
    print("\n".join(result.summary))
    print("Wrote", result.report(f"{run_dir}/report.html"))


if __name__ == "__main__":
    main()
