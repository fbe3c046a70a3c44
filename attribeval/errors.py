"""The one error that users of attribeval are meant to see, and the wording it has."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AttribevalError(ValueError):
    """Bad input or an impossible request; the message names the item and the remedy."""


def unknown(kind: str, name: str, known: Iterable[str]) -> AttribevalError:
    """Return the error for a name that is not in a registry.

    Args:
        kind: What the name should have been, in the singular ("method", "option of gradcam").
        name: The name that was given.
        known: Every valid name.

    Returns:
        An `AttribevalError` that lists the nearest names first, then all of them.

    Example:
        >>> print(unknown("method", "gradcan", ["gradcam", "lime"]))
        Unknown method: 'gradcan'. Did you mean 'gradcam'? Valid names: gradcam, lime.
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    listed = ", ".join(known) if known else "none"
    return AttribevalError(f"Unknown {kind}: {name!r}.{hint} Valid names: {listed}.")
