"""Pictures of maps and results. Every function returns a matplotlib Figure: show it, or `figure.savefig(path)`.

Drawn through matplotlib's objects only: no pyplot state is used, no backend is chosen.
"""

from attribeval.plots.boxes import box_overlays
from attribeval.plots.gallery import gallery
from attribeval.plots.overlays import overlays
from attribeval.plots.results import RESULT_PLOTS, more_pictures, plot_result
from attribeval.plots.roar import plot_areas, plot_without_retraining, roar_pictures

__all__ = [
    "RESULT_PLOTS",
    "box_overlays",
    "gallery",
    "more_pictures",
    "overlays",
    "plot_areas",
    "plot_result",
    "plot_without_retraining",
    "roar_pictures",
]
