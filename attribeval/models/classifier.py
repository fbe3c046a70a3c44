"""A Keras model seen as an image classifier: logits, preprocessing, target layer, class names, compiled functions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models.extra_inputs import ExtraInputs
from attribeval.models.functions import Functions
from attribeval.models.going_in import GoingIn
from attribeval.models.hidden import PROBES, refuse_hidden_probabilities
from attribeval.models.inputs import input_of
from attribeval.models.logits import is_linear
from attribeval.models.outputs import select_output
from attribeval.models.preprocessing import check_channels, find_preprocessing
from attribeval.models.reading import Reading
from attribeval.models.recording import Recording, graph_key
from attribeval.models.target_layer import default_target, find_target_layer, spatial_calls
from attribeval.models.targets import read_class_names, read_targets
from attribeval.models.task import Task, decide
from attribeval.models.trace import Trace, run


class Classifier:
    """What the methods may ask of a model. It shares the model's weights and never changes the model.

    Args:
        model: A built Keras 3 model with an image input (batch, height, width, channels), channels last.
        preprocess: How raw images become the model's input: a name ("caffe", "tf", "mobilenet", …), a function of a
            float32 array (N, H, W, C), or None if images are given as the model's own input.
        target_layer: Name or path of the layer for class activation maps; None finds it.
        class_names: As `targets.read_class_names` takes them; or a function that returns them, called at first use.
        reading: Which input and output, what that means and what of it is explained; `extra` holds the other inputs.
        name: What tables and reports call the model; default its Keras name.

    Raises:
        AttribevalError: If the model is no image classifier, its logits cannot be found, or the task does not fit it.
    """

    def __init__(
        self,
        model: Any,
        *,
        preprocess: str | Callable | None = None,
        target_layer: str | None = None,
        class_names: Any = None,
        reading: Reading | None = None,
        name: str | None = None,
    ):
        if not isinstance(model, tf.keras.Model):
            raise AttribevalError(
                f"Expected a Keras 3 model (keras.Model). Received: {type(model).__module__}.{type(model).__name__}. "
                "Rebuild a tf_keras or PyTorch model with Keras 3, or load it with keras.models.load_model."
            )
        self.model = model
        self.name = name or model.name
        self.preprocess = find_preprocessing(preprocess)
        self.reading = reading = reading or Reading()
        self.score, self.precision = reading.score, reading.precision
        self._class_names: Any = None
        self._functions = Functions(reading.precision)
        self.going_in = GoingIn(self)
        self._recording: Recording | None = None
        image = input_of(model, reading.inputs)
        self.input_shape, self.dtype = image.shape, image.dtype
        self.cast_from = image.declared  # the integer type behind whose cast the model is explained; None: a float
        check_channels(self.preprocess, self.input_shape[2])
        self.image_input = image.name  # None where there is no other
        self.extra = ExtraInputs(image, self.name)
        self.layer_names: list[str] = []
        self.target_layer: str | None = None
        self.target_grid: tuple[int, int] | None = None  # rows and columns, where the target layer gives tokens
        self.task: Task = self._inspect(target_layer)
        self.class_names = class_names

    def _inspect(self, target_layer: str | None) -> Task:
        """Trace the model once: decide its task, find logits and target layer, keep the compiled forward pass."""
        found: dict[str, Any] = {}

        def forward(x):
            if self._recording is None:
                trace = self._run(x)
                found["recording"] = Recording(x, trace, self.cast_from is not None, self.extra.placeholders)
                found["task"] = decide(self.reading.task, trace.output, self.score)
            else:
                trace = self._recording.copy(x, self.precision)
            task = found["task"]
            scores = task.scores(trace.output)
            found["layers"] = list(dict.fromkeys(c.name for c in spatial_calls(trace)))
            if "target" not in found:
                wanted = target_layer
                found["target"] = default_target(trace, scores) if wanted is None else find_target_layer(trace, wanted)
                found["linear"] = task.name != "score" and is_linear(trace.output)
            answer = task.answer(scores, trace.output)
            return tf.cast(scores, self.dtype), tf.cast(answer, tf.float32)

        self.compiled("forward", forward, self.input_spec)
        self._recording = found["recording"] if found["recording"].can_be_copied else None
        if self.cast_from is not None or self.precision in ("bfloat16", "float16"):
            self._forward_by_copy(forward)
        self.layer_names, target, task = found["layers"], found["target"], found["task"]
        if target is not None:
            self.target_layer, self.target_grid = target.path, target.tokens
        with self.extra.given(self.extra.probe(PROBES)):
            refuse_hidden_probabilities(task, self.forward, self.input_shape, self.dtype, found["linear"])
        return task

    def _run(self, x: Any) -> Trace:
        """Call the model on a symbolic input, and keep the output that is explained (of a function as score, all)."""
        trace = run(self.model, x, self.extra.beside(x))
        if callable(self.score):
            return trace
        return replace(trace, output=select_output(self.model, trace.output, self.reading.output))

    def _forward_by_copy(self, forward: Callable) -> None:
        """Let the forward pass, too, run on a copy of the graph: in a lower precision, behind a cast to integers."""
        if self._recording is None:
            wanted, remedy = f"an input of {self.cast_from}", "build it with a float Input"
            if self.cast_from is None:
                wanted = f"precision={self.precision!r}"
                remedy = "use 'float32', or build the model under keras.mixed_precision"
            raise AttribevalError(
                f"Expected a model without loops or branches for {wanted}. Received one with some (an LSTM?): {remedy}."
            )
        del self._functions["forward"]
        self.compiled("forward", forward, self.input_spec)

    @property
    def classes(self) -> int:
        """Columns of the scores: classes, or quantities of a regression."""
        return self.task.classes

    @property
    def link(self) -> str | None:
        """What the output is seen to be made by: "softmax", "sigmoid" or None."""
        return self.task.link

    # ----------------------------------------------------------------------------------------- inside a graph

    def trace(self, x: Any, by_keras: bool = False) -> tuple[Trace, Any]:
        """Run the model on a symbolic input; return the trace and the scores (batch, classes) to be explained.

        Copies the recorded graph where that can be done; `tf.gradients` sees a copy, a `tf.GradientTape` does not and
        needs the model to be called (`by_keras`).
        """
        trace = self._run(x) if by_keras or self._recording is None else self._recording.copy(x, self.precision)
        return trace, tf.cast(self.task.scores(trace.output), self.dtype)

    def probabilities(self, trace: Trace, scores: Any) -> Any:
        """What `task.Task.probabilities` makes of a run, (batch, classes)."""
        answer = tf.cast(self.task.answer(scores, trace.output), self.dtype)
        return self.task.probabilities(scores, answer)

    def compiled(self, key: Any, build: Callable, *specs: Any) -> Any:
        """Compile `build` once per `key` and keep it; the batch size stays free, so nothing is traced twice.

        Args:
            key: Hashable; names what is computed.
            build: A function of tensors, traced inside a graph (there `trace` may be called).
            specs: One `tf.TensorSpec` per argument.
        """
        return self._functions.compiled(key, build, specs)

    def use_several_devices(self) -> None:
        """From now on the compiled functions take the weights that `devices.Copies.on` says."""
        self._functions.use_several_devices()

    @property
    def input_spec(self) -> Any:
        """The `tf.TensorSpec` of a batch of inputs, batch size free."""
        return tf.TensorSpec([None, *self.input_shape], self.dtype)

    # ------------------------------------------------------------------------------------------ on real batches

    def prepare(self, raw: np.ndarray) -> Any:
        """Turn raw images (N, H, W, C) into the model's input, a tensor of its dtype; the array is not changed.

        Raises:
            AttribevalError: If the preprocessing changes the shape or returns values that are not finite.
        """
        return self.going_in.prepare(raw)

    def restore_channels(self, maps: np.ndarray) -> np.ndarray:
        """Maps in the channel order of the raw images (see `Preprocessing.restore_channels`)."""
        restore = getattr(self.preprocess, "restore_channels", None)
        return maps if restore is None else restore(maps)

    def forward(self, x: Any) -> tuple[Any, Any]:
        """One forward pass of model inputs (B, H, W, C).

        Returns:
            The scores to be explained, (B, classes): logits unless `score="output"`; and the model's output as it
            is, with a column for each class (see `task.Task.answer`), float32 (B, classes).
        """
        return self._functions["forward"](x)

    def fingerprint(self) -> str:
        """A short hash of the shapes and values of all weights: the same for the same trained model."""
        digest = hashlib.blake2b(digest_size=8)
        for variable in self.model.weights:
            value = np.ascontiguousarray(variable.numpy())
            digest.update(f"{value.dtype}{value.shape}".encode())
            digest.update(value)
        return digest.hexdigest()

    def score_key(self) -> str:
        """The kind of score; of a function the operations that it makes of the model, constants among them, hashed."""
        if not callable(self.score):
            return self.score
        return f"function {graph_key(self._functions['forward'].graph)}"

    # -------------------------------------------------------------------------------------------------- names

    def read_targets(self, targets: Any, n: int) -> np.ndarray | None:
        """Targets of n images as class indices; see `targets.read_targets`.

        Raises:
            AttribevalError: Also if none are given for a regression with several outputs, where the largest quantity is
                no prediction.
        """
        if targets is None and self.task.name == "regression" and self.classes > 1:
            raise AttribevalError(
                f"Expected targets= for a regression with {self.classes} outputs: which quantity is to be explained. "
                "Received none, and a largest quantity is no prediction."
            )
        return read_targets(targets, n, self.classes, None if targets is None else self.class_names)

    @property
    def class_names(self) -> list[str] | None:
        """Names by class index, or None if they are not known."""
        if callable(self._class_names):
            self._class_names = read_class_names(self._class_names(), self.classes)
        return None if self._class_names is None else list(self._class_names)

    @class_names.setter
    def class_names(self, names: Any) -> None:
        self._class_names = names if callable(names) else read_class_names(names, self.classes)
