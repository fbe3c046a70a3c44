"""What commands print, and leave in a folder: the result's pictures as files, and one page that holds them all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attribeval.files import write_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attribeval.results.result import Result


def show(result: Result, output: str | Path | None, pictures: Mapping[str, Figure] | None = None) -> int:
    """Print a result, and save it with its pictures and page in a folder, if one is named; returns the exit code.

    `pictures` are further ones by caption; None: those that the study has beside its plot.
    """
    from attribeval.report.views import terminal_text
    from attribeval.runs.failures import exit_code

    print(terminal_text(result))
    print("\n" + "\n".join(result.summary))
    if output:
        print(f"\n{_write(result, result.save(Path(output)), pictures)}")
    return exit_code(result)


def _write(result: Result, folder: Path, pictures: Mapping[str, Figure] | None) -> Path:
    """Draw a result into a folder that is there; returns the page."""
    from attribeval.plots import more_pictures
    from attribeval.report.page import write_report
    from attribeval.report.view import view_of

    view = view_of(result)
    pictures = more_pictures(result) if pictures is None else pictures
    drawn = {} if view.plot is None else {view.file: view.plot(result)}
    for name, figure in {**drawn, **pictures}.items():
        write_picture(figure, folder / f"{name.split(' (')[0].lower().replace(' ', '_')}.png")
    return write_report(folder / "report.html", [result], pictures=pictures, title=view.page or view.title)
