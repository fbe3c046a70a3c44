"""Where a net's class activation maps lie, beside where they should: what `align=` changes on trained weights.

    python benchmarks/attribution/align.py mobilenet.keras ILSVRC --preprocess mobilenet
    python benchmarks/attribution/align.py squeezenet.keras ILSVRC --preprocess squeezenet --method layercam

Two measurements, each without a model of the net, as the mean and 95 % interval over photographs, in pixels; + is
further down or right than it should be. Places are centres of mass, which a map's background draws to the middle of the
image, so that true shifts are larger; 0 and signs stay.

* "mirrored": a map, and that of the mirrored photograph mirrored back, lie apart by twice the shift. Nets are trained
  on photographs mirrored across, seldom on those upside down.
* "moved": the photograph at half its size on grey, at nine places that are symmetric about the middle.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image

from attribeval import Attributer
from attribeval.datasets import imagenet
from attribeval.models.placement import centres

GREY = 124.0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="file of a trained model")
    parser.add_argument("photographs", help="folder as `datasets.imagenet` takes it")
    parser.add_argument("--preprocess", help="name of the model's preprocessing")
    parser.add_argument("--method", default="gradcam")
    parser.add_argument("--limit", type=int, help="so many photographs")
    return parser.parse_args()


def places(maps: np.ndarray) -> np.ndarray:
    """Centre of mass of what is positive, (N, 2) pixels down and across; NaN where nothing is."""
    heat = np.maximum(maps.sum(-1), 0).astype(float)
    with np.errstate(invalid="ignore"):
        return np.einsum("khw,nhw->nk", np.indices(heat.shape[1:]), heat) / heat.sum((1, 2))[:, None]


def mirrored(explain, photographs: np.ndarray) -> np.ndarray:
    """Half of the way between each map and its mirror image, (N, 2)."""
    size, plain = np.array(photographs.shape[1:3]), places(explain(photographs))
    turned = [places(explain(np.flip(photographs, axis).copy()))[:, axis - 1] for axis in (1, 2)]
    return (plain - (size - 1 - np.stack(turned, 1))) / 2


def moved(explain, photographs: np.ndarray) -> np.ndarray:
    """Map less small photograph, the mean over the nine places, (N, 2)."""
    height, width = photographs.shape[1:3]
    half = (width // 2, height // 2)
    small = [np.asarray(Image.fromarray(one.astype(np.uint8)).resize(half, Image.BILINEAR)) for one in photographs]
    apart = []
    for down in (0.0, 0.5, 1.0):
        for across in (0.0, 0.5, 1.0):
            top, left = round(down * (height - half[1])), round(across * (width - half[0]))
            canvas = np.full_like(photographs, GREY)
            canvas[:, top : top + half[1], left : left + half[0]] = small
            apart.append(places(explain(canvas)) - (top + (half[1] - 1) / 2, left + (half[0] - 1) / 2))
    return np.mean(apart, 0)


def main() -> None:
    args = parse()
    attributer = Attributer(args.model, preprocess=args.preprocess)
    photographs = attributer.read(imagenet(args.photographs, limit=args.limit).images)
    targets = attributer.answer(photographs)[0].argmax(1)
    (start, step), _ = centres(attributer.classifier, photographs.shape[1:3])
    cells = photographs.shape[1] / step
    print(
        f"by strides and paddings cells begin at {start:g}, evenly at {(photographs.shape[1] / round(cells) - 1) / 2:g}"
    )
    for align in (False, True):

        def explain(images: np.ndarray, align: bool = align) -> np.ndarray:
            return attributer.explain(images, args.method, targets, align=align, progress=False).values

        for measure in (mirrored, moved):
            found = measure(explain, photographs)
            found = found[np.isfinite(found).all(1)]
            mean, half = found.mean(0), 1.96 * found.std(0, ddof=1) / len(found) ** 0.5
            print(
                f"align={align!s:5} {measure.__name__}: down {mean[0]:+.1f} ± {half[0]:.1f}, across {mean[1]:+.1f} ± "
                f"{half[1]:.1f} pixels ({len(found)} photographs)",
                flush=True,
            )


if __name__ == "__main__":
    main()
