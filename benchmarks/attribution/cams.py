"""Class activation maps side by side: our Grad-CAM, Grad-CAM++, LayerCAM and Score-CAM against tf-keras-vis.

    python benchmarks/attribution/cams.py --model mobilenet --images 8
    python benchmarks/attribution/cams.py --model resnet50 --size 224 --channels 256

All rows run in this process, on the same images and untrained weights, in turn, the best of `--repeats`; only ratios
are printed. The library's objects are made once, before the clock starts. `--clock cpu` counts processor seconds, which
is fairer where other programs want the same cores. Maps must agree, or the script fails.

* "tf-keras-vis": its time over ours, for the same maps.
* "family": Grad-CAM, Grad-CAM++ and LayerCAM by one `explain_many`, over Grad-CAM alone.
* "bare": Score-CAM over as many bare forward passes as it has channels.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from timing import NETWORKS, best, network


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(NETWORKS), default="mobilenet")
    parser.add_argument("--size", type=int, default=128, help="side of the images in pixels")
    parser.add_argument("--images", type=int, default=8, help="images of the maps from one gradient")
    parser.add_argument("--channels", type=int, default=128, help="channels of Score-CAM, which explains one image")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    return parser.parse_args()


def library(attributer, batch_size: int) -> dict[str, Callable]:
    """tf-keras-vis, made once: functions of (images, number of channels) that give maps at the layer's resolution."""
    import functools

    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
    from tf_keras_vis.layercam import Layercam
    from tf_keras_vis.scorecam import Scorecam
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    classifier = attributer.classifier
    common = {
        "penultimate_layer": classifier.target_layer,
        "seek_penultimate_conv_layer": False,
        "normalize_cam": False,
        "expand_cam": False,
    }

    # MobileNet and ResNet50 end in different layers: a model of the logits serves all.
    import keras

    last = classifier.model.layers[-1]
    if isinstance(last, keras.layers.Dense):
        model, modifier = classifier.model, ReplaceToLinear()
    else:  # MobileNet: Reshape and an Activation
        model, modifier = keras.Model(classifier.model.inputs, last.input), None

    def make(cls, **options):
        visualiser = cls(model, model_modifier=modifier, clone=True)
        visualiser.model.predict = functools.partial(type(visualiser.model).predict, visualiser.model, verbose=0)
        return lambda images, **more: np.asarray(
            visualiser(CategoricalScore([0] * len(images)), images, **common, **options, **more)
        )

    return {
        "gradcam": make(Gradcam),
        "gradcam++": make(GradcamPlusPlus),
        "layercam": make(Layercam),
        "scorecam": make(Scorecam, batch_size=batch_size),
    }


def main() -> None:
    args = parse()
    from attribeval import Attributer
    from attribeval.models import fields

    attributer = Attributer(network(args.model, args.size), batch_size=args.batch_size)
    classifier = attributer.classifier
    images = np.random.default_rng(0).normal(size=(args.images, args.size, args.size, 3)).astype(np.float32)
    channels = fields.activations_and_gradient(classifier, images[:1], np.zeros(1, np.int32))[0].shape[-1]
    few = min(args.channels, channels)
    theirs = library(attributer, args.batch_size)
    options = {"gradcam": {}, "gradcam++": {"alphas": "normalised"}, "layercam": {}, "scorecam": {"max_channels": few}}

    def ours(name):
        seen = images[:1] if name == "scorecam" else images
        return lambda: attributer.explain(seen, name, 0, progress=False, **options[name]).values

    def their(name):
        seen, more = (images[:1], {"max_N": few}) if name == "scorecam" else (images, {})
        return lambda: theirs[name](seen, **more)

    ready = classifier.prepare(np.repeat(images[:1], args.batch_size, axis=0))

    def bare():
        for start in range(0, few, args.batch_size):
            classifier.forward(ready[: few - start])[0].numpy()

    for name in options:
        # Theirs comes at the layer's resolution: resize it as ours is. Score-CAM's masks are upsampled differently.
        import tensorflow as tf

        expected = np.asarray(tf.image.resize(their(name)()[..., None], (args.size, args.size)))
        mine = ours(name)()
        if name == "gradcam++":  # theirs has a factor exp(score) per image
            mine, expected = (m / m.max(axis=(1, 2, 3), keepdims=True) for m in (mine, expected))
        difference = np.abs(mine - expected).max() / np.ptp(expected)
        if difference > (0.05 if name == "scorecam" else 1e-3):
            raise SystemExit(f"{name}: tf-keras-vis and we disagree by {difference:.1e} of the map's range")

    together = ["gradcam", "gradcam++", "layercam"]
    rows = {name: ours(name) for name in options} | {f"their {name}": their(name) for name in options}
    rows |= {"family": lambda: attributer.explain_many(images, together, 0, progress=False), "bare": bare}
    seconds = best(rows, args.repeats, args.clock)
    print(f"\n{args.model}, {args.size} pixels, {args.images} images; Score-CAM: 1 image, {few} of {channels} channels")
    for name in options:
        print(f"{'tf-keras-vis / ours: ' + name:<46}{seconds['their ' + name] / seconds[name]:8.2f}")
    print(f"{'gradcam, gradcam++ and layercam / gradcam':<46}{seconds['family'] / seconds['gradcam']:8.2f}")
    print(f"{'scorecam / bare forward passes':<46}{seconds['scorecam'] / seconds['bare']:8.2f}")


if __name__ == "__main__":
    main()
