"""Sanity checks and a leaderboard for your model, each as one HTML page.

Usage: python examples/sanity_and_leaderboard.py RUN_DIR [MODEL PREPROCESSING IMAGENET_FOLDER [LIMIT]]

Without a model: digits on photographs, and the small net that come with the package. Call it again after an
interruption, or start it twice at once: the run directory holds what is done.
"""

from __future__ import annotations

import sys

from attribeval import Attributer, Evaluator, datasets

METHODS = ["gradient", "gradient_x_input", "smoothgrad_squared(gradient)", "guided_backprop", "gradcam", "lrp"]
BENCHMARKS = ["deletion", "insertion", "road", "sensitivity_n(subsets=16)", "max_sensitivity", "sparseness",
              "random_logit", "randomisation(images=16)"]  # fmt: skip


def main() -> None:
    """Check first, then compare."""
    run_dir, *given = sys.argv[1:]
    if given:
        model, preprocessing, folder, *limit = given
        attributer = Attributer(model, preprocess=preprocessing)
        photographs = datasets.imagenet(folder, limit=int(limit[0]) if limit else 200)
    else:
        attributer = Attributer("digit_objects")
        photographs = datasets.digit_scenes(n_train=1, n_test=40).test.samples()
    check = Evaluator(attributer, photographs[:16]).sanity(METHODS, layers=6, run_dir=f"{run_dir}/sanity")
    board = Evaluator(attributer, photographs).compare(METHODS, BENCHMARKS, run_dir=f"{run_dir}/board")
    for name, result in (("sanity", check), ("board", board)):
        print("\n".join(result.summary))
        print("Wrote", result.report(f"{run_dir}/{name}.html"))


if __name__ == "__main__":
    main()
