"""Which method explains which architecture? Writes docs/architectures.md.

    python benchmarks/attribution/matrix.py
    python benchmarks/attribution/matrix.py --only MobileNet --again
    python benchmarks/attribution/matrix.py --attention   # prints what docs/transformers.md says of KerasHub's models

One architecture at a time, each in a process of its own, which leaves its row in `--cells`; what is there already, of
the same versions, is not computed again. KerasHub's are added if it is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BARE = "lrp (γ) without biases"
METHODS = ("gradient", "integrated_gradients", "deeplift", "lrp", "lrp (γ)", BARE, "gradcam", "guided_backprop",
           "excitation_backprop")  # fmt: skip
GAMMA = ("lrp", {"rule": "gamma"})
ATTENTION = ("attention_rollout", "transformer_attribution", "generic_attention", "attnlrp")
TRANSFORMERS = ("ViT (KerasHub)", "DeiT (KerasHub)", "Swin (KerasHub)", "MiT (KerasHub)")
OPTIONS = {"lrp (γ)": GAMMA, BARE: GAMMA, "integrated_gradients": ("integrated_gradients", {"steps": 64})}

PAGE = """# Which method explains which architecture

Written by `python benchmarks/attribution/matrix.py` ({versions}): one small member of each family, built with random
weights, random biases, random scales of batch normalisation and ten logits, on two pictures of clouds, on a CPU.

A cell without a word says that the method gave a finite map that is not all zero, and how far that is from what it
should be:

* **gradient**: largest difference from a plain `tf.GradientTape` on the Keras model, over the largest value.
  (ResNet50 and Xception as float64 differ by 3e-8: a ReLU whose input is next to 0 opens by rounding.)
* **integrated_gradients** (64 steps), **deeplift**: |sum of the map − difference of the scores| / |difference|, the
  worse of two images, for the class whose score differs most from that of a black image. The first is the error of
  its quadrature; the second is rounding. From 1e-3 on, in brackets, the same as a share of the sum of the map's
  absolute values: where that is much less, large contributions of both signs cancel.
* **lrp**, **lrp (γ)**: sum of the map / score, of both images: 1 is conservation, the rest went to ε and biases (as
  which the shifts of batch normalisation count). `lrp` is the default, "composite".
* **lrp (γ) without biases**: the same, all biases, shifts, means and embeddings of the model set to 0.
* **gradcam**: largest difference from Grad-CAM written with a `tf.GradientTape` on the layer that the method names,
  over the largest value; "map" where the target is no output of a layer of the model itself, which this cannot reach.
* **guided_backprop**, **excitation_backprop**: "map".

{table}

{reasons}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="architectures whose names have this in them")
    parser.add_argument("--again", action="store_true", help="compute them again")
    parser.add_argument("--cells", type=Path, default=ROOT / "runs" / "matrix", help="folder for finished rows")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "architectures.md")
    parser.add_argument("--minutes", type=float, default=20, help="for one architecture")
    parser.add_argument("--attention", action="store_true", help="transformers by methods made for them; no page")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    args = parser.parse_args()

    from architectures import builders

    known = builders(hub=importlib.util.find_spec("keras_hub") is not None)
    if args.attention:
        for name in TRANSFORMERS:
            print(name, flush=True)
            print(row(*known[name], methods=ATTENTION), flush=True)
        return
    args.cells.mkdir(parents=True, exist_ok=True)
    if args.row:
        write(args.cells / f"{slug(args.row)}.json", {"versions": versions(), "cells": row(*known[args.row])})
        return
    for name in known:
        wanted = args.only is None or args.only in name
        if wanted and (args.again or finished(args.cells, name) is None):
            print(name, flush=True)
            own = [sys.executable, __file__, "--row", name, "--cells", str(args.cells)]
            try:
                subprocess.run(own, check=True, timeout=60 * args.minutes)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                print(f"  not finished: {error}", flush=True)
    args.page.write_text(page({name: finished(args.cells, name) for name in known}), encoding="utf-8")
    print(f"wrote {args.page}")


# -------------------------------------------------------------------------------------------------------- finished rows


