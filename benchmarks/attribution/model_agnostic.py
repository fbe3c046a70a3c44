"""What do methods that paint cost beside the forward passes that they need, and beside the packages themselves?

    python benchmarks/attribution/model_agnostic.py --model resnet50 --samples 160

All rows run in this process, on the same image and untrained weights, in turn, the best of `--repeats`; printed are
times over those of as many bare compiled forward passes of the same batch size on a batch that is ready (goal: <= 1.1).
"Deletion" is the benchmark's curve of `--samples` steps, painted where the model is and, as a row of its own, painted
by NumPy and answered through `Attributer.answer`.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from timing import NETWORKS, best, network

from attribeval.methods.occlusion import starts
from attribeval.metrics.faithfulness.deletion import Deletion
from attribeval.metrics.subject import Explained, Subject


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
        settings = {"batch_size": args.batch_size, "progress": False}
        return lambda: attributer.explain(image, name, 0, **settings, **options)

    samples, side = {"samples": args.samples}, 4
    window = 224 // max(2, round(np.sqrt(args.samples)) // 2)
    windows = len(starts(224, window, window // 2)) ** 2
    designs = 2 ** round(np.log2(max(2, args.samples / (side**2 + 1))))
    rows = {name: (method(name, **samples), args.samples) for name in ("rise", "hsic", "lime", "kernel_shap")}
    rows["partition_shap"] = method("partition_shap", **samples), args.samples
    rows["sobol"] = method("sobol", grid_size=side, designs=designs), designs * (side**2 + 1)
    rows["occlusion"] = method("occlusion", window=window, stride=window // 2), windows
    rows["lime package"] = method("lime", backend="lime", **samples), args.samples
    rows["shap package, kernel"] = method("kernel_shap", backend="shap", **samples), args.samples
    rows["shap package, partition"] = method("partition_shap", backend="shap", **samples), args.samples
    for label, capacity in (("deletion", args.batch_size), ("deletion, NumPy paints", None)):
        rows[label] = deletion_of(attributer, image, args.samples, args.batch_size, capacity), args.samples
    seconds = best({"bare": bare} | {name: row for name, (row, _) in rows.items()}, args.repeats, args.clock)
    one = seconds["bare"] / args.samples
    print(f"{args.model}, about {args.samples} samples, batch {args.batch_size}: times over bare forward passes")
    print(f"{'bare forward pass':<24}{one * 1e3:8.1f} ms per image")
    for name, (_, passes) in rows.items():
        print(f"{name:<24}{seconds[name] / (one * passes):8.3f}  {passes} passes")


def deletion_of(attributer, image, steps, batch_size, capacity):
    """The deletion benchmark's score of a random map; the first and the last image of the curve are known, or whole."""
    heat = np.random.default_rng(0).normal(size=image.shape[:3]).astype(np.float32)

    def run():
        def answer(images):
            return attributer.answer(images, batch_size=batch_size)

        subject = Subject(
            image, np.zeros(1, int), answer, np.zeros((1, 2), np.int32), None, attributer.classifier, capacity=capacity
        )
        Deletion(steps=steps).score(subject, None, Explained(heat[..., None], heat, explain=None))

    return run


if __name__ == "__main__":
    main()
