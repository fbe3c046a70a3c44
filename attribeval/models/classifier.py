"""A Keras model seen as an image classifier: logits, preprocessing, target layer, class names, compiled functions."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models import devices
from attribeval.models.logits import find_logits
from attribeval.models.preprocessing import Preprocessing, find_preprocessing
from attribeval.models.recording import Recording
from attribeval.models.run_options import Precision, check_precision, with_run_options
from attribeval.models.target_layer import default_target, find_target_layer, spatial_calls
from attribeval.models.trace import Trace, run

_building = threading.RLock()  # one graph at a time: some builders change what Keras does meanwhile


class Classifier:
    """What the methods may ask of a model. It shares the model's weights and never changes the model.

    Args:
        model: A built Keras 3 model with one image input (batch, height, width, channels) and one output
            (batch, classes).
        preprocess: How raw images become the model's input: a name ("caffe", "tf", "mobilenet", …), a function of a
            float32 array (N, H, W, C), or None if images are given as the model's own input.
        target_layer: Name or path of the layer for class activation maps; None finds it.
        class_names: Names by class index; or a function that returns them, called at first use.
        score: "logit" explains the value before the softmax or sigmoid; "output" the model's output as it is.
        precision: "float32", "tf32", "bfloat16" or "float16"; see `attribeval.models.run_options.check_precision`.
        name: What tables and reports call the model; default its Keras name.

    Raises:
        AttribevalError: If the model is no image classifier, or its logits cannot be found.
    """

    def __init__(
        self,
        model: Any,
        *,
        preprocess: str | Callable | None = None,
        target_layer: str | None = None,
        class_names: Sequence[str] | Callable[[], Sequence[str] | None] | None = None,
        score: Literal["logit", "output"] = "logit",
        precision: Precision = "float32",
        name: str | None = None,
    ):
        if not isinstance(model, tf.keras.Model):
            raise AttribevalError(
                f"Expected a Keras 3 model (keras.Model). Received: {type(model).__module__}.{type(model).__name__}. "
                "Rebuild a tf_keras or PyTorch model with Keras 3, or load it with keras.models.load_model."
            )
        if score not in ("logit", "output"):
            raise AttribevalError(f"Expected score 'logit' or 'output'. Received: {score!r}.")
        check_precision(precision)
        self.model = model
        self.name = name or model.name
        self.preprocess = find_preprocessing(preprocess)
        self.score = score
        self.precision = precision
        self._class_names = class_names
        self._functions: dict[Any, Any] = {}
        self._several_devices = False
        self._recording: Recording | None = None
        self.input_shape, self.dtype = _input_of(model)
        self.link: str | None = None
        self.layer_names: list[str] = []
        self.target_layer: str | None = None
        self.target_grid: tuple[int, int] | None = None  # rows and columns, where the target layer gives tokens
        self.classes = self._inspect(target_layer)

    def _inspect(self, target_layer: str | None) -> int:
        """Trace the model once: check its output, find logits and target layer, keep the compiled forward pass."""
        found: dict[str, Any] = {}

        def forward(x):
            if self._recording is None:
                trace = run(self.model, x)
                found["recording"] = Recording(x, trace)
            else:
                trace = self._recording.copy(x, self.precision)
            output = trace.output
            if not tf.is_tensor(output) or output.shape.rank != 2 or output.shape[-1] is None:
                got = [tuple(o.shape) for o in tf.nest.flatten(output)]
                raise AttribevalError(
                    "Expected a classifier with one output of shape (batch, classes). Received a model with output "
                    f"{got[0] if len(got) == 1 else got}: {_remedy(got)}."
                )
            logits, found["link"] = find_logits(output)
            found["layers"] = list(dict.fromkeys(c.name for c in spatial_calls(trace)))
            if "target" not in found:
                wanted = target_layer
                found["target"] = default_target(trace, logits) if wanted is None else find_target_layer(trace, wanted)
            found["classes"] = int(output.shape[-1])
            scores = output if self.score == "output" else logits
            return tf.cast(scores, self.dtype), tf.cast(output, tf.float32)

        self.compiled("forward", forward, self.input_spec)
        self._recording = found["recording"] if found["recording"].can_be_copied else None
        if self.precision in ("bfloat16", "float16"):
            self._lower_precision(forward)
        self.link, self.layer_names, target = found["link"], found["layers"], found["target"]
        if target is not None:
            self.target_layer, self.target_grid = target.path, target.tokens
        if self.score == "logit" and self.link is None:
            self._refuse_hidden_probabilities(found["classes"])
        return found["classes"]

    def _lower_precision(self, forward: Callable) -> None:
        """Let the forward pass, too, run on a copy of the graph whose products are in the lower precision."""
        if self._recording is None:
            raise AttribevalError(
                f"Expected a model without loops or branches for precision={self.precision!r}. Received one with "
                "some (an LSTM?): use 'float32', or build the model under keras.mixed_precision."
            )
        del self._functions["forward"]
        self.compiled("forward", forward, self.input_spec)

    def _refuse_hidden_probabilities(self, classes: int) -> None:
        """Without a visible softmax the output must be logits; probabilities made out of sight are an error."""
        if classes < 2:
            return
        shape = [32 if side is None else side for side in self.input_shape]
        probe = np.random.default_rng(0).uniform(-1, 1, size=(4, *shape)).astype(self.dtype)
        output = np.asarray(self.model(probe, training=False), dtype=np.float64)
        if (output >= 0).all() and np.allclose(output.sum(1), 1.0, atol=1e-3):
            raise AttribevalError(
                "The outputs of this model are probabilities (they are positive and sum to 1), but the softmax that "
                "made them could not be found in its graph, so there are no logits to explain. Pass a model that ends "
                "in logits (e.g. Dense(classes) without activation), or score='output' to explain the probabilities."
            )

    # ----------------------------------------------------------------------------------------- inside a graph

    def trace(self, x: Any, by_keras: bool = False) -> tuple[Trace, Any]:
        """Run the model on a symbolic input; return the trace and the scores (batch, classes) to be explained.

        Copies the recorded graph where that can be done; `tf.gradients` sees a copy, a `tf.GradientTape` does not and
        needs the model to be called (`by_keras`).
        """
        trace = run(self.model, x) if by_keras or self._recording is None else self._recording.copy(x, self.precision)
        scores = trace.output if self.score == "output" else find_logits(trace.output).logits
        return trace, tf.cast(scores, self.dtype)

    def compiled(self, key: Any, build: Callable, *specs: Any) -> Callable:
        """Compile `build` once per `key` and keep it; the batch size stays free, so nothing is traced twice.

        Args:
            key: Hashable; names what is computed.
            build: A function of tensors, traced inside a graph (there `trace` may be called).
            specs: One `tf.TensorSpec` per argument.
        """
        if key not in self._functions:
            with _building, devices.nowhere():
                if key not in self._functions:  # otherwise another thread was quicker
                    self._functions[key] = self._built(build, specs)
        return self._functions[key]

    def _built(self, build: Callable, specs: tuple[Any, ...]) -> Callable:
        # The concrete function: called directly, it does not count towards TensorFlow's retracing warnings.
        function = tf.function(build, input_signature=specs, autograph=False).get_concrete_function()
        if self._several_devices:
            devices.ask_for_weights(function)
        return with_run_options(function, self.precision)

    def use_several_devices(self) -> None:
        """From now on the compiled functions take the weights that `devices.Copies.on` says."""
        with _building:
            if not self._several_devices:
                self._several_devices = True
                for compiled in self._functions.values():
                    devices.ask_for_weights(compiled.function)

    @property
    def input_spec(self) -> Any:
        """The `tf.TensorSpec` of a batch of inputs, batch size free."""
        return tf.TensorSpec([None, *self.input_shape], self.dtype)

    @property
    def _raw_spec(self) -> Any:
        return tf.TensorSpec([None, *self.input_shape], tf.float32)

    # ------------------------------------------------------------------------------------------ on real batches

    def prepare(self, raw: np.ndarray) -> Any:
        """Turn raw images (N, H, W, C) into the model's input, a tensor of its dtype; the array is not changed.

        Raises:
            AttribevalError: If the preprocessing changes the shape or returns values that are not finite.
        """
        if isinstance(self.preprocess, Preprocessing):  # on the device; a pure function that keeps the shape
            return self.compiled("prepare", lambda raw: tf.cast(self.preprocess(raw), self.dtype), self._raw_spec)(raw)
        x = raw if self.preprocess is None else self.preprocess(np.array(raw, dtype=np.float32))
        x = tf.convert_to_tensor(np.asarray(x) if not tf.is_tensor(x) else x)
        x = tf.cast(x, self.dtype)
        if self.preprocess is not None and tuple(x.shape) != tuple(raw.shape):
            raise AttribevalError(
                f"Expected preprocess to keep the shape {tuple(raw.shape)}. Received: {tuple(x.shape)}."
            )
        return x

    def restore_channels(self, maps: np.ndarray) -> np.ndarray:
        """Maps in the channel order of the raw images (see `Preprocessing.restore_channels`)."""
        restore = getattr(self.preprocess, "restore_channels", None)
        return maps if restore is None else restore(maps)

    def forward(self, x: Any) -> tuple[Any, Any]:
        """One forward pass of model inputs (B, H, W, C).

        Returns:
            The scores to be explained, (B, classes): logits unless `score="output"`; and the model's output as it
            is, float32 (B, classes).
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

    # -------------------------------------------------------------------------------------------------- names

    @property
    def class_names(self) -> list[str] | None:
        """Names by class index, or None if they are not known."""
        if callable(self._class_names):
            self._class_names = self._class_names()
        return None if self._class_names is None else list(self._class_names)

    @class_names.setter
    def class_names(self, names: Sequence[str] | None) -> None:
        if names is not None and len(names) != self.classes:
            raise AttribevalError(f"Expected {self.classes} class names. Received: {len(names)}.")
        self._class_names = names


