"""Metrics: how good is a map? Functions on arrays that score anyone's maps, each here by its name.

    from attribeval import metrics
    areas = metrics.deletion(maps, images, predict, targets, seeds)

Each is loaded when it is asked for. The leaderboard has the same metrics as classes, see `registry`.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "aopc": "faithfulness.pixel_flipping",
    "average_sensitivity": "robustness.average_sensitivity",
    "box_iou": "localisation.box_iou",
    "completeness": "axioms.completeness",
    "confidence_change": "faithfulness.average_drop",
    "deletion": "faithfulness.deletion",
    "draw_neighbours": "robustness.neighbourhood",
    "effective_complexity": "complexity.effective_complexity",
    "energy_in_box": "localisation.energy_in_box",
    "entropy": "complexity.entropy",
    "f_fidelity": "faithfulness.f_fidelity",
    "faithfulness_correlation": "faithfulness.faithfulness_correlation",
    "fine_tune": "faithfulness.fine_tuning",
    "infidelity": "faithfulness.infidelity",
    "input_invariance": "robustness.input_invariance",
    "insertion": "faithfulness.insertion",
    "irof": "faithfulness.irof",
    "likeness_to_random_model": "sanity.randomisation",
    "local_lipschitz": "robustness.local_lipschitz",
    "max_sensitivity": "robustness.max_sensitivity",
    "metric": "function",
    "mu_fidelity": "faithfulness.mu_fidelity",
    "non_sensitivity": "axioms.non_sensitivity",
    "pointing_game": "localisation.pointing_game",
    "random_logit": "class_sensitivity.random_logit",
    "relative_input_stability": "robustness.relative_input_stability",
    "relative_output_stability": "robustness.relative_output_stability",
    "relevance_rank_accuracy": "localisation.relevance_rank_accuracy",
    "repeatability": "class_sensitivity.repeatability",
    "road": "faithfulness.road",
    "road_curves": "faithfulness.road_curves",
    "sensitivity_n": "faithfulness.sensitivity_n",
    "single_deletion": "faithfulness.idsds",
    "sparseness": "complexity.sparseness",
    "sufficiency": "faithfulness.sufficiency",
    "symmetry": "axioms.symmetry",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"attribeval.metrics.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'attribeval.metrics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
