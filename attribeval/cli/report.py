"""What commands leave in a folder: the result's pictures as files, and one page that holds them all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attribeval.files import write_picture

if TYPE_CHECKING:
    from attribeval.results.result import Result


def write_pictures_and_page(result: Result, folder: Path, plot: str, title: str) -> Path:
    """Draw a result.

    Args:
        result: Of a benchmark.
        folder: Where the files go; it is there.
        plot: File name of the benchmark's own plot, without ending.
        title: Of the page.

    Returns:
        The page.
    """
    from attribeval.plots import more_pictures
    from attribeval.report.page import write_report

    pictures = more_pictures(result)
    for name, figure in {plot: result.plot(), **pictures}.items():
        write_picture(figure, folder / f"{name.split(' (')[0].lower().replace(' ', '_')}.png")
    return write_report(folder / "report.html", [result], pictures=pictures, title=title)