def _remedy(shapes: list[tuple[int | None, ...]]) -> str:
    """What makes a classifier of a model with outputs of these shapes."""
    if len(shapes) > 1:
        return "pass a model with one head, keras.Model(model.inputs, model.outputs[0])"
    if len(shapes[0]) > 2 and set(shapes[0][1:-1]) == {1}:
        return "add keras.layers.Flatten() behind it, keras.Sequential([model, keras.layers.Flatten()])"
    return "add pooling and a Dense layer"


def _input_of(model: Any) -> tuple[tuple[int | None, int | None, int], str]:
    """Shape without the batch, and dtype, of the model's one image input."""
    inputs = getattr(model, "inputs", None)
    # A subclassed model has no inputs, but Keras remembers the shape that it was built with.
    shape = model.input_shape if inputs else (model.get_build_config() or {}).get("input_shape")
    if shape is None:
        raise AttribevalError(
            "Expected a built model. Received one that has never seen an input: call it once on an image, or "
            "model.build((None, height, width, channels))."
        )
    if isinstance(shape, dict) or (isinstance(shape, (list, tuple)) and isinstance(shape[0], (list, tuple))):
        raise AttribevalError(f"Expected a model with one input. Received inputs of shapes {shape}.")
    shape = tuple(shape)
    if len(shape) != 4 or shape[-1] is None:
        raise AttribevalError(
            f"Expected an image input (batch, height, width, channels), channels last. Received: {shape}."
        )
    dtype = tf.keras.backend.standardize_dtype(inputs[0].dtype) if inputs else model.variable_dtype
    return shape[1:], dtype if dtype in ("float32", "float64") else "float32"
