"""What does a lower precision gain, and what does it cost? Time of maps, and their rank correlation with float32.

    python benchmarks/attribution/precision.py --model resnet50
    python benchmarks/attribution/precision.py --file my_model.keras --preprocess mobilenet --photographs *.jpg

All precisions that this device has run in this process on the same images, in turn, the best of `--repeats`.
Correlations are Spearman's, of each image's heat map; the mean and the least are printed. The last column is how far
the map of one image is from itself between a batch of 64 and one of 7, as a share of its largest value.
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
    parser.add_argument("--images", type=int, default=16, help="of noise")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()

    from attribeval import AttribevalError, Attributer
    from attribeval.models.run_options import PRECISIONS

    model = args.file or network(args.model, 224)
    attributers = {}
    for precision in PRECISIONS:
        try:
            attributers[precision] = Attributer(model, preprocess=args.preprocess, precision=precision, batch_size=64)
        except AttribevalError as error:
            print(f"{precision}: {error}", flush=True)
    exact = attributers["float32"]
    images = args.photographs or np.random.default_rng(0).normal(size=(args.images, 224, 224, 3)).astype(np.float32)
    images = exact.read(images)
    targets = exact.predict(images).argmax(1)
    for method in args.methods:
        maps = {name: attributer.explain(images, method, targets) for name, attributer in attributers.items()}
        seconds = best(
            {
                name: lambda attributer=attributer, method=method: attributer.explain(images, method, targets)
                for name, attributer in attributers.items()
            },
            args.repeats,
        )
        for name, attributer in attributers.items():
            pairs = zip(maps["float32"].heatmap(), maps[name].heatmap(), strict=True)
            rank = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in pairs]
            few = attributer.explain(images[:7], method, targets[:7], batch_size=7).values
            most = np.abs(maps[name].values[:7]).max(axis=(1, 2, 3), keepdims=True)
            batch = (np.abs(few - maps[name].values[:7]) / most).max()
            print(
                f"{method:<16}{name:<10}{len(images) / seconds[name]:8.1f} images/s, rank correlation with float32 "
                f"mean {np.mean(rank):.4f}, least {np.min(rank):.4f}, between batches {batch:.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
