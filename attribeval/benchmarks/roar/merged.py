"""A grid that grows: what a run directory holds, and what it is asked for now."""

from __future__ import annotations

import dataclasses
from typing import Any

from attribeval.benchmarks.roar.grid import Grid
from attribeval.errors import AttribevalError

_SIZE = ("estimators", "modes", "repeats", "controls")  # what may grow


def merged(grid: Grid, other: Grid) -> Grid:
    """A grid, grown to hold `other` too, if they are of one kind."""
    mine, theirs = grid.to_json(), other.to_json()
    lines = []
    for name in mine:
        if name not in _SIZE:
            lines += _differences(name, mine[name], theirs[name])
    known = {e.label: e for e in grid.estimators}
    for estimator in other.estimators:
        if known.setdefault(estimator.label, estimator) != estimator:
            lines.append(f"estimator {estimator.label}: {known[estimator.label].text!r} ↔ {estimator.text!r}")
    if lines:
        raise AttribevalError(
            "Expected the grid that this run directory holds. Received another one (there ↔ here): "
            f"{'; '.join(lines)}. Choose another run_dir, or delete this one to start again."
        )
    return dataclasses.replace(
        grid,
        estimators=tuple(known.values()),
        modes=tuple(dict.fromkeys(grid.modes + other.modes)),  # the first one, which controls use, stays the first
        repeats=max(grid.repeats, other.repeats),
        controls=tuple(dict.fromkeys(grid.controls + other.controls)),
    )


def _differences(name: str, there: Any, here: Any) -> list[str]:
    """What differs, down to the entries of dictionaries; long ones (an architecture) by their hash."""
    if there == here or (isinstance(there, dict) and "hash" in there and there["hash"] == here.get("hash")):
        return []
    if not (isinstance(there, dict) and isinstance(here, dict)):
        return [f"{name}: {there!r} ↔ {here!r}"]
    lines = []
    for key in {**there, **here}:
        if key == "hash" or (key != "architecture" and there.get(key) == here.get(key)):
            continue
        shown = (there.get("hash"), here.get("hash")) if key == "architecture" else (there.get(key), here.get(key))
        lines.append(f"{name}.{key}: {shown[0]!r} ↔ {shown[1]!r}")
    return lines
