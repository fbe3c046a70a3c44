"""WSOL with a model: explain every image, box every map, one table. Memory holds one chunk of images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from attribeval import progress as progress_bars
from attribeval.attributer import Attributer, versions
from attribeval.benchmarks.wsol.boxes import centred_box, iou, whole_image_box
from attribeval.benchmarks.wsol.maxboxacc import hits as box_hits
from attribeval.benchmarks.wsol.maxboxacc import max_box_acc
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError
from attribeval.files import write_atomic
from attribeval.methods.registry import build_method
from attribeval.results.result import Result
from attribeval.results.statistics import bootstrap_interval

_CHUNK = 32
_BASELINES = {"whole image": whole_image_box, "centred box": centred_box}


def run_wsol(
    attributer: Attributer,
    dataset: Samples,
    methods: Sequence[str],
    *,
    iou: float = 0.5,
    targets: str = "label",
    seed: int = 0,
    batch_size: int | None = None,
    run_dir: str | PathLike | None = None,
    progress: bool | None = None,
) -> Result:
    """Score how well maps localise the labelled object: MaxBoxAcc (Choe et al. 2020, section 4.1).

    Maps become heat maps by Σ|·| over channels. The threshold of each method is the best one for these images (an
    oracle, as the paper defines the score); its interval chooses it again in every resample.

    Args:
        attributer: The explained model.
        dataset: Images with labels and boxes; every image needs at least one box.
        methods: Names of methods.
        iou: Overlap at which a box is right.
        targets: "label" explains the true class of each image (GT-known localisation), "predicted" the model's.
        seed: Seed of everything random.
        batch_size: Images that the model takes at a time.
        run_dir: A folder for finished chunks; the same call continues there after an interruption.
        progress: Show a progress bar; None shows it on a terminal or in a notebook.

    Returns:
        `table` with one row per method and per baseline, best first, and columns: method; kind ("method", "control",
        "baseline"); metric ("MaxBoxAcc"); value, low, high (0 to 1, 95 % bootstrap interval over images); threshold
        (level 0 to 255); images; seconds_per_image. `arrays` holds "<method>/hits", bool (N, 256), and
        "<method>/curve", the accuracy at each threshold. `settings` holds the model's top-1 accuracy.

    Raises:
        AttribevalError: If the data set has no boxes or an image has none, labels are not the model's classes, a
            method is unknown, or `run_dir` belongs to another run.
    """
    built = {name: build_method(name) for name in dict.fromkeys(methods)}
    _check(attributer, dataset, targets, list(built))
    settings: dict[str, Any] = {
        "model": attributer.classifier.name,
        "weights": attributer.classifier.fingerprint(),
        "dataset": dataset.name,
        "images": len(dataset),
        "methods": list(built),
        "iou": iou,
        "targets": targets,
        "seed": seed,
        "versions": versions(),
    }
    folder = None if run_dir is None else _open_run(Path(run_dir), settings, dataset)
    chunks = []
    with progress_bars.bar(len(dataset), "wsol", progress) as bar:
        for start in range(0, len(dataset), _CHUNK):
            part = dataset[start : start + _CHUNK]
            file = None if folder is None else folder / f"chunk-{start:07d}.npz"
            if file is not None and file.is_file():
                with np.load(file, allow_pickle=False) as saved:
                    chunks.append({name: saved[name] for name in saved.files})
            else:
                chunks.append(_score_chunk(attributer, part, built, iou, targets, seed, batch_size))
                if file is not None:
                    chunk = chunks[-1]
                    write_atomic(file, lambda f, chunk=chunk: np.savez_compressed(f, **chunk))
            bar.update(len(part))
    return _summarise(chunks, built, settings)


def _check(attributer: Attributer, dataset: Samples, targets: str, methods: list[str]) -> None:
    if not methods:
        raise AttribevalError("Expected at least one method. Received none.")
    if targets not in ("label", "predicted"):
        raise AttribevalError(f"Expected targets 'label' or 'predicted'. Received: {targets!r}.")
    if len(dataset) == 0:
        raise AttribevalError("Expected at least one image. Received an empty data set.")
    if dataset.boxes is None:
        raise AttribevalError(
            f"WSOL needs ground-truth boxes. Received {dataset!r} without any: read it with annotations, or pass "
            "boxes=."
        )
    without = [name for name, boxes in zip(dataset.ids, dataset.boxes, strict=True) if len(boxes) == 0]
    if without:
        raise AttribevalError(
            f"Expected a box for every image. Received none for {len(without)} of {len(dataset)}: "
            f"{', '.join(without[:5])}{', …' if len(without) > 5 else ''}: leave these images out."
        )
    classes = attributer.classifier.classes
    if dataset.labels.min() < 0 or dataset.labels.max() >= classes:
        bad = int(np.flatnonzero((dataset.labels < 0) | (dataset.labels >= classes))[0])
        raise AttribevalError(
            f"Expected labels from 0 to {classes - 1}, the model's classes. "
            f"Received: {dataset.labels[bad]} for image {dataset.ids[bad]!r}."
        )


def _open_run(folder: Path, settings: dict[str, Any], dataset: Samples) -> Path:
    """Claim a run folder for these settings, or make sure that it already is theirs."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "settings.json"
    mine = json.dumps(settings | {"ids": dataset.ids, "chunk": _CHUNK}, indent=1)
    if file.is_file():
        if file.read_text() != mine:
            raise AttribevalError(
                f"Expected {folder} to hold a run with the same model, images, methods, options and versions. "
                "Received another run's folder: choose another run_dir, or delete this one to start again."
            )
    else:
        write_atomic(file, lambda f: f.write(mine.encode()))
    return folder


