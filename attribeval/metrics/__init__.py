"""Metrics: how good is a map? Functions on arrays that score anyone's maps, each here by its name.

    from attribeval import metrics
    areas = metrics.deletion(maps, images, predict, targets, seeds)

Each is loaded when it is asked for. The leaderboard has the same metrics as classes, which `registry` finds in the same
files. To add one: write its file, add its line to `HOMES`.
"""

from __future__ import annotations

from attribeval._lazy import lazily

HOMES = {  # function → its file, in the order of the leaderboard
    "deletion": "faithfulness.deletion",
    "insertion": "faithfulness.insertion",
    "aopc": "faithfulness.pixel_flipping",
    "road": "faithfulness.road",
    "irof": "faithfulness.irof",
    "sensitivity_n": "faithfulness.sensitivity_n",
    "faithfulness_correlation": "faithfulness.faithfulness_correlation",
    "mu_fidelity": "faithfulness.mu_fidelity",
    "infidelity": "faithfulness.infidelity",
    "confidence_change": "faithfulness.average_drop",
    "sufficiency": "faithfulness.sufficiency",
    "single_deletion": "faithfulness.idsds",
    "f_fidelity": "faithfulness.f_fidelity",
    "completeness": "axioms.completeness",
    "non_sensitivity": "axioms.non_sensitivity",
    "max_sensitivity": "robustness.max_sensitivity",
    "average_sensitivity": "robustness.average_sensitivity",
    "local_lipschitz": "robustness.local_lipschitz",
    "relative_input_stability": "robustness.relative_input_stability",
    "relative_output_stability": "robustness.relative_output_stability",
    "input_invariance": "robustness.input_invariance",
    "sparseness": "complexity.sparseness",
    "entropy": "complexity.entropy",
    "effective_complexity": "complexity.effective_complexity",
    "random_logit": "class_sensitivity.random_logit",
    "repeatability": "class_sensitivity.repeatability",
    "likeness_to_random_model": "sanity.randomisation",
    "pointing_game": "localisation.pointing_game",
    "energy_in_box": "localisation.energy_in_box",
    "relevance_rank_accuracy": "localisation.relevance_rank_accuracy",
    "box_iou": "localisation.box_iou",
    # functions beside them, without a class
    "draw_neighbours": "robustness.neighbourhood",
    "fine_tune": "faithfulness.fine_tuning",
    "metric": "function",
    "road_curves": "faithfulness.road_curves",
    "symmetry": "axioms.symmetry",
}
__all__ = sorted(HOMES)
__getattr__, __dir__ = lazily(__name__, HOMES)
