"""What a method cannot pass, said in the words of the model: layers, not operations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attribeval.errors import AttribevalError
from attribeval.models.propagation.graph import NoRule
from attribeval.models.trace import Trace

_LOOPS = frozenset({"While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase", "TensorListStack"})


@contextmanager
def refusing(method: str, trace: Trace) -> Iterator[None]:
    """Turn an operation without a rule into an error that names the layer it is in.

    Args:
        method: Name of the method.
        trace: The run whose graph is read in the block.

    Raises:
        AttribevalError: If there is such an operation.
    """
    try:
        yield
    except NoRule as error:
        op = error.op
        layer = layer_of(trace, op)
        where = f"in layer {layer!r}" if layer else "outside the model's layers"
        kind = "a loop or branch" if op.type in _LOOPS else f"the operation {op.type!r}"
        raise AttribevalError(
            f"Expected a model of operations that {method} has rules for. Received {kind} {where} ({op.name})"
            f"{error.why}, where {method} has none and the plain gradient would be silently wrong. Use a method that "
            "needs gradients only, such as 'integrated_gradients', or the model's answers only, such as 'rise'."
        ) from None


def layer_of(trace: Trace, op: Any) -> str | None:
    """The path of the innermost layer that made an operation; None: none did.

    A layer's name is a scope of its operations' names, with a number behind it, so that "conv_1" may be the first
    layer's second scope or the second layer's first: the layer that finishes first after the operation has made it.

    Args:
        trace: The run.
        op: An operation of its graph.
    """
    order = {known.name: k for k, known in enumerate(op.graph.get_operations())}
    scopes = op.name.split("/")[:-1]
    calls = [call for call in trace.calls if order.get(call.output.op.name, -1) >= order[op.name]]
    for paths in ([call.path for call in calls], [path for path, _ in trace.finished]):
        within = [path for path in paths if _within(path.split("/"), scopes)]
        if within:
            return max(within, key=lambda path: path.count("/"))  # the first of the innermost
    return None


def _within(path: list[str], scopes: list[str]) -> bool:
    """Whether the names of a path are scopes one after the other, numbers behind them aside."""
    starts = range(len(scopes) - len(path) + 1)
    fits = re.compile("/".join(re.escape(name) + r"(_\d+)*" for name in path)).fullmatch
    return any(fits("/".join(scopes[k : k + len(path)])) for k in starts)
