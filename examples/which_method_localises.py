"""Which method localises on your ImageNet folder? Scores, comparisons with a centred box, and one HTML page.

Usage: python examples/which_method_localises.py RUN_DIR [IMAGENET_FOLDER MODEL [LIMIT]]

Without a folder: digits on photographs, and the small net that come with the package. Call it again after an
interruption: the run directory holds what is done.
"""

from __future__ import annotations

import sys

from attribeval import Attributer, Evaluator, datasets
from attribeval.benchmarks.wsol.summary import compare

METHODS = ["gradcam", "gradcam++", "layercam", "gradient", "smoothgrad_squared(gradient)", "guided_backprop", "lrp"]


def main() -> None:
    """Score, compare, report."""
    run_dir, *given = sys.argv[1:]
    if given:
        folder, model, *limit = given
        photographs = datasets.imagenet(folder, limit=int(limit[0]) if limit else None)
        attributer = Attributer(model)
    else:
        photographs = datasets.digit_scenes(n_train=1, n_test=300).test.samples()
        attributer = Attributer("digit_objects")
    result = Evaluator(attributer, photographs).wsol(METHODS, run_dir=run_dir)
    print("\n".join(result.summary))
    table = compare(result, "MaxBoxAcc", against=["centred box"])
    print(table.sort_values("difference", ascending=False).round(4).to_string(index=False))
    print("Wrote", result.report(f"{run_dir}/report.html"))


if __name__ == "__main__":
    main()
