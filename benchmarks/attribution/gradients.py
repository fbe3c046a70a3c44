"""Does the gradient family cost more than its gradients? IG, SmoothGrad, VarGrad and the paper's grid, side by side.

    python benchmarks/attribution/gradients.py --model mobilenet
    python benchmarks/attribution/gradients.py --model vgg16 --images 8 --no-grid

All rows run in this process, on the same images and untrained weights; times are ratios to the bare compiled gradient
(the function alone, on a batch that is ready) measured in turn with them, the best of `--repeats`. `--clock cpu` counts
processor seconds instead of seconds, which is fairer where other programs want the same cores.

* "overhead": time per image over K × the bare gradient at its best batch size, for K gradients per image.
* "tf-keras-vis": its time over ours, for the same maps (checked) or the same number of samples; and over that of as
  many bare gradients, which nothing that takes gradients from TensorFlow's compiled graph can beat.
* "grid": the fifteen estimators of Hooker et al. (2019), each by a call of its own, over one `explain_many`; and that
  over the three SmoothGrads that do all its work.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from timing import NETWORKS, best, network

GRID = [prefix + base for base in ("GRAD", "IG", "GB") for prefix in ("", "SG-", "SG-SQ-", "VAR-", "SQ-")]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(NETWORKS), default="mobilenet")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[4, 8, 16, 32], help="up to --images are tried")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--vis-images", type=int, nargs="+", default=[1, 8], help="images of tf-keras-vis")
    parser.add_argument("--grid-images", type=int, default=1, help="images of the grid, which takes the longest")
    parser.add_argument("--grid-size", type=int, default=96, help="their side in pixels")
    parser.add_argument("--no-grid", action="store_true")
    return parser.parse_args()


def bare(attributer, images: np.ndarray, times: int = 1) -> Callable[[], None]:
    """The compiled gradient alone, `times` times, on a batch that is ready."""
    import tensorflow as tf

    from attribeval.models import fields

    ready, classes = attributer.classifier.prepare(images), tf.zeros(len(images), tf.int32)

    def run() -> None:
        for _ in range(times):
            fields.gradient(attributer.classifier, ready, classes).numpy()

    return run


def overhead(args: argparse.Namespace, attributer, images: np.ndarray) -> None:
    sizes = [size for size in args.batch_sizes if size <= len(images)]
    seconds = best({size: bare(attributer, images[:size]) for size in sizes}, args.repeats, args.clock)
    size = min(sizes, key=lambda one: seconds[one] / one)

    def ours(method):
        return lambda: attributer.explain(images, method, 0, batch_size=size, progress=False)

    rows = {"GRAD": 1, "IG": 25, "SG-GRAD": 15, "VAR-GRAD": 15}
    functions = {"bare": bare(attributer, images[:size], 8)} | {name: ours(name) for name in rows}
    seconds = best(functions, args.repeats, args.clock)
    per_image = seconds["bare"] / 8 / size
    print(f"\noverhead ({args.model}, {len(images)} images; best batch size {size} of {sizes}; goal <= 1.05)")
    print(f"{'bare gradient':<34}{per_image * 1e3:8.1f} ms per image")
    for name, count in rows.items():
        print(f"{name + f' / {count} x bare':<34}{seconds[name] / len(images) / (count * per_image):8.3f}")


def against_tf_keras_vis(args: argparse.Namespace, attributer, images: np.ndarray) -> None:
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    saliency = Saliency(attributer.classifier.model, model_modifier=ReplaceToLinear(), clone=True)
    score = CategoricalScore([0] * len(images))
    raw = {"keepdims": True, "gradient_modifier": lambda g: g, "normalize_map": False}

    def theirs(**options):
        return lambda: np.asarray(saliency(score, images, **raw, **options))

    def ours(method):
        return lambda: attributer.explain(images, method, 0, progress=False).values

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
            "bare gradient": bare(attributer, images),
            "bare smoothgrad": bare(attributer, np.repeat(images, 15, axis=0)[:15], len(images)),
        },
        args.repeats,
        args.clock,
    )
    print(f"\ntf-keras-vis ({args.model}, images at a time: {len(images)}; correlation of gradients {agreement:.6f})")
    for name in ("gradient", "smoothgrad"):
        print(f"{name + ' / ours, goal >= 2.5':<34}{seconds[name] / seconds['our ' + name]:8.2f}")
        print(f"{name + ' / bare compiled':<34}{seconds[name] / seconds['bare ' + name]:8.2f}")


def grid(args: argparse.Namespace) -> None:
    from attribeval import Attributer

    attributer = Attributer(network(args.model, args.grid_size))
    shape = (args.grid_images, args.grid_size, args.grid_size, 3)
    images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    options = {"targets": 0, "progress": False}
    together = attributer.explain_many(images, GRID, **options)
    for name in GRID:
        np.testing.assert_array_equal(attributer.explain(images, name, **options).values, together[name].values)
    functions = {name: lambda name=name: attributer.explain(images, name, **options) for name in GRID}
    functions["together"] = lambda: attributer.explain_many(images, GRID, **options)
    alone = best(functions, args.repeats, args.clock)
    shared = alone.pop("together")
    work = sum(alone[name] for name in ("SG-GRAD", "SG-IG", "SG-GB"))
    print(f"\ngrid of 15 estimators ({args.model}, {args.grid_images} images of {args.grid_size} pixels)")
    print(f"{'15 calls / explain_many, goal >= 2.5':<40}{sum(alone.values()) / shared:8.2f}")
    print(f"{'explain_many / (SG-GRAD + SG-IG + SG-GB)':<40}{shared / work:8.2f}")


def main() -> None:
    args = parse()
    from attribeval import Attributer

    attributer = Attributer(network(args.model, 224))
    images = np.random.default_rng(0).normal(size=(args.images, 224, 224, 3)).astype(np.float32)
    overhead(args, attributer, images)
    for count in args.vis_images:
        against_tf_keras_vis(args, attributer, images[:count])
    if not args.no_grid:
        grid(args)


if __name__ == "__main__":
    main()
