"""One policy for what fails in a study: a reason in its row, the others go on, and the next run tries it again.

Only errors of a part, a method on some images or a metric, are caught here. A full disk, Ctrl-C and SIGTERM end a run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from attribeval.errors import AttribevalError
from attribeval.files import is_disk_full
from attribeval.results.numbers import listed

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.results.result import Result

Item = TypeVar("Item")
Made = TypeVar("Made")

COLUMN = "error"  # of every study's table: why a row lacks scores, of all or of some images; "" where it does not
AGAIN = "The next run of this directory tries it again."
_IMAGES = r"^images? \S+(?: to \S+)?: "  # as `of_images` writes it
_LONGEST = 300  # characters of a reason in a sentence


def reason_of(error: Exception, strict: bool = False) -> str:
    """What a row says of an error; raised if it must end the run, as any must if `strict`, and a full disk."""
    if is_disk_full(error):
        raise error
    text = " ".join(str(error).split())
    if not isinstance(error, AttribevalError):
        text = f"{type(error).__name__}: {text[:_LONGEST]}" if text else type(error).__name__
    if strict:
        raise AttribevalError(f"{text} (strict: a part that fails ends the run)") from error
    return text


def each(
    work: Callable[[dict[str, Item]], Mapping[str, Made]], items: Mapping[str, Item], strict: bool = False
) -> tuple[dict[str, Made], dict[str, str]]:
    """Work on all items together, and on one after the other where that fails, so that none takes others with it.

    What was made, and the reasons of what failed, by label. `strict`: see `reason_of`.
    """
    if not items:
        return {}, {}
    try:
        return dict(work(dict(items))), {}
    except Exception as error:
        if len(items) == 1 or strict or is_disk_full(error):
            return {}, dict.fromkeys(items, reason_of(error, strict))
    made: dict[str, Made] = {}
    failed: dict[str, str] = {}
    for label, item in items.items():
        one, why = each(work, {label: item}, strict)
        made |= one
        failed |= why
    return made, failed


def of_images(first: int | str, last: int | str, reason: str) -> str:
    """A reason with the images, by number or name, that it is of."""
    return f"image {first}: {reason}" if first == last else f"images {first} to {last}: {reason}"


def row_text(reasons: Sequence[str], parts: int, what: str = "chunks", kept: bool = False) -> str:
    """What the row of a score says: the first reason, and how many of its parts lack a score; "" if nothing failed.

    `what` the parts are, in the plural; `kept`: there is a directory in which a next run can go on.
    """
    if not reasons:
        return ""
    text = reasons[0] + (f" ({len(reasons)} of {parts} {what})" if len(reasons) < parts else "")
    return f"{text.rstrip('.')}. {AGAIN}" if kept else text


def failed_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that lack scores because something failed."""
    if COLUMN not in table.columns:  # of a result of before it had one
        return table.iloc[:0]
    return table[table[COLUMN].fillna("").astype(str) != ""]


def sentences(table: pd.DataFrame, by: str = "metric") -> list[str]:
    """What failed, in one sentence, which stands in the summary, on the terminal and on the page; none if nothing did.

    The column `by` says what was measured of a method.
    """
    failed = failed_rows(table)
    if failed.empty:
        return []
    reasons = failed[COLUMN].str.removesuffix(AGAIN).str.strip().str.replace(_IMAGES, "", regex=True)
    every = set(table["method"][table["kind"] != "baseline"])
    told = []
    for reason, rows in failed.groupby(reasons, sort=False):
        methods = "every method" if set(rows["method"]) >= every else listed(rows["method"])
        everything = set(rows[by]) >= set(table[by])
        short = reason if len(reason) <= _LONGEST else f"{reason[: _LONGEST - 1]}…"
        told.append(f"{methods}{'' if everything else f' by {listed(rows[by])}'} ({short.rstrip('.')})")
    count = f"{len(failed)} of {len(table)} rows lack"
    again = f" {AGAIN.replace('it again', 'them again')}" if failed[COLUMN].str.endswith(AGAIN).any() else ""
    return [f"Failed: {count} scores of all or of some images: {'; '.join(told)}.{again}"]


def exit_code(result: Result) -> int:
    """Of a command: 1 if something failed, else 0."""
    return int(len(failed_rows(result.table)) > 0)
