"""Pictures of maps and results. Every function returns a matplotlib Figure: show it, or `figure.savefig(path)`.

Drawn through matplotlib's objects only: no pyplot state is used, no backend is chosen. What a study's results look like
is in its own folder, `attribeval.benchmarks.<study>.view`.
"""

from attribeval.plots.boxes import box_overlays
from attribeval.plots.gallery import gallery
from attribeval.plots.overlays import overlays
from attribeval.plots.results import more_pictures, plot_result
from attribeval.plots.strip import strip

__all__ = ["box_overlays", "gallery", "more_pictures", "overlays", "plot_result", "strip"]


def __dir__() -> list[str]:
    return sorted(__all__)  # what a user completes
