"""Does the fill decide what ROAR says, and does ROAD say the same without retraining? (Rong et al. 2022)

    python benchmarks/roar/road_retrained.py --run-dir runs/road_retrained

Digits on photographs, removed pixels filled with the mean colour (ROAR) or by noisy linear imputation (ROAD-retrained);
models of the masks alone, which no fill changes. Printed are, per method, what its masks tell, and its gain over random
with either fill, retrained (with the mean also debiased) and not retrained, which is ROAD with the imputation; then
Spearman's correlations of these columns. The same call goes on after an interruption.
"""

from __future__ import annotations

import argparse
import os
import time
from itertools import combinations
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

METHODS = ["gradient", "smoothgrad(gradient)", "smoothgrad_squared(gradient)", "integrated_gradients",
           "guided_backprop", "gradcam"]  # fmt: skip
FILLS = ("mean", "linear")


def run(fill: str, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """One grid → column → gain in points by method."""
    import tensorflow as tf

    from attribeval import Evaluator, Recipe
    from attribeval.benchmarks.roar.cells import cells_table
    from attribeval.benchmarks.roar.leakage import DEBIASED, LEAKAGE
    from attribeval.benchmarks.roar.run_dir import RunDir
    from attribeval.benchmarks.roar.verdict import areas_without_retraining
    from attribeval.datasets import TrainTest, digit_scenes
    from attribeval.models.small_net import small_net

    made = digit_scenes(size=arguments.size, n_train=arguments.train, n_test=arguments.test)
    folder = Path(arguments.run_dir) / fill
    result = Evaluator.roar(
        lambda: small_net((arguments.size, arguments.size, 3), 10),
        TrainTest(made.train.samples(), made.test.samples()),
        [*METHODS, "sobel", "random"],
        run_dir=folder,
        fill=fill,
        per="pixel",
        fractions=arguments.fractions,
        modes=["remove"],
        repeats=arguments.repeats,
        controls=["leakage"] if fill == "mean" else [],
        recipe=Recipe(epochs=arguments.epochs),
        strategy=tf.distribute.get_strategy(),
    )
    print(f"\nfill={fill}", *result.summary, sep="\n  ", flush=True)
    table = result.table.assign(method=result.table["method"].str.removeprefix("mask of "))
    untrained = areas_without_retraining(cells_table(RunDir(folder).records())).set_index("estimator")["area"]
    metrics = {"masks tell": LEAKAGE, "retrained": "area vs random", "retrained, debiased": DEBIASED}
    parts = {name: table[table["metric"] == metric].set_index("method")["value"] for name, metric in metrics.items()}
    parts["not retrained"] = untrained
    return {f"{fill}, {name}": (100 * part).to_dict() for name, part in parts.items() if len(part)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run-dir", required=True, metavar="DIR")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--train", type=int, default=1500)
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--fractions", type=float, nargs="+", default=[0.5, 0.9])
    arguments = parser.parse_args()
    from attribeval.metrics.correlation import spearman

    begun, processor = time.perf_counter(), time.process_time()
    columns = {name: gains for fill in FILLS for name, gains in run(fill, arguments).items()}
    names = [*METHODS, "sobel"]
    print("\n| points | " + " | ".join(columns) + " |\n| --- |" + " ---: |" * len(columns))
    for name in names:
        print(f"| {name} | " + " | ".join(f"{column[name]:+.1f}" for column in columns.values()) + " |")
    print("\nSpearman's correlation over methods and Sobel")
    for one, other in combinations(columns, 2):
        values = [np.array([columns[column][name] for name in names]) for column in (one, other)]
        print(f"  {one} ~ {other}: {float(spearman(*values)):+.2f}")
    print(f"\n{time.perf_counter() - begun:.0f} s, {time.process_time() - processor:.0f} s of processors")


if __name__ == "__main__":
    main()
