"""BAM in a script: your own maps scored by the pure metrics, then the whole benchmark on a small set.

Usage: python examples/bam_on_digits.py RUN_DIR

Call it again after an interruption: the run directory holds what is done.
"""

from __future__ import annotations

import dataclasses
import sys

import numpy as np

from attribeval import Evaluator
from attribeval.benchmarks.bam.idr import depends
from attribeval.benchmarks.bam.mcs import contrast
from attribeval.benchmarks.bam.nets import find_net
from attribeval.benchmarks.bam.region import heat, region_average
from attribeval.benchmarks.roar.recipe import Recipe
from attribeval.datasets import bam


def score_any_maps(data: bam.Bam) -> None:
    """Maps from anywhere: here noise, which must score MCS 0 and IDR 50 %, up to chance."""
    masks = data.test.masks
    rng = np.random.default_rng(0)
    g = [region_average(heat(rng.random(data.test.images.shape)), masks) for _ in range(3)]
    print(f"noise: MCS {contrast(g[0], g[1]).mean():+.4f}, IDR {depends(g[0], g[2]).mean():.1%}")


def main() -> None:
    """Three models f_k instead of ten, and short trainings."""
    (run_dir,) = sys.argv[1:]
    data = bam.digits(size=32, n_train=6000, n_test=2000)
    score_any_maps(data)
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
