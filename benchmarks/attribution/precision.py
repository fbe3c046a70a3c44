"""What does bfloat16 gain, and what does it cost? Time of the gradient, and its rank correlation with float32.

    python benchmarks/attribution/precision.py --model resnet50
    python benchmarks/attribution/precision.py --file my_model.keras --preprocess mobilenet --photographs *.jpg

Both precisions run in this process on the same images, in turn, the best of `--repeats`. Correlations are Spearman's,
of the heat maps Σ|gradient| of each image; the mean and the least are printed.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from scipy.stats import spearmanr
from timing import NETWORKS, best, network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(NETWORKS), default="mobilenet")
    parser.add_argument("--file", help="a trained model instead")
    parser.add_argument("--preprocess")
    parser.add_argument("--photographs", nargs="+", help="image files; default: noise")
    parser.add_argument("--methods", nargs="+", default=["gradient", "gradcam"])
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()

    from attribeval import Attributer

    model = args.file or network(args.model, 224)
    exact = Attributer(model, preprocess=args.preprocess, batch_size=8)
    fast = Attributer(model, preprocess=args.preprocess, batch_size=8, precision="bfloat16")
    images = args.photographs or np.random.default_rng(0).normal(size=(8, 224, 224, 3)).astype(np.float32)
    images = exact.read(images)
    targets = exact.predict(images).argmax(1)
    for method in args.methods:
        heat = [attributer.explain(images, method, targets).heatmap() for attributer in (exact, fast)]
        rank = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(*heat, strict=True)]
        seconds = best(
            {
                "float32": lambda method=method: exact.explain(images, method, targets),
                "bfloat16": lambda method=method: fast.explain(images, method, targets),
            },
            args.repeats,
        )
        print(
            f"{method:<16}float32 / bfloat16 time {seconds['float32'] / seconds['bfloat16']:.2f}, "
            f"rank correlation mean {np.mean(rank):.4f}, least {np.min(rank):.4f}"
        )


if __name__ == "__main__":
    main()
