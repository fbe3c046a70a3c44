"""What a model says of raw images, asked in micro-batches on one device or on several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from attribeval import progress
from attribeval.datasets.source import ImageSource
from attribeval.errors import AttribevalError
from attribeval.micro_batches import Images, capacity_for, in_order
from attribeval.models.classifier import Classifier
from attribeval.models.devices import Copies, devices_of
from attribeval.models.extra_inputs import Work
from attribeval.models.preprocessing import preprocessing_name
from attribeval.models.run_options import tf32
from attribeval.models.sharing import SharedOut, share_out


class Predictor:
    """A classifier and the devices that it is asked on.

    Args:
        classifier: The model.
        batch_size, strategy: As in `Attributer`.
    """

    def __init__(self, classifier: Classifier, batch_size: int | None = None, strategy: Any = None):
        self.classifier = classifier
        if batch_size is not None and batch_size < 1:
            raise AttribevalError(f"Expected a batch_size of 1 or more. Received: {batch_size}.")
        self.batch_size = batch_size
        several = devices_of(strategy)
        self._copies = Copies(self.classifier.model, several) if several else None
        if self._copies is not None:
            self.classifier.use_several_devices()

    def __repr__(self) -> str:
        grid = self.classifier.target_grid
        tokens = f" (tokens as {grid[0]} × {grid[1]} places)" if grid else ""
        one = self.classifier
        image = f"input {one.image_input!r} beside {', '.join(map(repr, one.extra.names))}, " if one.extra else ""
        return (
            f"{type(self).__name__}({one.name!r}, {image}{_counted(one)}, {one.task}, "
            f"target layer {one.target_layer!r}{tokens}, preprocessing {preprocessing_name(one.preprocess)})"
        )

    def predict(
        self,
        images: Any,
        *,
        extra: Mapping[str, Any] | None = None,
        batch_size: int | None = None,
        progress: bool | None = None,
    ) -> np.ndarray:
        """The model's output (usually probabilities) on the images, float32 (N, classes).

        As it is, but for one unit, which is read as two classes: 1 − p and p of a sigmoid, −z and z of a logit.
        `extra` as in `explain`.
        """
        (found,) = self._forward(images, extra, batch_size, "predict", progress, lambda _, output: (output.numpy(),))
        return found

    def answer(
        self, images: Any, *, extra: Mapping[str, Any] | None = None, batch_size: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores and probabilities of raw images, from one pass of the model over each.

        Args:
            images, extra, batch_size: As in `explain`.

        Returns:
            The scores that are explained (logits, unless the Attributer was made with `score="output"`), and the
            probabilities: the model's output, or what softmax or sigmoid make of its logits; of a regression the scores
            again. float32 (N, classes) each.
        """

        def read(scores: Any, output: Any) -> tuple[np.ndarray, ...]:
            probabilities = self.classifier.task.probabilities(scores, output)
            return scores.numpy().astype(np.float32), probabilities.numpy().astype(np.float32)

        scores, probabilities = self._forward(images, extra, batch_size, "answer", False, read)
        return scores, probabilities

    def _forward(
        self, images: Any, extra: Any, batch_size: int | None, what: str, show: bool | None,
        read: Callable[[Any, Any], tuple[np.ndarray, ...]],
    ) -> list[np.ndarray]:  # fmt: skip
        """What is read off scores and output of each micro-batch, several arrays, put together in the images' order."""
        source = ImageSource(images, self.classifier.input_shape)
        rows = self.classifier.extra.read(extra, len(source))
        parts: dict[int, tuple[np.ndarray, ...]] = {}

        def work(raw: np.ndarray, x: Any, start: int, capacity: int) -> None:
            parts[start] = read(*self.classifier.forward(x))

        self._in_batches(source, batch_size, what, show, rows.in_order(work))
        return [np.concatenate(some) for some in zip(*(parts[start] for start in sorted(parts)), strict=True)]

    def capacity(self, images: Any = None, batch_size: int | None = None) -> int | None:
        """How many images the model takes at a time; None where several devices share them out.

        Args:
            images: As in `explain`; None: images of the model's size, 224 where that is free.
            batch_size: As in `explain`.
        """
        if self._copies is not None:
            return None
        shape = self.classifier.input_shape
        return self._capacity(shape if images is None else ImageSource(images, shape).shape, batch_size)

    def read(self, images: Any) -> np.ndarray:
        """The raw images as `explain` sees them: read, resized, checked; float32 (N, H, W, C)."""
        source = ImageSource(images, self.classifier.input_shape)
        return np.array(source.load(0, len(source)))

    def _capacity(self, shape: tuple[int | None, ...], batch_size: int | None) -> int:
        return capacity_for(shape, batch_size if batch_size is not None else self.batch_size)

    def _in_batches(
        self,
        source: Images,
        batch_size: int | None,
        what: str,
        show: bool | None,
        work: Work,
        finish: Callable[[], None] = lambda: None,
        prepare: Callable[[np.ndarray, int], Any] | None = None,
        one_device: bool = False,
    ) -> None:
        """Call `work` for every micro-batch (see `micro_batches.in_order`), and `finish()` at the end.

        With several devices (unless `one_device`) both are called by a thread of each.
        """
        capacity = self._capacity(source.shape, batch_size)
        prepare = prepare or (lambda raw, start: self.classifier.prepare(raw))
        with progress.bar(len(source), what, show) as bar, tf32(self.classifier.precision == "tf32"):
            if self._copies is None or one_device:
                in_order(source, capacity, prepare, work, bar.update, one_reader=not self.classifier.going_in.by_graph)
                finish()
                return
            self._copies.update()
            batches = SharedOut(len(source), capacity, source.load, ahead=len(self._copies.devices))

            def there(raw: np.ndarray, start: int, capacity: int) -> None:
                work(raw, prepare(raw, start), start, capacity)

            share_out(self._copies, batches, there, finish, bar.update)


def _counted(classifier: Classifier) -> str:
    """How many columns the scores have, and what they are."""
    kind = {"regression": "quantit", "score": "score"}.get(classifier.task.name, "class")
    ending = {"quantit": ("y", "ies"), "score": ("", "s"), "class": ("", "es")}[kind][classifier.classes != 1]
    return f"{classifier.classes} {kind}{ending}"
