"""What do LIME and SHAP cost beside the forward passes that they need, and beside the packages themselves?

    python benchmarks/attribution/model_agnostic.py --model resnet50 --samples 160

All rows run in this process, on the same image and untrained weights, in turn, the best of `--repeats`; printed are
times over those of as many bare compiled forward passes of the same batch size on a batch that is ready (goal: <= 1.1).
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from timing import NETWORKS, best, network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(NETWORKS), default="mobilenet")
    parser.add_argument("--samples", type=int, default=320)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    args = parser.parse_args()

    from skimage.data import astronaut
    from skimage.transform import resize

    from attribeval import Attributer

    attributer = Attributer(network(args.model, 224), preprocess="tf")
    image = (resize(astronaut(), (224, 224), anti_aliasing=True) * 255).astype(np.float32)[None]
    ready = attributer.classifier.prepare(np.repeat(image, args.batch_size, axis=0))

    def bare():
        for _ in range(args.samples // args.batch_size):
            attributer.classifier.forward(ready)[0].numpy()

    def method(name, **options):
        settings = {"batch_size": args.batch_size, "progress": False, "samples": args.samples}
        return lambda: attributer.explain(image, name, 0, **settings, **options)

    rows = {name: method(name) for name in ("lime", "kernel_shap", "partition_shap", "rise", "hsic")}
    rows["lime package"] = method("lime", backend="lime")
    rows["shap package, kernel"] = method("kernel_shap", backend="shap")
    rows["shap package, partition"] = method("partition_shap", backend="shap")
    seconds = best({"bare": bare} | rows, args.repeats, args.clock)
    print(f"{args.model}, {args.samples} samples, batch {args.batch_size}: times over bare forward passes")
    print(f"{'bare forward pass':<24}{seconds['bare'] / args.samples * 1e3:8.1f} ms per image")
    for name in rows:
        print(f"{name:<24}{seconds[name] / seconds['bare']:8.3f}")


if __name__ == "__main__":
    main()
