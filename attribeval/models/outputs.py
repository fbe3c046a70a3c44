"""Which of a model's outputs is explained, by name or number."""

from __future__ import annotations

from typing import Any

from attribeval import _tf as tf
from attribeval.errors import AttribevalError


def select_output(model: Any, outputs: Any, wanted: str | int | None) -> Any:
    """One output of a model.

    Args:
        model: The model, which knows the names of a list of outputs.
        outputs: What it returned: a tensor, or a list, tuple or dictionary of tensors.
        wanted: Name or number of one; None where there is only one.

    Returns:
        The tensor (batch, units).

    Raises:
        AttribevalError: If there is no such output, several and none is named, or its shape is another one.
    """
    named = _by_name(model, outputs)
    if wanted is None and len(named) != 1:
        raise AttribevalError(
            f"Expected a model with one output, or output= to name one of several. Received outputs {_listed(named)}: "
            f"pass output={next(iter(named), 0)!r}, or score=function of all of them."
        )
    if isinstance(wanted, str) and wanted not in named:
        raise AttribevalError(f"Expected output to name one of {_listed(named)}. Received: {wanted!r}.")
    if isinstance(wanted, int) and not 0 <= wanted < len(named):
        raise AttribevalError(f"Expected output from 0 to {len(named) - 1}: {_listed(named)}. Received: {wanted}.")
    chosen = named[wanted] if isinstance(wanted, str) else list(named.values())[wanted or 0]
    if not tf.is_tensor(chosen) or chosen.shape.rank != 2 or chosen.shape[-1] is None:
        got = tuple(chosen.shape) if tf.is_tensor(chosen) else type(chosen).__name__
        flat = isinstance(got, tuple) and len(got) > 2 and set(got[1:-1]) == {1}
        add = "keras.layers.Flatten() behind it, keras.Sequential([model, keras.layers.Flatten()])"
        raise AttribevalError(
            f"Expected a classifier's output, of shape (batch, classes). Received output {got}: add "
            f"{add if flat else 'pooling and a Dense layer'}, name another output with output=, or say with "
            "score=function what of the outputs is to be explained, (batch,) or (batch, K); attribeval.scores has "
            "functions for maps, boxes and embeddings."
        )
    return chosen


def _by_name(model: Any, outputs: Any) -> dict[str, Any]:
    """Outputs by name, in their order; those without a name by their number."""
    if isinstance(outputs, dict):
        return {str(name): output for name, output in outputs.items()}
    if not isinstance(outputs, (list, tuple)):
        return {"0": outputs}
    try:
        names = list(model.output_names)
    except (AttributeError, ValueError):  # subclassed models have none
        names = []
    known = len(set(names)) == len(outputs) == len(names)
    return dict(zip(names if known else map(str, range(len(outputs))), outputs, strict=True))


def _listed(named: dict[str, Any]) -> str:
    return ", ".join(f"{name!r} {tuple(getattr(output, 'shape', ()))}" for name, output in named.items())
