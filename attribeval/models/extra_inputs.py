"""Inputs beside the image: given per call, held fixed, and read by the model's graph whenever it runs.

The graph takes their values, like weights, when it is called: one row of values stands for every image of the call, in
whatever order and number a method makes images of one. So no method has to carry them, and none can forget to.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError, unknown
from attribeval.models.extra_values import read_values
from attribeval.models.inputs import ImageInput

Work = Callable[[np.ndarray, Any, int, int], None]  # images, prepared, number of the first, capacity


class ExtraInputs:
    """The inputs of a model that are not the image, and their values now, of each thread its own.

    Args:
        image: What is known about the model's inputs.
        model: What errors call the model.
    """

    def __init__(self, image: ImageInput, model: str):
        self._image, self._model = image, model
        self._specs = {one.name: tf.TensorSpec([None, *one.shape], one.dtype) for one in image.others}
        self._now = threading.local()

    def __bool__(self) -> bool:
        return bool(self._specs)

    @property
    def names(self) -> list[str]:
        return list(self._specs)

    # ---------------------------------------------------------------------------------------- inside a graph

    def beside(self, x: Any) -> Any:
        """What the model is called on, the symbolic image input `x` and the other inputs in their places."""
        rows = {name: self._repeated(row, x) for name, row in self.placeholders().items()}
        return self._image.together(x, rows)

    def placeholders(self) -> dict[str, Any]:
        """In the graph being built, by input the tensor of its rows, which is given when the graph is run."""
        graph = tf.compat.v1.get_default_graph()
        return {
            name: graph.capture_call_time_value(lambda name=name: self._value(name), spec, key=(id(self), name))
            for name, spec in self._specs.items()
        }

    @staticmethod
    def _repeated(rows: Any, x: Any) -> Any:
        return tf.broadcast_to(rows, tf.concat([tf.shape(x)[:1], tf.shape(rows)[1:]], 0))

    def _value(self, name: str) -> Any:
        now = getattr(self._now, "rows", None)
        if now is None:
            raise self._none_given()
        return now[name]

    @contextmanager
    def given(self, rows: Mapping[str, np.ndarray]) -> Iterator[None]:
        """In the block, what this thread runs of the model has these values.

        Args:
            rows: By input, one row (1, ...) for all images of each call, or one for each of a call's images in order.
        """
        before = getattr(self._now, "rows", None)
        self._now.rows = {name: tf.constant(row, self._specs[name].dtype) for name, row in rows.items()}
        try:
            yield
        finally:
            self._now.rows = before

    def probe(self, n: int) -> dict[str, np.ndarray]:
        """Some values of no meaning, n rows, to try the model on; zeros for whole numbers, which may be indices."""
        random = np.random.default_rng(0)

        def values(spec: Any) -> np.ndarray:
            shape = (n, *(8 if side is None else side for side in spec.shape[1:]))
            return random.normal(scale=10, size=shape) if spec.dtype.is_floating else np.zeros(shape)

        return {name: values(spec).astype(spec.dtype.as_numpy_dtype) for name, spec in self._specs.items()}

    # -------------------------------------------------------------------------------------- what a caller gives

    def read(self, extra: Any, n: int) -> Rows:
        """The caller's values for n images.

        Args:
            extra: By name of the input, values (N, ...), or one value (...) for all images. N numbers are enough for
                an input of one number.
            n: How many images there are.

        Raises:
            AttribevalError: If an input is missing or unknown, or values have another shape or type, or are not finite;
                it names the input.
        """
        if extra is None:
            if self:
                raise self._none_given()
            return Rows(self, {}, n)
        if not self:
            raise AttribevalError(
                f"Expected no extra: model {self._model!r} has no input beside the image. Received: {extra!r:.80}."
            )
        if not isinstance(extra, Mapping):
            raise AttribevalError(f"{self._asked()} Received: {type(extra).__name__}.")
        for name in extra:
            if name not in self._specs:
                raise unknown("extra input", str(name), self.names)
        missing = [name for name in self._specs if name not in extra]
        if missing:
            raise AttribevalError(f"{self._asked()} Received none for {', '.join(map(repr, missing))}.")
        return Rows(self, {name: read_values(name, extra[name], spec, n) for name, spec in self._specs.items()}, n)

    def _none_given(self) -> AttribevalError:
        return AttribevalError(
            f"{self._asked()} Received none. explain, explain_many, predict and answer of an Attributer take extra=; "
            "for all else, as the studies of an Evaluator, build one value in: keras.Model(image, model([image, ...]))."
        )

    def _asked(self) -> str:
        inputs = ", ".join(f"{name!r} {tuple(spec.shape[1:])}" for name, spec in self._specs.items())
        example = ", ".join(f'"{name}": ...' for name in self._specs)
        return f"Expected extra={{{example}}}: beside the image, model {self._model!r} takes {inputs}."


@dataclass(frozen=True)
class Rows:
    """The values of the extra inputs for n images; none of a model without such inputs.

    Attributes:
        inputs: The inputs.
        values: By input (n, ...), or (1, ...) for all images.
        n: Number of images.
    """

    inputs: ExtraInputs
    values: dict[str, np.ndarray]
    n: int

    def repeated(self, times: int) -> Rows:
        """For images of which each comes so many times in a row."""
        several = {k: v if len(v) == 1 else np.repeat(v, times, axis=0) for k, v in self.values.items()}
        return Rows(self.inputs, several, self.n * times)

    def of(self, images: Any) -> Rows:
        """For some of the images, by slice or indices."""
        some = {k: v if len(v) == 1 else v[images] for k, v in self.values.items()}
        return Rows(self.inputs, some, len(np.arange(self.n)[images]))

    def in_order(self, work: Work) -> Work:
        """`work` on images in order, of which the model sees each once: it then reads a row for each."""

        def with_rows(raw: np.ndarray, x: Any, start: int, capacity: int) -> None:
            with self.inputs.given(self.of(slice(start, start + len(raw))).values):
                work(raw, x, start, capacity)

        return with_rows if self.values else work

    def apart(self, work: Work) -> Work:
        """`work`, called for neighbours with the same values together, for others apart: then one row is for all."""

        def by_rows(raw: np.ndarray, x: Any, start: int, capacity: int) -> None:
            for first, stop in self._runs(start, start + len(raw)):
                some = slice(first - start, stop - start)
                with self.inputs.given(self.of(slice(first, first + 1)).values):
                    work(raw[some], tf.nest.map_structure(operator.itemgetter(some), x), first, capacity)

        return by_rows if self.values else work

    def _runs(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        first = start
        for k in range(start + 1, stop + 1):
            if k == stop or any(len(v) > 1 and not np.array_equal(v[k], v[first]) for v in self.values.values()):
                yield first, k
                first = k