def _score_chunk(
    attributer: Attributer,
    part: Samples,
    methods: dict[str, Any],
    iou_threshold: float,
    targets: str,
    seed: int,
    batch_size: int | None,
) -> dict[str, np.ndarray]:
    """Everything that is kept of a few images, in small arrays."""
    images = attributer.read(part)
    output = attributer.predict(images, batch_size=batch_size, progress=False)
    predicted = output.argmax(1)
    chosen = part.labels if targets == "label" else predicted
    maps = attributer.explain_many(images, methods, chosen, seed=seed, batch_size=batch_size, progress=False)
    size = images.shape[1:3]
    boxes = part.boxes_at(size)
    rank_of_label = (output > output[np.arange(len(part)), part.labels][:, None]).sum(1)
    scored = {"top1": predicted == part.labels, "top5": rank_of_label < 5}
    for name, attributions in maps.items():
        scored[f"{name}/hits"] = box_hits(attributions.heatmap(), boxes, iou_threshold)
        scored[f"{name}/seconds"] = np.array([attributions.seconds])
    for name, make in _BASELINES.items():
        scored[f"{name}/hits"] = np.array([(iou(make(size)[None], of_one) >= iou_threshold).any() for of_one in boxes])
    return scored


def _summarise(chunks: list[dict[str, np.ndarray]], methods: dict[str, Any], settings: dict[str, Any]) -> Result:
    import pandas as pd

    joined = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    n = len(joined["top1"])
    seed = settings["seed"]
    rows, arrays = [], {}
    for name, method in methods.items():
        hits = joined[f"{name}/hits"]
        value, threshold = max_box_acc(hits)
        low, high = bootstrap_interval(hits, "max_mean", seed=seed)
        kind = "control" if method.card.family == "control" else "method"
        seconds = float(joined[f"{name}/seconds"].sum()) / n
        rows.append((name, kind, "MaxBoxAcc", value, low, high, threshold, n, seconds))
        arrays[f"{name}/hits"] = hits
        arrays[f"{name}/curve"] = hits.mean(0)
    for name in _BASELINES:
        hits = joined[f"{name}/hits"]
        low, high = bootstrap_interval(hits.astype(float), seed=seed)
        rows.append((name, "baseline", "MaxBoxAcc", float(hits.mean()), low, high, np.nan, n, 0.0))
        arrays[f"{name}/hits"] = hits
    columns = ["method", "kind", "metric", "value", "low", "high", "threshold", "images", "seconds_per_image"]
    table = pd.DataFrame(rows, columns=columns).sort_values("value", ascending=False, ignore_index=True)
    settings = settings | {
        "top1_accuracy": float(joined["top1"].mean()),
        "top5_accuracy": float(joined["top5"].mean()),
    }
    return Result("wsol", table, settings, _sentences(table, settings, arrays), arrays)


def _sentences(table: Any, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> list[str]:
    """The outcome in words; a difference is claimed only where its paired 95 % bootstrap interval leaves out zero."""
    sentences = []
    methods = [row for row in table.itertuples() if row.kind == "method"]
    if methods:
        best = methods[0]
        sentences.append(
            f"{best.method} localises best: its box meets the object in {best.value:.1%} of {best.images} images "
            f"(95 % interval {best.low:.1%} to {best.high:.1%})."
        )
    controls = [name for name in ("random", "centred box") if f"{name}/hits" in arrays]
    for row in methods:
        verdicts = []
        for control in controls:
            low, high = _paired_difference(arrays[f"{row.method}/hits"], arrays[f"{control}/hits"], settings["seed"])
            verdict = "better than" if low > 0 else "worse than" if high < 0 else "not distinguishable from"
            verdicts.append(f"{verdict} {control} ({low:+.1%} to {high:+.1%})")
        sentences.append(f"{row.method} is {' and '.join(verdicts)}, in points of MaxBoxAcc.")
    sentences.append(
        f"The model {settings['model']} is right on {settings['top1_accuracy']:.1%} of the images "
        f"(top-5: {settings['top5_accuracy']:.1%})."
    )
    sentences.append(
        "Each method's threshold is the best one for these very images, as MaxBoxAcc is defined. The time of work that "
        "methods share counts for the first of them."
    )
    return sentences


def _paired_difference(a: np.ndarray, b: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % interval of MaxBoxAcc(a) − MaxBoxAcc(b) over the same resampled images, thresholds chosen again in each."""
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    columns = a.shape[1]

    def difference(drawn: np.ndarray) -> float:
        return drawn[:, :columns].mean(0).max() - drawn[:, columns:].mean(0).max()

    return bootstrap_interval(np.concatenate([a, b], axis=1), difference, seed=seed)
