"""Where on the image the entries of a tensor lie: axis by axis, from the input to every tensor of a graph.

Reshapes and transposes are bookkeeping: an axis is a product of units, each of which counts steps down the image,
across it, or over channels. So (batch, 14 · 14, channels) still knows its rows and columns, and (batch, width, height,
channels) is not taken for a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard, TypeVar

ROWS, COLUMNS = "rows", "columns"
T = TypeVar("T")


@dataclass(frozen=True)
class Unit:
    """One factor of an axis.

    Attributes:
        of: "batch", "channels", "rows" or "columns" of the image, or "tokens": extra tokens, then a picture.
        size: How many steps; None: not known before the model runs.
        step: Pixels of the image from one to the next, for rows and columns.
        start: Pixel on which the first is centred (0 is the centre of the first pixel); None: not known.
        extra: For tokens: how many stand before the picture.
        inside: For tokens: the units of the picture.
    """

    of: str
    size: int | None
    step: float = 0.0
    start: float | None = 0.0
    extra: int = 0
    inside: tuple[Unit, ...] = ()

    @property
    def placed(self) -> bool:
        return self.of in (ROWS, COLUMNS)


Axis = tuple[Unit, ...]  # the first unit turns slowest; () has one entry
Axes = tuple[Axis | None, ...]  # None: nothing is known about an axis


@dataclass(frozen=True)
class Grid:
    """How a tensor is a picture.

    Attributes:
        rows, columns: Its cells: how many, how far apart on the image, and where they begin.
        extra: Tokens before the picture (class token, registers); None: the tensor is (batch, h, w, channels) already.
    """

    rows: Unit
    columns: Unit
    extra: int | None = None

    def picture(self, tensor: Any) -> Any:
        """The picture (B, h, w, channels) in a tensor laid out like this one."""
        from attribeval import _tf as tf

        if self.extra is None:
            return tensor
        return tf.reshape(tensor[:, self.extra :], [-1, self.rows.size, self.columns.size, tensor.shape[-1]])


def image_axes(shape: Sequence[int | None]) -> Axes:
    """Axes of the input, (batch, height, width, channels)."""
    _, height, width, channels = shape
    return ((Unit("batch", None),), (Unit(ROWS, height, 1.0),), (Unit(COLUMNS, width, 1.0),), channel_axis(channels))


def channel_axis(size: int | None) -> Axis:
    return (Unit("channels", size),)


def has_places(axis: Axis | None) -> bool:
    return axis is not None and any(unit.placed or unit.of == "tokens" for unit in axis)


def all_known(values: Sequence[T | None]) -> TypeGuard[Sequence[T]]:
    """Whether none of several is None."""
    return None not in values


def grid_of(axes: Axes) -> Grid | None:
    """The grid of a picture of more than one row and column, or of tokens that are one; None for anything else."""
    if len(axes) not in (3, 4) or not all_known(axes) or [unit.of for unit in axes[0]] != ["batch"]:
        return None
    if any(unit.of in ("batch", "tokens") for unit in axes[-1]):
        return None
    extra: int | None = None
    places = tuple(unit for axis in axes[1:-1] for unit in merged(axis))
    if len(axes) == 3:
        extra = 0
        if len(places) == 1 and places[0].of == "tokens":
            extra, places = places[0].extra, places[0].inside
    if [unit.of for unit in places] != [ROWS, COLUMNS] or any(unit.size in (0, 1) for unit in places):
        return None
    if len(axes) == 4 and len(merged(axes[1])) != 1:
        return None
    rows, columns = _centred(places, axes[-1])
    return Grid(rows, columns, extra)


def centred(axes: Axes, lost: Axis) -> Axes:
    """Axes whose entries now stand for all of the places of an axis that was summed over: they lie at its middle."""
    return tuple(None if axis is None else _centred(axis, lost) for axis in axes)


def _centred(axis: Axis, lost: Axis) -> Axis:
    for unit in lost:
        if unit.placed:
            axis = tuple(_further(one, unit) for one in axis)
    return axis


def _further(unit: Unit, lost: Unit) -> Unit:
    if unit.of != lost.of:
        return unit
    if unit.start is None or lost.size is None:
        return replace(unit, start=None)
    return replace(unit, start=unit.start + (lost.size - 1) / 2 * lost.step)


def merged(axis: Axis) -> Axis:
    """The same axis in fewer units: 8 steps of 28 pixels, then 7 of 4 are 56 steps of 4."""
    units: list[Unit] = []
    for unit in axis:
        last = units[-1] if units else None
        size = None if last is None or last.size is None or unit.size is None else last.size * unit.size
        if last is not None and last.of == unit.of == "channels" and size is not None:
            units[-1] = replace(unit, size=size)
        elif last is not None and last.of == unit.of and unit.placed and last.step == unit.step * (unit.size or 0):
            start = None if last.start is None or unit.start is None else last.start + unit.start
            units[-1] = replace(unit, size=size, start=start)
        elif unit.size != 1 or unit.of != "channels":
            units.append(unit)
    return tuple(units)


def reshaped(axes: Axes, shape: Sequence[int | None]) -> Axes:
    """Axes after a reshape to a shape of which one size may be unknown."""
    unknown = (None,) * len(shape)
    if not all_known(axes) or list(shape).count(None) > 1:
        return unknown
    units = [unit for axis in axes for unit in axis if unit.size != 1]
    free = list(shape).index(None) if None in shape else -1
    right: list[Axis] = []
    for size in reversed(shape[free + 1 :]):
        taken = None if size is None else _take_last(units, size)
        if taken is None:
            return unknown
        right.insert(0, taken)
    left: list[Axis] = []
    for size in shape[: max(free, 0)]:
        units.reverse()
        mirrored = None if size is None else _take_last(units, size, reverse=True)
        units.reverse()
        if mirrored is None:
            return unknown
        left.append(mirrored)
    if free < 0:
        return tuple(right) if not units else unknown
    return (*left, tuple(units), *right)


def _take_last(units: list[Unit], size: int, reverse: bool = False) -> Axis | None:
    """Take units worth `size` from the end of a list, splitting one where it must be; None: they do not fit."""
    taken: list[Unit] = []
    worth = 1
    while worth < size:
        if not units:
            return None
        need, unit = size // worth, units.pop()
        has = unit.size
        if has is None:
            return None
        worth *= min(has, need)
        if has > need:
            if need == 1 or unit.of == "tokens" or has % need:
                return None
            within = has // need if reverse else need
            outer = replace(unit, size=has // within, step=unit.step * within)
            inner = replace(unit, size=within, start=0.0)
            rest, unit = (inner, outer) if reverse else (outer, inner)
            units.append(rest)
        taken.append(unit) if reverse else taken.insert(0, unit)
    return tuple(taken) if worth == size else None


def cut(axis: Axis | None, begin: int, step: int, size: int | None, whole: int | None) -> Axis | None:
    """An axis of which every `step`-th entry from `begin` is kept, `size` of `whole` in all."""
    if axis is None or (begin == 0 and step == 1 and size == whole):
        return axis
    units = merged(axis)
    if not has_places(units):
        return channel_axis(size) if not any(unit.of == "batch" for unit in units) else None
    if len(units) != 1 or step < 1:
        return None
    (unit,) = units
    if unit.placed:
        start = None if unit.start is None else unit.start + begin * unit.step
        return (replace(unit, size=size, step=unit.step * step, start=start),)
    if step == 1 and size is not None and begin + size <= unit.extra:
        return channel_axis(size)
    if step == 1 and begin <= unit.extra and size is not None and begin + size == unit.size:
        left = unit.extra - begin
        return (replace(unit, size=size, extra=left),) if left else unit.inside
    return None


def joined(parts: Sequence[Axis | None], sizes: Sequence[int | None]) -> Axis | None:
    """One axis from several, end to end: channels, or tokens and then a picture."""
    placed = [k for k, part in enumerate(parts) if has_places(part)]
    if not all_known(sizes) or not all_known(parts) or len(placed) > 1:
        return None
    if not placed:
        return channel_axis(sum(sizes))
    (k,) = placed
    units, extra = merged(parts[k]), sum(sizes[:k])
    if k != len(parts) - 1:
        return None
    if len(units) == 1 and units[0].of == "tokens":
        return (replace(units[0], size=sum(sizes), extra=units[0].extra + extra),)
    return (Unit("tokens", sum(sizes), extra=extra, inside=units),)


def met(parts: Sequence[Axis]) -> Axis:
    """One axis for values that meet at the same entries; where they are centred on different pixels, between them."""
    placed = [part for part in parts if has_places(part)]
    first = (placed or list(parts))[0]
    same = [part for part in placed if _starts_apart(part) == _starts_apart(first)]
    return tuple(_mean_start([part[k] for part in same]) for k in range(len(first))) if len(same) > 1 else first


def _starts_apart(axis: Axis) -> list[Unit]:
    return [replace(unit, start=0.0) for unit in axis]


def _mean_start(units: Sequence[Unit]) -> Unit:
    starts = [unit.start for unit in units]
    return replace(units[0], start=sum(starts) / len(starts) if all_known(starts) else None)
