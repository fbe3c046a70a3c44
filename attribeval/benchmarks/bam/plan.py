"""What a run of BAM is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

from attribeval.benchmarks.bam.nets import Net, find_net
from attribeval.benchmarks.bam.options import BamOptions
from attribeval.datasets.bam import Bam, digits
from attribeval.errors import AttribevalError
from attribeval.methods import abilities, given
from attribeval.methods.card import Method

PAPER_METHODS = (
    "gradcam",
    "gradient",
    "smoothgrad(gradient)",
    "integrated_gradients",
    "smoothgrad(integrated_gradients)",
    "gradient_x_input",
    "guided_backprop",
    "guided_gradcam",
)
_SLOW = ("perturbation", "model-agnostic", "region")  # families
_SLOW_TOO = ("scorecam", "guided_ig")
_QUICK = ("gradient_shap", "deep_shap")  # a few passes, although their family is slow


@dataclass(frozen=True, eq=False)
class Plan:
    """What a call asks for, checked: data, methods by label, the slow ones, and what is trained."""

    data: Bam
    methods: dict[str, Method]
    slow: list[str]
    net: Net
    ks: tuple[float, ...]


def make_plan(options: BamOptions) -> Plan:
    """Find what the options name.

    Raises:
        AttribevalError: If it is not there, or cannot do what BAM needs.
    """
    built = given.methods_of(PAPER_METHODS if options.methods is None else options.methods)
    abilities.refuse(built, "bam", model=True)
    data = options.data
    if isinstance(data, str):
        if data != "digits":
            raise AttribevalError(
                f"Expected 'digits' or Bam data (datasets.bam_layout.read_bam(folder)). Received: {data!r}."
            )
        data = digits(n_train=20_000, n_test=10_000)
    if not isinstance(data, Bam):
        raise AttribevalError(f"Expected Bam data. Received: {type(data).__name__}.")
    built = given.with_controls(built)
    slow = [name for name, method in built.items() if _is_slow(method)]
    return Plan(data, built, slow, find_net(options.net), tuple(map(float, options.ks)))


def _is_slow(method: Method) -> bool:
    card = method.card
    return (card.family in _SLOW and card.name not in _QUICK) or card.name in _SLOW_TOO
