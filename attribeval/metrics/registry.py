"""Names to benchmarks of the leaderboard. To add one: write its file, add its class to `_CLASSES`."""

from __future__ import annotations

from typing import Any

from attribeval import plugins
from attribeval.common.grammar import parse
from attribeval.errors import AttribevalError, unknown
from attribeval.methods.registry import make
from attribeval.metrics.axioms.completeness import Completeness
from attribeval.metrics.axioms.non_sensitivity import NonSensitivity
from attribeval.metrics.card import Benchmark, Card
from attribeval.metrics.class_sensitivity.random_logit import RandomLogit
from attribeval.metrics.class_sensitivity.repeatability import Repeatability
from attribeval.metrics.complexity.effective_complexity import EffectiveComplexity
from attribeval.metrics.complexity.entropy import Entropy
from attribeval.metrics.complexity.sparseness import Sparseness
from attribeval.metrics.faithfulness.average_drop import AverageDrop, AverageGain, AverageIncrease
from attribeval.metrics.faithfulness.deletion import Deletion
from attribeval.metrics.faithfulness.f_fidelity import FFidelity
from attribeval.metrics.faithfulness.faithfulness_correlation import FaithfulnessCorrelation
from attribeval.metrics.faithfulness.idsds import IDSDS
from attribeval.metrics.faithfulness.infidelity import Infidelity
from attribeval.metrics.faithfulness.insertion import Insertion
from attribeval.metrics.faithfulness.irof import Irof
from attribeval.metrics.faithfulness.mu_fidelity import MuFidelity
from attribeval.metrics.faithfulness.pixel_flipping import Abpc, Lerf, Morf
from attribeval.metrics.faithfulness.road import Road, RoadLerf, RoadMorf
from attribeval.metrics.faithfulness.sensitivity_n import SensitivityN
from attribeval.metrics.faithfulness.sufficiency import Sufficiency
from attribeval.metrics.function import function_metric
from attribeval.metrics.localisation.box_iou import BoxIoU
from attribeval.metrics.localisation.energy_in_box import EnergyInBox
from attribeval.metrics.localisation.pointing_game import PointingGame
from attribeval.metrics.localisation.relevance_rank_accuracy import RelevanceRank
from attribeval.metrics.robustness.average_sensitivity import AverageSensitivity
from attribeval.metrics.robustness.input_invariance import InputInvariance
from attribeval.metrics.robustness.local_lipschitz import LocalLipschitz
from attribeval.metrics.robustness.max_sensitivity import MaxSensitivity
from attribeval.metrics.robustness.relative_input_stability import RelativeInputStability
from attribeval.metrics.robustness.relative_output_stability import RelativeOutputStability
from attribeval.metrics.sanity.randomisation import Randomisation

_CLASSES: tuple[type[Any], ...] = (
    Deletion,
    Insertion,
    Morf,
    Lerf,
    Abpc,
    Road,
    RoadMorf,
    RoadLerf,
    Irof,
    SensitivityN,
    FaithfulnessCorrelation,
    MuFidelity,
    Infidelity,
    AverageDrop,
    AverageIncrease,
    AverageGain,
    Sufficiency,
    IDSDS,
    FFidelity,
    Completeness,
    NonSensitivity,
    MaxSensitivity,
    AverageSensitivity,
    LocalLipschitz,
    RelativeInputStability,
    RelativeOutputStability,
    InputInvariance,
    Sparseness,
    Entropy,
    EffectiveComplexity,
    RandomLogit,
    Repeatability,
    Randomisation,
    PointingGame,
    EnergyInBox,
    RelevanceRank,
    BoxIoU,
)
BENCHMARKS: dict[str, type[Any]] = {cls.card.name: cls for cls in _CLASSES}


def cards() -> list[Card]:
    """The cards of all benchmarks, in the order of the families; then those of other packages."""
    theirs = (_plugin(name) for name in plugins.names(plugins.METRICS, BENCHMARKS))
    return [cls.card for cls in _CLASSES] + [one.card for one in theirs if one is not None]


def _plugin(name: str) -> Any | None:
    """The class that another package registers under a name, or its function as a benchmark; None if there is none."""
    asked = ["prepare", "score"]
    called = f"the methods {' and '.join(asked)}"
    return plugins.load_class_or_function(plugins.METRICS, name, Card, asked, called, function_metric)


def build_benchmark(text: str, options: dict[str, Any] | None = None) -> Benchmark:
    """Make a benchmark from what the user typed: `name` or `name(option=value)`.

    Args:
        text: As above.
        options: Values for the fields of the benchmark's dataclass, beside those in the text.

    Returns:
        The benchmark.

    Raises:
        AttribevalError: If the text cannot be read, or a name or an option is unknown (valid ones listed).
    """
    expression = parse(text)
    name = expression.name
    cls = BENCHMARKS.get(name) or _plugin(name)
    if cls is None:
        known = [*BENCHMARKS, *plugins.names(plugins.METRICS, BENCHMARKS)]
        raise AttribevalError(f"{unknown('benchmark', name, known)}{plugins.fault(plugins.METRICS, name)}")
    if expression.base is not None:
        raise AttribevalError(
            f"Expected a benchmark with options alone, such as deletion(steps=10). Received: {text!r}."
        )
    given = expression.options | (options or {})
    if isinstance(cls, type):
        return make(cls, name, given)
    if given:
        raise AttribevalError(f"Expected {name!r} alone: it is a function of another package, without options.")
    return cls
