"""Do CRAFT and ACE find the pasted object? Digits on photographs, a net that names the digit and one that does not.

    python benchmarks/concepts/pasted_objects.py [--images 60] [--classes 10] [--shown 10] [--seed 0]
    python benchmarks/concepts/pasted_objects.py --picture docs/_static/concepts.webp

Of each class, concepts are found in images that hold an object each, whose pixels are known. "overlap" is the share of
the pieces of images that show the first concept best of which at least a third is object; "chance" is this share of all
pieces. "object" is how much of such a piece is object, with its chance. "map" is the share of the first concept's map
(CRAFT) on the object, beside the object's area. All are means over classes, with the 95 % interval (Student's t).
The net of objects should be above chance, that of scenes, whose class has nothing to do with the object, should not.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from attribeval import Attributer, concepts, datasets
from attribeval.concepts.discovery.pieces import Pieces
from attribeval.results.over_images import mean_interval

OVERLAP = 1 / 3  # of a piece's pixels
NETS = {"digit_objects": "objects", "digit_scenes": "scenes"}


def object_shares(pieces: Pieces, masks: np.ndarray) -> np.ndarray:
    """How much of each piece is object, 0 to 1."""
    shares = []
    for k, (item, (x0, y0, x1, y1)) in enumerate(zip(pieces.items, pieces.boxes, strict=True)):
        shown = pieces.masks[k] if hasattr(pieces, "masks") else np.ones((y1 - y0, x1 - x0), bool)
        shares.append(masks[item, y0:y1, x0:x1][shown].mean())
    return np.array(shares)


def of_pieces(first: Pieces, every: Pieces, masks: np.ndarray, shown: int) -> dict[str, float]:
    best, all_shares = object_shares(first[:shown], masks), object_shares(every, masks)
    return {
        "overlap": (best >= OVERLAP).mean(),
        "chance": (all_shares >= OVERLAP).mean(),
        "object": best.mean(),
        "its chance": all_shares.mean(),
    }


def of_maps(values: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    sums = values[..., 0].sum((1, 2))
    inside = (values[..., 0] * masks).sum((1, 2))
    return {"map": (inside[sums > 0] / sums[sums > 0]).mean(), "area": masks.mean()}


def measure(net: str, labels: np.ndarray, label: int, images, masks, options) -> dict[str, dict[str, float]]:
    """Of one class, by method."""
    attributer = Attributer(net)
    mine = np.flatnonzero(labels == label)[: options.images]
    others = np.flatnonzero(labels != label)[: options.images]
    found = concepts.craft(attributer, images[mine], label, crop_share=0.4, seed=options.seed, progress=False)
    by_craft = of_pieces(found.examples[0], found.pieces, masks[mine], options.shown)
    by_craft |= of_maps(found.maps(0).values, masks[mine]) | {"first": found.columns["importance"][0]}
    found = concepts.ace(attributer, images[mine], label, images[others], seed=options.seed, progress=False)
    if not len(found):
        return {"craft": by_craft}
    by_ace = of_pieces(found.examples[0], found.segments, masks[mine], options.shown)
    return {"craft": by_craft, "ace": by_ace | {"first": found.columns["tcav"][0]}}


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("images", 60), ("classes", 10), ("shown", 10), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--picture", help="draw the concepts of a three into this file instead")
    options = parser.parse_args()
    if options.picture:
        digits = datasets.digit_scenes(n_train=1, n_test=300).test
        threes = digits.images[digits.objects == 3]
        found = concepts.craft(Attributer("digit_objects"), threes, "three", concepts=6, crop_share=0.4)
        found.plot(rows=4).savefig(options.picture, dpi=110)
        print(found.table().round(2).to_string(), found.facts())
        return
    data = datasets.digit_scenes(n_train=1, n_test=max(300, 12 * options.images), seed=options.seed).test
    for net, kind in NETS.items():
        begun, labels, rows = time.perf_counter(), getattr(data, kind), {"craft": [], "ace": []}
        for label in range(options.classes):
            for method, row in measure(net, labels, label, data.images, data.masks, options).items():
                rows[method].append(row)
                print(
                    f"  {kind} {label}, {method:5}:", ", ".join(f"{name} {row[name]:.2f}" for name in row), flush=True
                )
        print(f"{net}: {options.classes} classes of {options.images} images, {time.perf_counter() - begun:.0f} s")
        for method, of_classes in rows.items():
            said = []
            for name in of_classes[0] if of_classes else ():
                values = np.array([row[name] for row in of_classes])
                low, high = mean_interval(values, bounds=(0, 1)) if name in ("overlap", "object", "map") else (0, 0)
                said.append(f"{name} {values.mean():.2f}" + (f" ({low:.2f} to {high:.2f})" if high else ""))
            print(f"  mean, {method:5} in {len(of_classes)} classes: {', '.join(said)}", flush=True)


if __name__ == "__main__":
    main()