def slug(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_").lower()


def versions() -> dict[str, str]:
    """Of what a cell depends on; of our own code, a hash of all of it."""
    digest = hashlib.blake2b(digest_size=6)
    for file in sorted((ROOT / "attribeval").rglob("*.py")) + sorted(Path(__file__).parent.glob("architectures.py")):
        digest.update(file.read_bytes())
    found = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras")}
    if importlib.util.find_spec("keras_hub"):
        found["keras-hub"] = importlib.metadata.version("keras-hub")
    return found | {"attribeval": digest.hexdigest()}


def finished(cells: Path, name: str) -> dict[str, str] | None:
    """The row of an architecture, if it was computed with these versions."""
    file = cells / f"{slug(name)}.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return known["cells"] if known.get("versions") == versions() else None


def write(file: Path, content: dict) -> None:
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    partial.replace(file)


# ------------------------------------------------------------------------------------------------------------ one row


def row(build: Callable, side: int, brightest: float, methods: tuple[str, ...] = METHODS) -> dict[str, str]:
    """Method → cell, of one architecture."""
    import keras
    from architectures import pictures, without_biases

    from attribeval import Attributer

    keras.utils.set_random_seed(0)
    model = build()
    images = pictures(2, side, brightest, seed=2)
    attributer = Attributer(model, batch_size=2)
    inputs = attributer.classifier.prepare(np.concatenate([images, 0 * images]))
    scores = attributer.classifier.forward(inputs)[0].numpy().astype(np.float64)
    targets = np.abs(scores[:2] - scores[2:]).argmax(1)
    own, black = (part[np.arange(2), targets] for part in (scores[:2], scores[2:]))
    cells = {label: cell(label, attributer, images, targets, own, black) for label in methods if label != BARE}
    if BARE not in methods:
        return cells
    bare = Attributer(without_biases(model), batch_size=2)
    own = bare.answer(images)[0][np.arange(2), targets].astype(np.float64)
    return cells | {BARE: cell(BARE, bare, images, targets, own, own)}


def cell(label: str, attributer, images, targets, own, black) -> str:
    """What one method gave; `own` and `black` are the scores of the images and of black ones."""
    from attribeval import AttribevalError

    method, options = OPTIONS.get(label, (label, {}))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of lost relevance: the figure is in the cell
            maps = attributer.explain(images, method, targets, progress=False, **options)
    except AttribevalError as error:
        return f"refused: {error}"
    found = figure(label, maps.values.astype(np.float64), own, black, attributer, images, targets)
    print(f"  {label}: {found}", flush=True)
    return found


def figure(label: str, values: np.ndarray, own, black, attributer, images, targets) -> str:
    """The cell of a method that gave maps."""
    if not values.any() and label != "gradcam":
        return "all zero"
    sums = values.sum(axis=(1, 2, 3))
    if label == "gradient":
        return f"{apart(values, tape_gradient(attributer, images, targets)):.0e}"
    if label == "gradcam":
        expected = tape_gradcam(attributer, images, targets)
        if not values.any():
            return "all zero" if expected is None or expected.any() else "all zero, as it should be"
        return "map" if expected is None else f"{apart(values, expected):.0e}"
    if label in ("integrated_gradients", "deeplift"):
        gaps = np.abs(sums - (own - black))
        i = np.argmax(gaps / np.abs(own - black))
        share = gaps[i] / abs(own[i] - black[i])
        return f"{share:.0e}" if share < 1e-3 else f"{share:.0e} ({gaps[i] / np.abs(values[i]).sum():.0e})"
    if label.startswith(("lrp", "attnlrp")):
        return ", ".join(f"{share:.3g}" for share in sums / own)
    return "map"


def apart(ours: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(ours - expected).max() / np.abs(expected).max())


def tape_gradient(attributer, images, targets) -> np.ndarray:
    import tensorflow as tf

    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        picked = tf.gather(attributer.classifier.model(x, training=False), targets, axis=1, batch_dims=1)
    return tape.gradient(picked, x).numpy()


def tape_gradcam(attributer, images, targets) -> np.ndarray | None:
    """Selvaraju et al. 2017, equations 1 and 2, enlarged bilinearly; None if no layer of the model is the target."""
    import keras
    import tensorflow as tf

    model, name = attributer.classifier.model, attributer.classifier.target_layer
    if name not in {layer.name for layer in model.layers} or len(model.get_layer(name).output.shape) != 4:
        return None
    both = keras.Model(model.inputs, [model.get_layer(name).output, model.output])
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)  # all that is computed from it is recorded
        activations, scores = both(x, training=False)
        picked = tf.gather(scores, targets, axis=1, batch_dims=1)
    weights = tf.reduce_mean(tape.gradient(picked, activations), axis=(1, 2), keepdims=True)
    maps = tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1, keepdims=True))
    return tf.image.resize(maps, images.shape[1:3]).numpy()


# ----------------------------------------------------------------------------------------------------------- the page


def page(rows: dict[str, dict[str, str] | None]) -> str:
    """The page in Markdown; an architecture without a row is said to have none."""
    reasons: list[str] = []
    lines = [["architecture", *METHODS], ["---"] * (len(METHODS) + 1)]
    for name, cells in rows.items():
        lines.append([name, *(["not finished"] * len(METHODS) if cells is None else
                              [short(cells[method], reasons) for method in METHODS])])  # fmt: skip
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
    if importlib.util.find_spec("keras_hub") is None:
        notes.append("\nKerasHub's models are left out: it is not installed where this was written.")
    known = ", ".join(f"{name} {number}" for name, number in versions().items() if name != "attribeval")
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return PAGE.format(versions=known, table=table, reasons="\n".join(notes)).rstrip() + "\n"


def short(cell: str, reasons: list[str]) -> str:
    """A cell; a reason is written once, below the table."""
    if not cell.startswith("refused: "):
        return cell
    reason = cell.removeprefix("refused: ")
    if reason not in reasons:
        reasons.append(reason)
    return f"refused [{reasons.index(reason) + 1}]"


if __name__ == "__main__":
    main()
