"""What a run of BAM is asked to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from attribeval.benchmarks.bam.nets import Net, find_net
from attribeval.benchmarks.bam.region import PROTOCOLS
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
CONTROLS = ("random", "sobel")
KS = tuple(i / 10 for i in range(1, 11))
_SLOW = ("perturbation", "model-agnostic", "region")  # families
_SLOW_TOO = ("scorecam", "guided_ig")
_QUICK = ("gradient_shap", "deep_shap")  # a few passes, although their family is slow


@dataclass(frozen=True, eq=False)
class Plan:
    """What a call asks for, checked: data, methods by label, their kinds, the slow ones, and what is trained."""

    data: Bam
    methods: dict[str, Method]
    kinds: dict[str, str]
    slow: list[str]
    slow_images: int
    net: Net
    ks: tuple[float, ...]


def make_plan(
    data: Any,
    methods: Any,
    net: Any,
    ks: Sequence[float],
    images: int,
    patch_images: int,
    slow_images: int,
    protocol: str,
) -> Plan:
    """Check the arguments of `procedure.run_bam`, and make the methods.

    Raises:
        AttribevalError: If one is out of range.
    """
    if protocol not in PROTOCOLS:
        raise AttribevalError(f"Expected protocol 'fixed', 'paper' or 'reference'. Received: {protocol!r}.")
    for name, value in (("images", images), ("patch_images", patch_images), ("slow_images", slow_images)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise AttribevalError(f"Expected {name} of 1 or more. Received: {value!r}.")
    if len(ks) < 1 or list(ks) != sorted(set(ks)) or abs(ks[-1] - 1) > 1e-9:
        raise AttribevalError(
            f"Expected rising commonalities that end with 1, to which all are compared. Received: {list(ks)}."
        )
    built = given.methods_of(methods)
    abilities.refuse(built, "bam", model=True)
    if isinstance(data, str):
        if data != "digits":
            raise AttribevalError(
                f"Expected 'digits' or Bam data (datasets.bam_layout.read_bam(folder)). Received: {data!r}."
            )
        data = digits(n_train=20_000, n_test=10_000)
    if not isinstance(data, Bam):
        raise AttribevalError(f"Expected Bam data. Received: {type(data).__name__}.")
    built = given.with_controls(built, CONTROLS)
    kinds: dict[str, str] = {name: given.kind_of(method) for name, method in built.items()}
    slow = [name for name, method in built.items() if _is_slow(method)]
    return Plan(data, built, kinds, slow, slow_images, find_net(net), tuple(float(k) for k in ks))


def _is_slow(method: Method) -> bool:
    card = method.card
    return (card.family in _SLOW and card.name not in _QUICK) or card.name in _SLOW_TOO
