"""Which maps of a segmenter's and a detector's scores lie on the object asked about, and not on the one beside it.

    python benchmarks/wsol/pairs.py              # 12 test pairs, 24 questions of each net, minutes on one core
    python benchmarks/wsol/pairs.py --board      # the same questions on the leaderboard
    python benchmarks/wsol/pairs.py --picture docs/_static/beyond_classes.webp

Each image has two digits, and each is asked about. Segmenter: the mean logit of the digit's class over the region that
the net itself gives it, held fixed. Detector: the class logit of the box that fits the true one best; with "drise" the
similarity to it. Scores are WSOL's own, against the mask of the digit and against that of the other one.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from attribeval import Attributer, Evaluator, scores
from attribeval.datasets import Samples, digit_pairs, digit_scenes

GRADIENTS = [
    "gradient", "gradient_x_input", "guided_backprop", "smoothgrad(gradient)", "integrated_gradients", "lrp",
    "gradcam", "gradcam++", "layercam",
]  # fmt: skip
BOARD = ["deletion", "insertion", "road", "idsds", "pointing_game"]
PERTURBING = ["occlusion", "rise(samples=500)"]
SIZE = np.array([128, 64] * 2)  # of an image, width and height


def questions(samples: Samples, kept: np.ndarray, masks: np.ndarray) -> Samples:
    """The images with their own number as label, so that each is asked about its own reference."""
    return Samples(samples.images[kept], np.arange(len(kept)), masks=masks[kept], ids=[samples.ids[i] for i in kept])


def ask(attributer: Attributer, samples: Samples, kept: np.ndarray, methods: list[str]) -> dict[str, dict[str, float]]:
    """Per method WSOL's scores on the digit asked about, and the share of the map on the other digit."""
    own = np.asarray(samples.masks)
    other = own.reshape(-1, 2, 64, 128)[:, ::-1].reshape(-1, 64, 128)
    evaluator = Evaluator(attributer, questions(samples, kept, own))
    maps: Any = attributer.explain_many(evaluator.dataset.images, methods, range(len(kept)), progress=False)
    metrics = ["RelevanceMass", "PointingGame", "PixelAUC"]
    table = evaluator.wsol(maps, metrics=metrics, tolerance=0, progress=False).table
    beside = Evaluator(attributer, questions(samples, kept, other))
    aside = beside.wsol(maps, metrics=metrics[:1], tolerance=0, progress=False).table
    found: dict[str, dict[str, float]] = {}
    for name, rows in table.groupby("method"):
        found[name] = dict(zip(rows["metric"], rows["value"], strict=True))
        found[name]["other"] = float(aside.loc[aside["method"] == name, "value"].iloc[0])
    return found


def segmenter(samples: Samples) -> tuple[Attributer, np.ndarray]:
    """With a question for each digit that has a region; and which these are."""
    model = Attributer("digit_segmenter", score=scores.segmentation()).classifier.model
    regions = model.predict(samples.images, verbose=0).argmax(-1) == samples.labels[:, None, None]
    kept = np.flatnonzero(regions.any((1, 2)))
    return Attributer(model, score=scores.segmentation(regions[kept], samples.labels[kept], reduce="mean"),
                      target_layer="eighth3"), kept  # fmt: skip


