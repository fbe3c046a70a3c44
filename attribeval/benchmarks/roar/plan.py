"""The bill, before a penny is spent: cells, passes, bytes and hours, from a timed sample on this machine."""

from __future__ import annotations

import dataclasses
import os
import time
from collections import Counter
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.attributer import Attributer
from attribeval.benchmarks.roar.estimators import method_of
from attribeval.benchmarks.roar.importance import ranked_values
from attribeval.benchmarks.roar.ranks import packed_bytes
from attribeval.benchmarks.roar.request import Request
from attribeval.errors import AttribevalError
from attribeval.models.classifier import Classifier
from attribeval.models.preprocessing import find_preprocessing
from attribeval.models.run_options import tf32
from attribeval.training.builder import build
from attribeval.training.evaluation import evaluate
from attribeval.training.loop import steps_per_call, train
from attribeval.training.recipe import Recipe
from attribeval.training.strategies import make_strategy, strategy_of_maps, workers

_SECONDS = 3.0  # of measuring, for each figure
_AT_ONCE = 16  # images that the estimators explain in the sample
_SAMPLE_PIXELS = 32 * 224 * 224  # of a timed training step, at most


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a grid will take.

    Attributes:
        cells: Trainings by kind.
        trained_images: Images that pass through all trainings, forward and backward.
        evaluated_images: Images that pass through all evaluations, forward.
        explained_images: Images that every estimator explains.
        image_bytes: Of the stored images and labels.
        rank_bytes: Of the stored rank levels, all rankings together.
        train_rate, evaluate_rate: Images per second, measured here with one process.
        explain_seconds: Seconds per image for all estimators together, measured here.
        start_seconds: Seconds that a training takes before its first step, measured here.
        timed_on: The devices that were timed, and how: precision, steps per call.
    """

    cells: dict[str, int]
    trained_images: int
    evaluated_images: int
    explained_images: int
    image_bytes: int
    rank_bytes: int
    train_rate: float
    evaluate_rate: float
    explain_seconds: float
    start_seconds: float
    timed_on: str

    @property
    def training_hours(self) -> float:
        """All trainings and evaluations, one after another, on what was measured."""
        seconds = self.trained_images / self.train_rate + self.evaluated_images / self.evaluate_rate
        return (seconds + sum(self.cells.values()) * self.start_seconds) / 3600

    @property
    def map_hours(self) -> float:
        """All maps, one after another, on what was measured."""
        return self.explained_images * self.explain_seconds / 3600

    @property
    def hours(self) -> float:
        return self.training_hours + self.map_hours

    def text(self, devices: tuple[int, ...] = (1, 2, 4, 8, 16, 64)) -> str:
        """The bill in words; hours for several devices like what was measured, each with cells of its own."""
        total = sum(self.cells.values())
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.cells.items() if count)
        lines = [
            f"trainings      {total:,} ({kinds})",
            f"passes         {self.trained_images:,} images trained, {self.evaluated_images:,} evaluated, "
            f"{self.explained_images:,} explained by every estimator",
            f"disk           {_size(self.image_bytes)} of images, {_size(self.rank_bytes)} of rank levels",
            f"timed on       {self.timed_on}",
            f"measured       {self.train_rate:,.0f} images/s in training, {self.evaluate_rate:,.0f} in evaluation, "
            f"{1000 * self.explain_seconds:,.1f} ms per image for all estimators, {self.start_seconds:.1f} s to start "
            "a training",
            f"hours          {self.hours:,.2f}: trainings {self.training_hours:,.2f}, maps {self.map_hours:,.2f}",
            "with n of them " + ", ".join(f"{n}: {self.hours / n:,.2f} h" for n in devices),
        ]
        return "\n".join(lines)


def make_plan(request: Request, strategy: str = "auto") -> Plan:
    """Count the grid's work and time a sample of it: a few training steps and maps of an untrained model.

    Nothing is written. Cells are independent, so hours divide by the number of devices (with "mirrored": of machines
    like this one), as long as there are more cells than devices; the figures are of one process.

    Args:
        request: The grid and its images.
        strategy: The name of the strategy that the cells will use, which is timed with the recipe's precision.

    Raises:
        AttribevalError: If the strategy spans several processes, which one cannot time.
    """
    chosen = _strategy(strategy)
    grid, source = request.grid, request.source
    recipe, counts = Recipe(**grid.recipe), {split: len(samples) for split, samples in source.splits.items()}
    cells: Counter[str] = Counter(cell.kind for cell in grid.cells())
    total, images = sum(cells.values()), sum(counts.values())
    once = cells["unmodified"] + cells["leakage"]
    record = int(np.prod(source.shape)) * np.dtype(source.dtype).itemsize
    ranked = packed_bytes(len(grid.fractions), ranked_values(source.shape, grid.per))
    again = packed_bytes(1, ranked_values(source.shape, grid.per)) * cells["recursive"]
    with tf32(recipe.precision == "tf32"):
        start, train_rate, evaluate_rate, per_call = _time_training(request, recipe, chosen)
    calls = f"{per_call} step{'s' if per_call > 1 else ''} per call{', XLA' if recipe.jit_compile else ''}"
    return Plan(
        cells=cells,
        trained_images=total * recipe.total_steps(counts["train"]) * recipe.batch_size,
        evaluated_images=(2 * total - once) * counts["test"],
        explained_images=images,
        image_bytes=images * (record + 8),
        rank_bytes=images * (ranked * len(grid.rankings()) + again),
        train_rate=train_rate,
        evaluate_rate=evaluate_rate,
        explain_seconds=_time_maps(request, strategy),
        start_seconds=start,
        timed_on=f"{_devices(chosen)}, {recipe.precision}, {calls}",
    )


def _sample(request: Request, n: int) -> tuple[Any, np.ndarray]:
    """n model inputs and labels, repeated from the first training images."""
    samples = request.source.splits["train"]
    few = samples[: min(n, len(samples), 64)]
    order = np.arange(n) % len(few)
    images = request.source.load(few).astype(np.float32)
    preprocess = find_preprocessing(request.grid.preprocess)
    images = images if preprocess is None else np.asarray(preprocess(images))
    return images[order], few.labels[order].astype(np.int32)


def _strategy(name: str) -> Any:
    """The strategy to time."""
    if name == "multi_worker" or (name == "auto" and workers() > 1):
        raise AttribevalError(
            f"Expected a strategy of one process for a plan. Received {name!r} with {workers()} workers in TF_CONFIG: "
            "plan one of them, --strategy mirrored or one_device."
        )
    return make_strategy(name)


def _devices(strategy: Any) -> str:
    """What a strategy of this process computes on, in words."""
    gpus, replicas = tf.config.list_physical_devices("GPU"), strategy.num_replicas_in_sync
    name = f"CPU, {os.cpu_count()} cores"
    if gpus:
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    return f"{replicas} × {name}" if replicas > 1 else name


def _time_training(request: Request, recipe: Recipe, strategy: Any) -> tuple[float, float, float, int]:
    """Seconds to start; images per second in training and in evaluation; steps per call of the loop."""
    height, width, _ = request.source.shape
    several = strategy.num_replicas_in_sync
    few = min(recipe.batch_size, several * max(1, _SAMPLE_PIXELS // (height * width)))
    few = recipe.batch_size if recipe.batch_size % several else max(1, few // several) * several
    full, per_epoch = recipe.batch_size, -(-len(request.source.splits["train"]) // recipe.batch_size)
    recipe = dataclasses.replace(recipe, epochs=None, steps=100_000, batch_size=few)
    x, y = _sample(request, few)
    batch = tf.data.Dataset.from_tensors((x, y))
    one = tf.data.Dataset.from_tensors((x[: few // several], y[: few // several]))  # of a replica

    def timed(per_call: int) -> tuple[float, float, Any]:
        clock, begun = _Clock(), time.perf_counter()  # below, an epoch is one call
        with strategy.scope():
            model = build(request.grid.model, 0, recipe.policy)
        stepping = dataclasses.replace(recipe, steps_per_execution=per_call)
        train(model, lambda size, pipeline: one.repeat(), per_call * few, stepping, strategy, [clock()])
        return clock.first - begun, clock.seconds / (clock.calls * per_call), model

    start, step, model = timed(1)
    per_call = min(recipe.steps_per_execution or steps_per_call(step * full / few), per_epoch)
    if per_call > 1:
        _, step, model = timed(per_call)
    rate = few / step
    evaluate(model, batch, request.source.classes)
    begun, n = time.perf_counter(), 0
    while time.perf_counter() - begun < _SECONDS / 3:
        evaluate(model, batch.repeat(4), request.source.classes)
        n += 4 * len(x)
    return start, rate, n / (time.perf_counter() - begun), per_call


class _Clock:
    """Times the calls of a training's compiled loop after the first, and ends it."""

    def __init__(self) -> None:
        self.first = self.seconds = 0.0
        self.calls = 0

    def __call__(self) -> Any:
        clock = self

        class Stop(tf.keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                float(logs["loss"])  # wait for the step
                now = time.perf_counter()
                if clock.first == 0:
                    clock.first = now
                else:
                    clock.calls += 1
                    clock.seconds = now - clock.first
                if clock.seconds > _SECONDS:
                    self.model.stop_training = True

        return Stop()


def _time_maps(request: Request, strategy: str) -> float:
    """Seconds per image for all estimators of ours, sharing what they share."""
    methods = {e.label: method_of(e) for e in request.grid.estimators if e.source != "maps"}
    if not methods:
        return 0.0
    model = request.checkpoint if request.checkpoint is not None else build(request.grid.model, 0)
    classifier = Classifier(model, preprocess=request.grid.preprocess)
    attributer = Attributer(classifier, strategy=strategy_of_maps(strategy))
    samples = request.source.splits["train"]
    few = samples[: min(_AT_ONCE, len(samples))]
    raw = request.source.load(few).astype(np.float32)
    attributer.explain_many(raw[:1], methods, progress=False, remarks=False)  # compiles
    begun, n = time.perf_counter(), 0
    while n == 0 or time.perf_counter() - begun < _SECONDS:
        attributer.explain_many(raw, methods, progress=False, remarks=False)
        n += len(raw)
    return (time.perf_counter() - begun) / n


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
