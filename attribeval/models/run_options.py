"""How TensorFlow's graph optimiser may treat a compiled function, set for the calls of that function alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from attribeval import _tf as tf
from attribeval.errors import AttribevalError

Precision = Literal["float32", "bfloat16"]


@contextmanager
def _set(options: dict[str, bool]) -> Iterator[None]:
    """Set options of the graph optimiser in the block, and put them back to what they were."""
    before = tf.config.optimizer.get_experimental_options()
    defaults = {"remapping": True}
    tf.config.optimizer.set_experimental_options(options)
    try:
        yield
    finally:
        kept = {name: before.get(name, defaults.get(name, False)) for name in options}
        tf.config.optimizer.set_experimental_options(kept)


def with_run_options(function: Any, precision: Precision) -> Callable:
    """Make a compiled function run in a precision, and right.

    Args:
        function: A concrete function.
        precision: "float32"; or "bfloat16", which lets oneDNN compute convolutions and matrix products in bfloat16
            (about three significant digits); weights and results stay float32. It pays on CPUs with AMX tiles; on those
            that only have AVX512 instructions for it, it is slower than float32 (`benchmarks/attribution/precision.py`
            measures both, and the rank correlation that it costs).

    Returns:
        The function, or one that calls it with the options that it needs.

    Raises:
        AttribevalError: If the precision is unknown.
    """
    if precision not in ("float32", "bfloat16"):
        raise AttribevalError(f"Expected precision 'float32' or 'bfloat16'. Received: {precision!r}.")
    options = {}
    if precision == "bfloat16":
        options["auto_mixed_precision_onednn_bfloat16"] = True
    if any(op.type == "LeakyRelu" for op in function.graph.get_operations()):
        # TensorFlow 2.21 on the CPU fuses convolution + bias + add + LeakyReLU and computes it with slope 0.2,
        # whatever slope was asked for.
        options["remapping"] = False
    if not options:
        return function

    def call(*arguments: Any) -> Any:
        with _set(options):
            return function(*arguments)

    call.graph = function.graph  # some methods read the operations
    return call
