"""What a study says of how its results are shown. Pages, terminals, notebooks and papers know no more than this."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from attribeval.benchmarks.registry import part
from attribeval.errors import AttribevalError
from attribeval.results.numbers import Unit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from attribeval.results.result import Result

Better = str | Mapping[str, str]


@dataclass(frozen=True)
class Column:
    """A column of the table as it is shown.

    Attributes:
        unit: How its numbers are written. None: as plain numbers.
        better: "high" or "low": which numbers are better; one of them by the row's mode; "" if none is.
        main: Whether it is shown on a page without being asked for.
    """

    unit: Unit | None = None
    better: Better = ""
    main: bool = True


@dataclass(frozen=True)
class View:
    """How results of a study are shown.

    Attributes:
        title: Heading of its section on a page.
        columns: Result → columns by heading, which is the metric where a table has a row per method and metric.
        rows: Column of the tidy table that says what is compared.
        scores: Column that says by which score.
        others_main: Whether columns that are not among these are shown on a page without being asked for.
        table: Result → the table to show, beside the tidy one that is kept. A value stands before its "low" and "high".
        terminal: (result, characters or None) → the table for a terminal. None: the same table, laid out as text.
        plot: Result → its picture; None: it has none.
        pictures: Result → further pictures by title.
        figures: The figures of the study's paper by their number there.
        notes: What marks in the cells mean.
        file: Name of the picture's file, without ending.
        page: Title of a page about one result; "" is `title`.
        unshown: Settings that a page leaves out, as table and pictures show them.
    """

    title: str
    columns: Callable[[Result], Mapping[str, Column]] = lambda result: {}
    rows: str = "method"
    scores: str = "metric"
    others_main: bool = True
    table: Callable[[Result], pd.DataFrame] = lambda result: result.table
    terminal: Callable[[Result, int | None], str] | None = None
    plot: Callable[[Result], Figure] | None = None
    pictures: Callable[[Result], dict[str, Figure]] = lambda result: {}
    figures: Mapping[str, Callable[[Result], Figure]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    file: str = "plot"
    page: str = ""
    unshown: Collection[str] = ()


def view_of(result: Result) -> View:
    """What the study says that `benchmark` names; of a result of an unknown one, that its table is shown as it is."""
    module = part(result.benchmark, "view")
    if module is None:
        return View(result.benchmark)
    found = getattr(module, "VIEWS", {}).get(result.benchmark)
    if not isinstance(found, View):
        raise AttribevalError(
            f"Expected VIEWS[{result.benchmark!r}] to be a View in {module.__name__}. Received: {found!r}."
        )
    return found
