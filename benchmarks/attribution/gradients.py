"""Does the gradient family cost more than its gradients? IG, SmoothGrad, VarGrad and the paper's grid, side by side.

    python benchmarks/attribution/gradients.py --model mobilenet --images 8
    python benchmarks/attribution/gradients.py --model resnet50 --images 8 --no-grid

All rows run in this process, on the same images and untrained weights; times are ratios to the bare compiled gradient
(the function alone, on a batch that is ready) measured in turn with them, the best of `--repeats`. `--clock cpu` counts
processor seconds instead of seconds, which is fairer where other programs want the same cores.

* "overhead": time per image over K × the bare gradient of the same batch size, for K gradients per image.
* "tf-keras-vis": its time over ours, for the same maps (checked) or the same number of samples.
* "grid": the fifteen estimators of Hooker et al. (2019), each by a call of its own, over one `explain_many`.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from timing import NETWORKS, best, network

GRID = [prefix + base for base in ("GRAD", "IG", "GB") for prefix in ("", "SG-", "SG-SQ-", "VAR-", "SQ-")]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(NETWORKS), default="mobilenet")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--grid-images", type=int, default=1, help="images of the grid, which takes the longest")
    parser.add_argument("--grid-size", type=int, default=96, help="their side in pixels")
    parser.add_argument("--no-grid", action="store_true")
    return parser.parse_args()


def overhead(args: argparse.Namespace, attributer, images: np.ndarray) -> None:
    import tensorflow as tf

    from attribeval.models import fields

    targets = np.zeros(len(images), np.int32)
    ready = attributer.classifier.prepare(images[: args.batch_size])
    classes = tf.constant(targets[: args.batch_size])

    def bare():
        return fields.gradient(attributer.classifier, ready, classes).numpy()

    def ours(method):
        return lambda: attributer.explain(images, method, targets, batch_size=args.batch_size, progress=False)

    rows = {"GRAD": 1, "IG": 25, "SG-GRAD": 15, "VAR-GRAD": 15}
    seconds = best({"bare": bare} | {name: ours(name) for name in rows}, args.repeats, args.clock)
    per_image = seconds["bare"] / len(ready)
    print(f"\noverhead ({args.model}, {len(images)} images, batch {args.batch_size}; goal <= 1.05)")
    print(f"{'bare gradient':<28}{per_image * 1e3:8.1f} ms per image")
    for name, count in rows.items():
        print(f"{name + f' / {count} x bare':<28}{seconds[name] / len(images) / (count * per_image):8.3f}")


def against_tf_keras_vis(args: argparse.Namespace, attributer, images: np.ndarray) -> None:
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    images = images[: args.batch_size]
    targets = [0] * len(images)
    saliency = Saliency(attributer.classifier.model, model_modifier=ReplaceToLinear(), clone=True)
    raw = {"keepdims": True, "gradient_modifier": lambda g: g, "normalize_map": False}

    def theirs(**options):
        return lambda: np.asarray(saliency(CategoricalScore(targets), images, **raw, **options))

    def ours(method):
        return lambda: attributer.explain(images, method, targets, batch_size=args.batch_size, progress=False).values

    # Eager and compiled convolutions round differently, and in a deep net a few ReLUs flip: compare as a whole.
    agreement = np.corrcoef(theirs()().ravel(), ours("gradient")().ravel())[0, 1]
    if agreement < 0.999:
        raise SystemExit(f"tf-keras-vis and we disagree: correlation {agreement:.4f}")
    seconds = best(
        {
            "gradient": theirs(),
            "smoothgrad": theirs(smooth_samples=15, smooth_noise=0.15),
            "our gradient": ours("gradient"),
            "our smoothgrad": ours("smoothgrad(gradient)"),
        },
        args.repeats,
        args.clock,
    )
    print(f"\ntf-keras-vis over ours ({len(images)} images; correlation of the gradients {agreement:.6f})")
    for name in ("gradient", "smoothgrad"):
        print(f"{name:<28}{seconds[name] / seconds['our ' + name]:8.2f}")


def grid(args: argparse.Namespace) -> None:
    from attribeval import Attributer

    attributer = Attributer(network(args.model, args.grid_size))
    shape = (args.grid_images, args.grid_size, args.grid_size, 3)
    images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    options = {"targets": 0, "batch_size": args.batch_size, "progress": False}
    attributer.explain_many(images, ["GRAD", "GB"], **options)  # compiled before the clock starts
    begun = time.perf_counter()
    together = attributer.explain_many(images, GRID, **options)
    shared = time.perf_counter() - begun
    begun = time.perf_counter()
    for name in GRID:
        alone = attributer.explain(images, name, **options)
        np.testing.assert_array_equal(alone.values, together[name].values)
    print(f"\ngrid of 15 estimators ({args.grid_images} images of {args.grid_size} pixels; goal >= 2.5)")
    print(f"{'15 calls / explain_many':<28}{(time.perf_counter() - begun) / shared:8.2f}")


def main() -> None:
    args = parse()
    from attribeval import Attributer

    attributer = Attributer(network(args.model, 224))
    images = np.random.default_rng(0).normal(size=(args.images, 224, 224, 3)).astype(np.float32)
    overhead(args, attributer, images)
    against_tf_keras_vis(args, attributer, images)
    if not args.no_grid:
        grid(args)


if __name__ == "__main__":
    main()
