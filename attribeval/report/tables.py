"""A result's table as a file of its own: for spreadsheets, programs and papers."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attribeval.errors import AttribevalError
from attribeval.files import write_bytes
from attribeval.report.latex import latex_table
from attribeval.report.markdown import markdown_table
from attribeval.report.views import best_cells, notes, places_of, shown_table
from attribeval.results.numbers import missing

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.results.result import Result


def write_table(result: Result, path: str | os.PathLike, columns: Sequence[str] | None = None) -> Path:
    """Write the table to one file, atomically; the ending of its name says how.

    Args:
        result: Of any benchmark.
        path: Its folder is made if it is missing. `.csv`: every number in full, what is missing empty. `.json`: an
            object with benchmark, settings, summary, command and `records`, one per row; what is missing is null, and
            infinities are the texts "Infinity" and "-Infinity", as JSON has none. `.parquet`: typed columns; settings,
            summary and command are in the metadata, and in `attrs` of `pandas.read_parquet`. `.tex`: a LaTeX table,
            see `latex.latex_table`. `.md`: a Markdown table. The last two are formatted for reading, as on the page,
            with the best method of each column in bold and notes that say what marks mean.
        columns: Those wanted, in this order: for `.tex` and `.md` by their headings on the page ("MaxBoxAcc"), else by
            their names in `result.table`. None: all.

    Returns:
        The path.

    Raises:
        AttribevalError: If the ending is another, there is no such column, pyarrow is missing, or Parquet cannot store
            a column.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in _WRITERS:
        raise AttribevalError(f"Expected a file that ends in {', '.join(_WRITERS)}. Received: {str(path)!r}.")
    content = _WRITERS[ending](result, columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content)
    return path


def _about(result: Result) -> dict[str, Any]:
    return {
        "benchmark": result.benchmark,
        "settings": result.settings,
        "summary": list(result.summary),
        "command": result.command,
    }


def _chosen(result: Result, columns: Sequence[str] | None) -> pd.DataFrame:
    return result.table.iloc[:, places_of(columns, list(map(str, result.table.columns)))]


def _csv(result: Result, columns: Sequence[str] | None) -> bytes:
    return _chosen(result, columns).to_csv(index=False).encode()


def _json(result: Result, columns: Sequence[str] | None) -> bytes:
    table = _chosen(result, columns)
    names = [str(name) for name in table.columns]
    rows = table.itertuples(index=False, name=None)
    records = [{name: _plain(value) for name, value in zip(names, row, strict=True)} for row in rows]
    text = json.dumps(_about(result) | {"records": records}, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace")


def _plain(value: Any) -> Any:
    """A value of a table as JSON has it."""
    if missing(value):
        return None
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value if isinstance(value, bool | int | float | str) else str(value)


def _parquet(result: Result, columns: Sequence[str] | None) -> bytes:
    try:
        import pyarrow
    except ImportError as error:
        raise AttribevalError(
            "Parquet is written by pyarrow. It is not installed: pip install 'attribeval[parquet]', or write .csv."
        ) from error
    table = _chosen(result, columns).copy()
    table.attrs = json.loads(json.dumps(_about(result)))
    try:
        return table.to_parquet(None, engine="pyarrow", index=False)
    except (pyarrow.ArrowException, TypeError, ValueError) as error:
        raise AttribevalError(
            f"Expected columns of one type each, as Parquet stores them. Received: {error}. Write .json instead."
        ) from error


def _for_paper(result: Result, columns: Sequence[str] | None, lay_out: Callable[..., str], brackets: str) -> bytes:
    shown = shown_table(result, columns)
    best = best_cells(result, shown)
    return lay_out(shown, best, notes(result, shown, bool(best), brackets)).encode("utf-8", "backslashreplace")


_WRITERS: dict[str, Callable[[Any, Any], bytes]] = {
    ".csv": _csv,
    ".json": _json,
    ".parquet": _parquet,
    ".tex": partial(_for_paper, lay_out=latex_table, brackets="brackets"),
    ".md": partial(_for_paper, lay_out=markdown_table, brackets="parentheses"),
}
