"""The leaderboard: every method against every benchmark, on the same images, in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from attribeval import progress as progress_bars
from attribeval.attributer import Attributer
from attribeval.benchmarks.leaderboard.chunk import Chunk
from attribeval.benchmarks.leaderboard.options import CompareOptions
from attribeval.benchmarks.leaderboard.plan import choose_benchmarks, choose_methods
from attribeval.benchmarks.leaderboard.records import Records
from attribeval.benchmarks.leaderboard.scores import Scores
from attribeval.benchmarks.leaderboard.summary import summarise
from attribeval.common.arguments import takes
from attribeval.common.options import options_of
from attribeval.common.versions import versions
from attribeval.datasets.samples import Samples
from attribeval.datasets.source import ImageSource
from attribeval.errors import AttribevalError
from attribeval.methods.abilities import of_images
from attribeval.methods.card import Method
from attribeval.metrics.card import Benchmark
from attribeval.metrics.localisation.pointing_game import PointingGame, hits_by_class
from attribeval.models.classifier import Classifier
from attribeval.results.result import Result
from attribeval.runs.failures import row_text
from attribeval.runs.keys import content_of, digest_of, model_key
from attribeval.runs.maps_cache import MapsCache
from attribeval.runs.store import Store


@takes(CompareOptions)
def run_leaderboard(attributer: Attributer, dataset: Samples | Any, options: CompareOptions) -> Result:
    """Score every method by every benchmark, and say which differences are more than chance.

    Maps are made once per method and shared by all benchmarks; what a benchmark needs that does not depend on the map
    is made once for all methods. A pair that fails is a cell with its reason; the others go on.

    Args:
        attributer: The explained model.
        dataset: `Samples`, or images as `Attributer.explain` takes them.

    Returns:
        `table` with one row per benchmark and method, the best of each benchmark first; columns: method; kind
        ("method", "control"); benchmark; family; better ("high", "low"); value, low, high (mean over images and its
        95 % interval over images, see `results.over_images.mean_interval`); images (with a score); rank (1 is best;
        ties share their mean rank; none where less than half of the images that the benchmark judges have a score);
        group (methods that share a letter cannot be told apart, Holm-corrected over all pairs of the benchmark);
        p_random (`results.over_images.sign_flip_test` against the control "random", Holm-corrected over the methods);
        p_next (the same against the next method down); seconds_per_image (of explaining: median over images, so that
        compiling, once, does not count where there are some chunks); peak_memory_mib (the most by which the memory of
        the process rose while the method explained a chunk; see `memory.PeakMemory`); scoring_seconds_per_image and
        passes_per_image (of this benchmark on this method's maps: passes are forward passes that the benchmark asked
        for); error (why scores of all or of some images are missing, see `runs.failures`). A pointing game has one row
        more, of kind "baseline" and without a rank, "centre pixel": what the middle of every image scores.

        `settings` holds "methods", "benchmarks", their options, what preparing each benchmark cost, the model's
        accuracy where labels are known, and "average_ranks" (`summary.average_ranks`). `arrays` holds "scores"
        (methods, benchmarks, images; of a pointing game what each image contributes to the mean of classes), "tau",
        "tau_low", "tau_high" (benchmarks, benchmarks) and "maps", "maps_low", "maps_high" (methods, methods): see
        `agreement`; and "centre pixel/<label>" (images,) for a pointing game.

    Raises:
        AttribevalError: If a method or benchmark is unknown or lacks what it needs of the data, an image cannot be
            read, a label is no class of the model, or `run_dir` belongs to another study.
    """
    seed, chunk = options.seed, options.chunk
    samples = dataset if isinstance(dataset, Samples) else None
    built = choose_methods(options.methods)
    asked = choose_benchmarks(options.benchmarks, samples)
    source = ImageSource(dataset, attributer.classifier.input_shape)
    built = of_images(built, dataset, len(source))
    _check_targets(attributer, samples, options.targets)
    store = Store(options.run_dir, "leaderboard")
    maps = _open_cache(options.cache, options.run_dir, attributer)
    starts = list(range(0, len(source), chunk))
    common = digest_of([model_key(attributer.classifier), options.targets, int(seed), versions()])
    records = Records(store, built, asked)
    work = Chunk(attributer, built, asked, records, maps, options)
    cells = len(built) * len(asked)
    with progress_bars.bar(len(starts) * cells, "leaderboard", options.progress, unit="cell") as bar:
        for number in store.take([f"{common}-{start:07d}" for start in starts]):
            start = starts[number]
            raw = source.load(start, min(start + chunk, len(source)))
            some = None if samples is None else samples[start : start + chunk]
            records.of_images(start, f"{common}/images-{start:07d}-{_content(attributer.classifier, raw, some)}")
            missing = records.missing(start)
            bar.update(cells - len(missing))
            if missing or records.lacks_more(start):
                work.run(start, raw, some, bar.update)
    settings = _settings(attributer, source, samples, options)
    settings |= {"methods": list(built), "benchmarks": list(asked)}
    settings["options"] = {label: of_one for label, method in built.items() if (of_one := options_of(method))}
    settings["benchmark_options"] = {label: of_one for label, one in asked.items() if (of_one := options_of(one))}
    if maps is not None:
        settings["maps_on_disk_mib"] = round(maps.bytes() / 2**20, 1)
    scores = _collect(records, starts, len(source), built, asked)
    if samples is not None:
        if attributer.classifier.task.name != "score":  # labels of which are numbers of questions
            settings["top1_accuracy"] = float((scores.predicted == samples.labels).mean())
        for place, (label, one) in enumerate(asked.items()):
            if isinstance(one, PointingGame):  # a mean of classes, which a chunk does not know
                by_class = [hits_by_class(hits, samples.labels) for hits in scores.values[:, place]]
                scores.values[:, place] = by_class
                scores.centre[label] = hits_by_class(one.centre(samples, raw.shape[1:3]), samples.labels)
    return summarise(scores, settings, seed=seed)


def _check_targets(attributer: Attributer, samples: Samples | None, targets: str) -> None:
    if targets == "predicted":
        return
    if samples is None:
        raise AttribevalError("Expected Samples with labels for targets='label'. Received images alone.")
    classes = attributer.classifier.classes
    outside = np.flatnonzero((samples.labels < 0) | (samples.labels >= classes))
    if outside.size:
        bad = int(outside[0])
        raise AttribevalError(
            f"Expected labels from 0 to {classes - 1}, the model's classes. Received: {samples.labels[bad]} for image "
            f"{samples.ids[bad]!r}."
        )


def _settings(
    attributer: Attributer, source: ImageSource, samples: Samples | None, options: CompareOptions
) -> dict[str, Any]:
    """What a result says of the run that made it."""
    classifier = attributer.classifier
    return {
        "model": classifier.name,
        "weights": classifier.fingerprint(),
        "task": classifier.task.name,
        "dataset": "images" if samples is None else samples.name,
        "images": len(source),
        "targets": options.targets,
        "seed": int(options.seed),
        "versions": versions(),
        "target_layer": classifier.target_layer,
        "chunk": options.chunk,
    }


def _content(classifier: Classifier, raw: np.ndarray, samples: Samples | None) -> str:
    """A hash of images, of what the model gets to see of them by its preprocessing, of labels, boxes and masks."""
    truth: list[Any] = []
    if samples is not None:
        masks = None if samples.masks is None else [samples.mask_at(i, raw.shape[1:3]) for i in range(len(samples))]
        truth = [samples.labels, samples.boxes, masks]
    return content_of(raw, np.asarray(classifier.prepare(raw)), truth)


def _open_cache(
    cache: str | PathLike | bool | None, run_dir: str | PathLike | None, attributer: Attributer
) -> MapsCache | None:
    if isinstance(cache, bool):  # True is refused by the options
        return None
    if cache is None:
        cache = None if run_dir is None else Path(run_dir) / "maps"
    return None if cache is None else MapsCache(cache, attributer.classifier)


def _collect(
    records: Records,
    starts: Sequence[int],
    images: int,
    methods: Mapping[str, Method],
    benchmarks: Mapping[str, Benchmark],
) -> Scores:
    """Everything that the store holds of these methods and benchmarks, in arrays."""
    store = records.store
    scores = Scores(methods, benchmarks, images)
    failed: dict[tuple[int, int], list[str]] = {}
    for start in starts:
        about = store.read(records.images(start))
        here = slice(start, start + len(about["predicted"]))
        scores.predicted[here] = about["predicted"]
        agreement = store.read_arrays(records.agreement(start))
        if agreement is not None:
            scores.correlations[here] = agreement["correlations"]
        for i, method in enumerate(methods):
            costs = store.read(records.maps(start, method))
            if costs is not None:
                scores.seconds[i, here] = costs["seconds"]
                scores.peak_mib[i, here] = np.array(costs["peak_mib"], np.float64)
            for j, benchmark in enumerate(benchmarks):
                cell = store.read(records.cell(start, method, benchmark))
                if cell["error"] is not None:
                    failed.setdefault((i, j), []).append(cell["error"])
                else:
                    scores.values[i, j, here] = np.array(cell["scores"], np.float64)
                    scores.scoring_seconds[i, j, here] = cell["seconds"] / (here.stop - here.start)
                    scores.passes[i, j, here] = cell["passes"] / (here.stop - here.start)
                scores.prepare_seconds[j] += cell.get("prepare_seconds", 0.0)
                scores.prepare_passes[j] += cell.get("prepare_passes", 0)
    for (i, j), reasons in failed.items():
        scores.errors[i][j] = row_text(reasons, len(starts), kept=store.folder is not None)
    return scores
