"""WSOL with a model: explain every image, score every map, one table. Memory holds one chunk of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attribeval import progress as progress_bars
from attribeval.attributer import Attributer
from attribeval.benchmarks.wsol.baselines import BASELINES
from attribeval.benchmarks.wsol.chunk import Chunk
from attribeval.benchmarks.wsol.metrics import Metric, choose_metrics
from attribeval.benchmarks.wsol.options import WsolOptions
from attribeval.benchmarks.wsol.summary import Scored, Unpacked, folds, summarise
from attribeval.benchmarks.wsol.truth import split_by_boxes
from attribeval.common.arguments import takes
from attribeval.common.options import options_of
from attribeval.common.versions import versions
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError
from attribeval.methods import abilities, given
from attribeval.results.result import Result
from attribeval.runs import failures
from attribeval.runs.store import Store

_CHUNK = 32  # images


@takes(WsolOptions)
def run_wsol(attributer: Attributer, dataset: Samples, options: WsolOptions) -> Result:
    """Score how well maps localise the labelled object, by every score that boxes and masks allow.

    Maps become heat maps as their method's card says, see `methods.given.ranking`: shares of the score are summed
    over channels, of others the sizes. Besides the methods the table has random noise and Sobel edges
    (controls), and the whole image, the centred box and a centred Gaussian (baselines). `docs/wsol.md` says what each
    score measures and when it misleads.

    Args:
        attributer: The explained model.
        dataset: Images with labels and boxes, masks, or both.

    Returns:
        `table` with one row per metric and per method or baseline, best first, and columns: method; kind ("method",
        "control", "baseline"); metric; value, low, high (0 to 1, 95 % interval over images, see
        `results.over_images.mean_interval`); threshold (the best level 0 to 255, or α, on all images);
        images (with a score); seconds_per_image; error (why scores of all or of some images are missing, see
        `runs.failures`). `arrays` holds "<method>/hits", bool (images that have a map, 256), "<method>/curve", the
        accuracy at each threshold, and what `summary.compare` needs. `settings` holds the model's top-1 accuracy and
        the images left out.

    Raises:
        AttribevalError: If the data set has neither boxes nor masks, an image has no box and `require_truth`, labels
            are not the model's classes, a method or metric is unknown or lacks what it needs, or `run_dir` belongs to
            another study.
    """
    _check(attributer, dataset)
    built = given.with_controls(given.methods_of(options.methods))
    if options.geometry == "cropped":
        abilities.refuse(built, "wsol with geometry='cropped'", images=True)
    built = abilities.of_images(built, dataset, len(dataset))
    taken = sorted(set(BASELINES) & set(built))
    if taken:
        raise AttribevalError(f"Expected labels of methods other than the baselines'. Received: {taken[0]!r}.")
    five = attributer.classifier.classes > 5  # otherwise the label always is among the first five
    have = {"labels", "top1"} | ({"top5"} if five and options.targets == "label" else set())
    truth = {name for name in ("boxes", "masks") if getattr(dataset, name) is not None}
    kept, skipped = split_by_boxes(dataset.boxes, dataset.ids, options.require_truth)
    dataset, built = dataset[kept], abilities.at(built, kept)
    chosen = choose_metrics(options.metrics, have | {"folds"}, truth)
    settings: dict[str, Any] = {
        "model": attributer.classifier.name,
        "weights": attributer.classifier.fingerprint(),
        "task": attributer.classifier.task.name,
        "dataset": dataset.name,
        "images": len(dataset),
        "methods": list(built),
        "options": {name: of_one for name, method in built.items() if (of_one := options_of(method))},
        "metrics": [metric.name for metric in chosen],
        "iou": options.iou,
        "targets": options.targets,
        "protocol": options.protocol,
        "geometry": options.geometry,
        "tolerance": options.tolerance,
        "held_out": options.held_out,
        "seed": options.seed,
        "versions": versions(),
    }
    store = Store(options.run_dir, "wsol")
    work = Chunk(attributer, built, chosen, settings, store, options.batch_size, options.strict)
    starts = list(range(0, len(dataset), _CHUNK))
    chunks: list[dict[str, np.ndarray]] = [{} for _ in starts]
    with progress_bars.bar(len(dataset), "wsol", options.progress) as bar:
        for number in work.store.take([work.lock(start) for start in starts]):
            part = dataset[starts[number] : starts[number] + _CHUNK]
            chunks[number] = work.score(part, slice(starts[number], starts[number] + _CHUNK))
            bar.update(len(part))
            lost = chunks[number]["images|skipped"]
            if options.require_truth and len(lost):
                raise AttribevalError(
                    f"Expected an object to see in every image. Received none for {str(lost[0])!r} at the size scored: "
                    "leave it out or pass require_truth=False."
                )
    return _summarise(work, dict(zip(starts, chunks, strict=True)), built, chosen, settings, skipped, dataset)


def _check(attributer: Attributer, dataset: Samples) -> None:
    if len(dataset) == 0:
        raise AttribevalError("Expected at least one image. Received an empty data set.")
    if dataset.boxes is None and dataset.masks is None:
        raise AttribevalError(
            f"WSOL needs ground-truth boxes or masks. Received {dataset!r} without any: read it with annotations, or "
            "pass boxes= or masks=."
        )
    classes = attributer.classifier.classes
    if dataset.labels.min() < 0 or dataset.labels.max() >= classes:
        bad = int(np.flatnonzero((dataset.labels < 0) | (dataset.labels >= classes))[0])
        raise AttribevalError(
            f"Expected labels from 0 to {classes - 1}, the model's classes. "
            f"Received: {dataset.labels[bad]} for image {dataset.ids[bad]!r}."
        )


def _summarise(
    work: Chunk,
    chunks: Mapping[int, Mapping[str, np.ndarray]],
    methods: dict[str, Any],
    metrics: Sequence[Metric],
    settings: dict[str, Any],
    skipped: list[str],
    dataset: Samples,
) -> Result:
    skipped = skipped + [str(name) for chunk in chunks.values() for name in chunk["images|skipped"]]
    parts = [chunk for chunk in chunks.values() if "images|labels" in chunk]
    if not parts:
        raise AttribevalError(f"Expected an image with a box in its centre crop. Received none in {dataset!r}.")
    shared = {
        name.removeprefix("images|"): np.concatenate([part[name] for part in parts])
        for name in parts[0]
        if name.startswith("images|") and name != "images|skipped"
    }
    n = len(shared["labels"])
    fold_of_image = folds(n, settings["held_out"], settings["seed"])
    if fold_of_image is not None:
        shared["folds"] = fold_of_image
    scored = [_scored(name, methods.get(name), parts, work) for name in [*methods, *BASELINES]]
    settings = settings | {
        "images": n,
        "skipped": skipped,
        "photographs": _photographs(dataset, skipped),
        "top1_accuracy": float(shared["top1"].mean()),
    }
    if "top5" in shared:
        settings["top5_accuracy"] = float(shared["top5"].mean())
    return summarise(scored, shared, metrics, settings, work.strict)


def _scored(name: str, method: Any, chunks: Sequence[Mapping[str, np.ndarray]], work: Chunk) -> Scored:
    """One method's or baseline's arrays (method=None) from the chunks that have them, and why others have not."""
    errors: dict[str, list[str]] = {}
    for (_, label, array), reason in work.failed.items():
        if label == name:
            errors.setdefault(array, []).append(reason)
    parts: dict[str, list[np.ndarray]] = {}
    there: dict[str, list[np.ndarray]] = {array: [] for array in errors}
    for chunk in chunks:
        own = {key.removeprefix(f"{name}|"): values for key, values in chunk.items() if key.startswith(f"{name}|")}
        for key, values in own.items():
            parts.setdefault(key, []).append(values)
        have = {key.partition("|")[0] for key in own}
        for array, of_chunks in there.items():
            of_chunks.append(np.full(len(chunk["images|labels"]), array in have))
    arrays = Unpacked({key: np.concatenate(of_chunks) for key, of_chunks in parts.items()})
    kept = work.store.folder is not None
    return Scored(
        name,
        "baseline" if method is None else given.kind_of(method),
        arrays,
        float(arrays["seconds"].mean()) if "seconds" in arrays else 0.0 if method is None else np.nan,
        {array: np.concatenate(of_chunks) for array, of_chunks in there.items()},
        {array: failures.row_text(reasons, len(chunks), kept=kept) for array, reasons in errors.items()},
    )


def _photographs(dataset: Samples, skipped: Sequence[str]) -> int:
    """How many different images were scored: where an image shows several classes, it comes once for each."""
    left_out = set(skipped)
    if isinstance(dataset.images, np.ndarray):
        return sum(name not in left_out for name in dataset.ids)
    return len({str(path) for path, name in zip(dataset.images, dataset.ids, strict=True) if name not in left_out})
