"""A map that is 0 everywhere looks like a map where it is drawn: it is worth a word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from attribeval.methods.card import Method

_BASELINES = ("baseline", "reference", "references", "fill", "blur")  # options that say what is compared with
_STEP = 101
_NAMED = 3  # so many images and classes are named


def remark_on_zeros(
    label: str,
    method: Method,
    values: np.ndarray,
    targets: np.ndarray,
    layer: str | None,
    class_names: Sequence[str] | None = None,
) -> str | None:
    """A sentence on maps whose values are all 0: how many, which, of which class, and what to do; None: there are none.

    What a wrapper wraps says which sentence fits. `layer` is the model's target layer, which class activation maps look
    at unless they were given another.
    """
    if method.card.family == "control":
        return None
    flat = values.reshape(len(values), -1)
    empty = np.flatnonzero(~flat[:, ::_STEP].any(axis=1))  # a few values tell of nearly every map that it is not empty
    empty = empty[~flat[empty].any(axis=1)]
    if not empty.size:
        return None
    base: Any = method
    while hasattr(base, "base"):
        base = base.base
    which = "" if len(empty) == len(values) else f" (number{'s' * (len(empty) > 1)} {_list(empty.tolist())})"
    classes = [_named(target, class_names) for target in np.unique(targets[empty])]
    found = f"{label} is 0 everywhere in {len(empty)} of {len(values)} maps{which}, for target {_list(classes)}"
    if base.card.family == "cam":
        return (
            f"{found}, at layer {getattr(base, 'layer', None) or layer!r}: no cell there speaks for the class, which "
            "is no statement about places. Explain another class (targets=), look at another layer (layer=), or use "
            "a method that also shows what speaks against the class, such as 'integrated_gradients'."
        )
    options = [name for name in _BASELINES if hasattr(base, name)]
    other = f", compare with something else ({' or '.join(f'{name}=' for name in options)})" if options else ""
    return (
        f"{found}: nothing that the method asks about changes the score, which is no statement about places. Explain "
        f"another class (targets=){other}, and look at the scores themselves (answer(images)) and at the pixel range."
    )


def _named(target: int, class_names: Sequence[str] | None) -> str:
    if class_names is None or not 0 <= target < len(class_names):
        return str(target)
    return f"{target} ({class_names[target]!r})"


def _list(items: Sequence) -> str:
    return ", ".join(str(item) for item in items[:_NAMED]) + (" and others" if len(items) > _NAMED else "")
