"""ROAR from plan to verdict, in a script: does a method find what a retrained model needs?

Usage: python examples/roar_on_digits.py RUN_DIR

Call it again after an interruption, or start it twice at once: the run directory holds what is done.
"""

from __future__ import annotations

import sys

from attribeval import Evaluator, Recipe, datasets
from attribeval.models.small_net import small_net


def build_model():
    """An untrained, uncompiled classifier; it takes raw pixels."""
    return small_net((32, 32, 3), classes=10)


def main() -> None:
    """Three estimators and two controls at two fractions, each trained three times."""
    (run_dir,) = sys.argv[1:]
    result = Evaluator.roar(
        build_model,
        datasets.digit_scenes(size=32, n_train=3000, n_test=1000),
        ["GRAD", "SG-SQ-GRAD", "VAR-GRAD", "random", "sobel"],
        run_dir=run_dir,
        fractions=[0.3, 0.9],
        modes=["remove"],
        repeats=3,
        recipe=Recipe(epochs=8),
        jobs=2,
    )
    print("\n".join(result.summary))
    print("Wrote", result.report(f"{run_dir}/report.html"))


if __name__ == "__main__":
    main()
