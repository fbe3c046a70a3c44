"""How TensorFlow may compute inside our calls, set for them alone: with TF32 or without, what its optimiser fuses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

from attribeval import _tf as tf
from attribeval.errors import AttribevalError, unknown

Precision = Literal["float32", "tf32", "bfloat16", "float16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "tf32", "bfloat16", "float16")
_CALLS = {"PartitionedCall", "StatefulPartitionedCall"} | {
    state + name for name in ("If", "While", "Case") for state in ("", "Stateless")
}
_AMPERE = (8, 0)  # the first compute capability with TF32 and bfloat16


def check_precision(precision: Precision) -> None:
    """Refuse a precision that is unknown, or that this machine's device does not have.

    Args:
        precision: "float32": true float32, also where the process lets matrix products round to TF32. "tf32":
            convolutions and matrix products of GPUs round their inputs to 10 bits of mantissa. "bfloat16" (7 bits) and
            "float16" (10 bits, and numbers below 6e-5 lose digits): convolutions and matrix products take their inputs
            in that type and give float32 back; weights, sums and maps stay float32.

    Raises:
        AttribevalError: With the precisions that this device has.
    """
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    gpus = tf.config.list_physical_devices("GPU")
    if precision == "tf32" and not gpus:
        raise AttribevalError("Expected a GPU for precision='tf32'. Received a CPU, which has none: use 'float32'.")
    if precision in ("tf32", "bfloat16"):
        for gpu in gpus:
            details = tf.config.experimental.get_device_details(gpu)
            if details.get("compute_capability", _AMPERE) < _AMPERE:
                raise AttribevalError(
                    f"Expected a GPU of compute capability 8.0 or newer for precision={precision!r}. Received: "
                    f"{details.get('device_name', gpu.name)}, {details['compute_capability']}: use 'float32' or "
                    "'float16'."
                )


@contextmanager
def tf32(on: bool) -> Iterator[None]:
    """Let GPUs round to TF32 in the block, or not, and put the process's own setting back.

    The setting is the process's: of two threads that want different ones at the same time, one does not get its own.
    """
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    if before == on:
        yield
        return
    tf.config.experimental.enable_tensor_float_32_execution(on)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


class _Unfused:
    """Keeps the graph optimiser from fusing operations in a block; the last of several threads puts it back."""

    def __init__(self):
        self._lock, self._inside, self._before = threading.Lock(), 0, True

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = tf.config.optimizer.get_experimental_options().get("remapping", True)
            self._inside += 1
            tf.config.optimizer.set_experimental_options({"remapping": False})  # each thread has to say so itself

    def __exit__(self, *error: Any) -> None:
        with self._lock:
            self._inside -= 1
            tf.config.optimizer.set_experimental_options({"remapping": self._before and not self._inside})


_unfused = _Unfused()


def _has(graph: Any, kind: str) -> bool:
    """Whether a graph has an operation of a kind, also in the functions, loops and branches that it calls."""
    kinds = {op.type for op in graph.get_operations()}
    if kind in kinds or not kinds & _CALLS:
        return kind in kinds
    library = graph.as_graph_def().library.function
    return any(node.op == kind for function in library for node in function.node_def)


class Ready:
    """A compiled function that runs right.

    Attributes:
        function: The concrete function.
        graph: Its graph, of which some methods read the operations.
    """

    def __init__(self, call: Callable, function: Any):
        self._call = call
        self.function, self.graph = function, function.graph

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)


def with_run_options(function: Any, precision: Precision) -> Ready:
    """Make a compiled function run in a precision, and right.

    Args:
        function: A concrete function.
        precision: See `check_precision`. What "bfloat16" and "float16" change is in the function's graph.

    Returns:
        A function that calls it with the options that it needs; its `function` is the one given, its `graph` the graph.
    """
    # TensorFlow 2.21 on the CPU fuses convolution + bias + add + LeakyReLU and computes it with slope 0.2, whatever
    # slope was asked for.
    leaky = _has(function.graph, "LeakyRelu")

    def call(*arguments: Any) -> Any:
        with ExitStack() as options:
            options.enter_context(tf32(precision == "tf32"))
            if leaky:
                options.enter_context(_unfused)
            return function(*arguments)

    return Ready(call, function)
