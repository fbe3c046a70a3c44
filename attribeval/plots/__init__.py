"""Pictures of maps and results. Every function returns a matplotlib Figure: show it, or `figure.savefig(path)`.

Drawn through matplotlib's objects only: no pyplot state is used, no backend is chosen.
"""

from attribeval.plots.bam import bam_pictures, plot_accuracies, plot_examples, plot_patches, plot_series
from attribeval.plots.boxes import box_overlays
from attribeval.plots.gallery import gallery
from attribeval.plots.leaderboard import (
    leaderboard_pictures,
    plot_benchmark,
    plot_benchmark_agreement,
    plot_cost,
    plot_map_agreement,
)
from attribeval.plots.overlays import overlays
from attribeval.plots.results import RESULT_PLOTS, more_pictures, plot_result
from attribeval.plots.roar import plot_areas, plot_without_retraining, roar_pictures
from attribeval.plots.sanity import plot_cascade, plot_data_randomisation, plot_sanity, sanity_pictures
from attribeval.plots.strip import strip

__all__ = [
    "RESULT_PLOTS",
    "bam_pictures",
    "box_overlays",
    "gallery",
    "leaderboard_pictures",
    "more_pictures",
    "overlays",
    "plot_accuracies",
    "plot_areas",
    "plot_benchmark",
    "plot_benchmark_agreement",
    "plot_cascade",
    "plot_cost",
    "plot_data_randomisation",
    "plot_examples",
    "plot_map_agreement",
    "plot_patches",
    "plot_result",
    "plot_sanity",
    "plot_series",
    "plot_without_retraining",
    "roar_pictures",
    "sanity_pictures",
    "strip",
]


def __dir__() -> list[str]:
    return sorted(__all__)  # what a user completes