def true_boxes(samples: Samples) -> np.ndarray:
    return np.concatenate(samples.boxes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--board", action="store_true", help="scores of the leaderboard instead")
    parser.add_argument("--picture", type=Path, help="write the picture of the page instead")
    arguments = parser.parse_args()
    samples = digit_pairs(digit_scenes(n_train=1, n_test=3 * arguments.pairs).test).samples()[: 2 * arguments.pairs]
    if arguments.picture:
        return picture(arguments.picture, samples)
    every = np.arange(len(samples))
    one, kept = segmenter(samples)
    box = scores.detection(true_boxes(samples), samples.labels)
    like = scores.drise(true_boxes(samples), np.eye(10)[samples.labels])
    runs = [
        ("segmenter, mean logit over its region", one, kept, GRADIENTS + PERTURBING),
        ("detector, class of the box that fits", Attributer("digit_detector", score=box), every, GRADIENTS),
        ("detector, similarity (D-RISE)", Attributer("digit_detector", score=like), every, PERTURBING),
    ]
    if arguments.board:
        for title, attributer, asked, _ in runs[:2]:
            board(title, attributer, samples, asked)
        return
    for title, attributer, asked, methods in runs:
        start = time.perf_counter()
        found = ask(attributer, samples, asked, methods)
        print(f"\n{title}: {len(asked)} of {len(samples)} questions, {time.perf_counter() - start:.0f} s\n")
        print(
            "| method | RelevanceMass | on the other digit | PointingGame | PixelAUC |\n| --- | --- | --- | --- | --- |"
        )
        for name, row in sorted(found.items(), key=lambda item: -item[1]["RelevanceMass"]):
            values = [row["RelevanceMass"], row["other"], row["PointingGame"], row["PixelAUC"]]
            print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in values) + " |", flush=True)


def board(title: str, attributer: Attributer, samples: Samples, kept: np.ndarray) -> None:
    """The leaderboard of questions: each image is explained for its own, which is its label."""
    own = questions(samples, kept, np.asarray(samples.masks))
    own = Samples(own.images, own.labels, masks=own.masks, boxes=[samples.boxes[i] for i in kept], ids=own.ids)
    start = time.perf_counter()
    table = Evaluator(attributer, own).compare(GRADIENTS, BOARD, targets="label", progress=False).table
    print(f"\n{title}: {len(kept)} questions, {time.perf_counter() - start:.0f} s\n")
    print(f"| method | {' | '.join(BOARD)} |\n|{' --- |' * (len(BOARD) + 1)}")
    for name, rows in table[table["kind"] != "baseline"].groupby("method", sort=False):
        found = {row.benchmark: f"{row.value:.2f} ({row.low:.2f} to {row.high:.2f})" for row in rows.itertuples()}
        print(f"| {name} | {' | '.join(found[one] for one in BOARD)} |", flush=True)


def picture(path: Path, samples: Samples) -> None:
    """Two images, both digits of each asked about: segmenter and detector, one row a question."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.patches import Rectangle

    samples = samples[[*range(4)]]
    one, kept = segmenter(samples)
    if len(kept) != 4:
        raise SystemExit(f"Expected a region of each digit. Received: {len(kept)} of 4.")
    regions = one.classifier.model.predict(samples.images, verbose=0).argmax(-1) == samples.labels[:, None, None]
    boxes = true_boxes(samples)
    class_of = Attributer("digit_detector", score=scores.detection(boxes, samples.labels))
    like = Attributer("digit_detector", score=scores.drise(boxes, np.eye(10)[samples.labels]))
    columns = [
        ("segmenter: gradcam", one, "gradcam", {}),
        ("segmenter: gradient", one, "gradient", {}),
        ("detector: gradcam", class_of, "gradcam", {}),
        ("detector: D-RISE", like, "rise", {"samples": 4000}),
    ]
    figure, axes = plt.subplots(4, 5, figsize=(12, 5.2), layout="constrained")
    for row, axis in enumerate(axes[:, 0]):
        axis.imshow(samples.images[row])
        axis.contour(regions[row], [0.5], colors="#ffffff", linewidths=1.2)
        x0, y0, x1, y1 = boxes[row] * SIZE - 0.5
        axis.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor="#ffb000", linewidth=1.5))
        axis.set_title("asked: its region, and the box", fontsize=9) if row == 0 else None
    for column, (title, attributer, method, options) in enumerate(columns, start=1):
        maps = attributer.explain(samples.images, method, range(4), progress=False, **options).values
        heats = np.abs(maps).max(-1)
        for row, axis in enumerate(axes[:, column]):
            low = heats[row].min() if method == "rise" else 0
            axis.imshow(heats[row], vmin=low, vmax=np.quantile(heats[row], 0.995), cmap="inferno")
            axis.set_title(title, fontsize=9) if row == 0 else None
    for axis in axes.ravel():
        axis.set_axis_off()
    figure.savefig(path, dpi=110, pil_kwargs={"quality": 80})


if __name__ == "__main__":
    main()
