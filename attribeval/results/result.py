"""What a benchmark returns: a tidy table, the settings that made it, and the arrays behind it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.errors import AttribevalError
from attribeval.files import write_bytes
from attribeval.results.command import running_command
from attribeval.sealed import UNREADABLE, Damaged, array_bytes, checksum, read_arrays

if TYPE_CHECKING:
    import pandas as pd


@dataclass(eq=False)
class Result:
    """The outcome of one benchmark.

    Attributes:
        benchmark: Its name ("wsol").
        table: Tidy pandas DataFrame, one row per measurement, best first, with interval and cost.
        settings: What made it: model, data, options, seed, versions. JSON values only.
        summary: The outcome in sentences, most important first.
        arrays: Arrays behind the table (curves, per-image scores), for plots and further statistics.
        command: The command line that made it; None where it was made in Python. Filled in by the command line itself.
    """

    benchmark: str
    table: pd.DataFrame
    settings: dict[str, Any] = field(default_factory=dict)
    summary: list[str] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    command: str | None = field(default_factory=running_command)

    def __repr__(self) -> str:
        from attribeval.report.notebook import result_text

        return result_text(self)

    def _repr_html_(self) -> str:
        from attribeval.report.notebook import result_html

        return result_html(self)

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.startswith("_")]  # what a user completes

    def plot(self):
        """Draw the result; returns a matplotlib Figure."""
        from attribeval.plots import plot_result

        return plot_result(self)

    def figure(self, number: str | int):
        """Draw a figure of the benchmark's paper, by its number there, from this result.

        Args:
            number: Of `roar` (Hooker et al. 2019): 1 to 8. Of `bam` (Yang & Kim 2019): 2 to 13 and 16.

        Returns:
            matplotlib Figure.

        Raises:
            AttribevalError: If there is no such figure, or the result lacks what it shows.
        """
        from attribeval.plots.results import figure_of

        return figure_of(self, str(number))

    def save(self, folder: str | os.PathLike) -> Path:
        """Write `table.csv`, `result.json` (settings, summary, checksums), `arrays.npz` into a folder, each whole."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        about: dict[str, Any] = {"benchmark": self.benchmark, "settings": self.settings, "summary": self.summary}
        about |= {"command": self.command} if self.command else {}
        data = {"arrays.npz": array_bytes(self.arrays), "table.csv": self.table.to_csv(index=False).encode()}
        checksums = {name: checksum(content) for name, content in data.items()}
        about |= {"checksums": checksums}
        checksums["result.json"] = checksum(json.dumps(about).encode())
        data["result.json"] = json.dumps(about, indent=2).encode()
        for name, content in data.items():
            write_bytes(folder / name, content)
        return folder

    @classmethod
    def load(cls, folder: str | os.PathLike) -> Result:
        """Read what `save` wrote.

        Raises:
            AttribevalError: If the folder holds no result, or a file is not as it was written.
        """
        import pandas as pd

        folder = Path(folder)
        try:
            about = _read_about(folder)
            arrays = read_arrays((folder / "arrays.npz").read_bytes())
            table = pd.read_csv(folder / "table.csv", keep_default_na=False, na_values=[""])
            if "error" in table.columns:  # no error is an empty text, which the file does not tell from a missing one
                table["error"] = table["error"].astype(object).fillna("")
            return cls(table=table, arrays=arrays, **({"command": None} | about))
        except (TypeError, AttributeError, *UNREADABLE) as error:
            raise AttribevalError(f"Expected a folder written by Result.save. Received {folder}: {error}.") from error

    def write_table(self, path: str | os.PathLike, columns: Sequence[str] | None = None) -> Path:
        """Write the table to one file, whose ending says how; see `attribeval.report.tables`.

        Args:
            path: `.csv`: as `save` writes it. `.json`: records, with settings and summary. `.parquet`: typed columns,
                with settings and summary in its metadata (needs the extra `parquet`). `.tex`: booktabs, and `.md`:
                formatted as on the page, with intervals, the best method of each column in bold, and notes.
            columns: Those wanted, in this order; of `.tex` and `.md` the page's headings ("MaxBoxAcc"), else names of
                `table`. None: all.

        Returns:
            The path.

        Raises:
            AttribevalError: If the ending is another, there is no such column, pyarrow is missing, or Parquet cannot
                store one.
        """
        from attribeval.report.tables import write_table

        return write_table(self, path, columns)

    def report(self, path: str | os.PathLike, *, pictures: Any = None, command: str | None = None) -> Path:
        """Write one self-contained HTML page: summary, table, plots, settings; see `attribeval.report.page`.

        Without `pictures`, those that the benchmark has beside its plot are shown.
        """
        from attribeval.plots import more_pictures
        from attribeval.report.page import write_report

        pictures = more_pictures(self) if pictures is None else pictures
        return write_report(path, [self], pictures=pictures, command=command)


def _read_about(folder: Path) -> dict[str, Any]:
    """What `result.json` holds; makes sure that the files are those that were written together."""
    data = (folder / "result.json").read_bytes()
    try:
        about = json.loads(data)
        own = about["checksums"].pop("result.json")
        whole = checksum(json.dumps(about).encode()) == own
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise Damaged("result.json is not as it was written")
    for name, wanted in about.pop("checksums").items():
        if checksum((folder / name).read_bytes()) != wanted:
            raise Damaged(f"{name} is not as it was written")
    return dict(about)
