"""Names to methods. To add a method: write its file, add its class to `_CLASSES`."""

from __future__ import annotations

import dataclasses
from typing import Any

from attribeval import plugins
from attribeval.common.grammar import Expression
from attribeval.errors import AttribevalError, unknown
from attribeval.methods.absolute import Absolute
from attribeval.methods.anchors import Anchors
from attribeval.methods.attention_rollout import AttentionRollout
from attribeval.methods.attnlrp import AttnLRP
from attribeval.methods.blur_ig import BlurIG
from attribeval.methods.cam import CAM
from attribeval.methods.card import Card, Method
from attribeval.methods.deconvnet import DeconvNet
from attribeval.methods.deep_shap import DeepSHAP
from attribeval.methods.deep_taylor import DeepTaylor
from attribeval.methods.deeplift import DeepLIFT
from attribeval.methods.excitation_backprop import ExcitationBackprop
from attribeval.methods.expected_gradients import ExpectedGradients
from attribeval.methods.extremal_perturbation import ExtremalPerturbation
from attribeval.methods.generic_attention import GenericAttention
from attribeval.methods.gradcam import GradCAM
from attribeval.methods.gradcam_plus_plus import GradCAMPlusPlus
from attribeval.methods.gradient import Gradient
from attribeval.methods.gradient_shap import GradientSHAP
from attribeval.methods.gradient_x_input import GradientXInput
from attribeval.methods.guided_backprop import GuidedBackprop
from attribeval.methods.guided_gradcam import GuidedGradCAM
from attribeval.methods.guided_ig import GuidedIG
from attribeval.methods.hsic import HSIC
from attribeval.methods.input import Input
from attribeval.methods.integrated_gradients import IntegratedGradients
from attribeval.methods.kernel_shap import KernelSHAP
from attribeval.methods.layercam import LayerCAM
from attribeval.methods.lime import LIME
from attribeval.methods.lrp import LRP
from attribeval.methods.meaningful_perturbation import MeaningfulPerturbation
from attribeval.methods.occlusion import Occlusion
from attribeval.methods.partition_shap import PartitionSHAP
from attribeval.methods.random import Random
from attribeval.methods.registered import registered
from attribeval.methods.rise import RISE
from attribeval.methods.scorecam import ScoreCAM
from attribeval.methods.shapley_sampling import ShapleySampling
from attribeval.methods.short_names import ALIASES, parse
from attribeval.methods.smoothgrad import SmoothGrad
from attribeval.methods.smoothgrad_squared import SmoothGradSquared
from attribeval.methods.sobel import Sobel
from attribeval.methods.sobol import Sobol
from attribeval.methods.squared import Squared
from attribeval.methods.transformer_attribution import TransformerAttribution
from attribeval.methods.vargrad import VarGrad
from attribeval.methods.xrai import XRAI

_CLASSES: tuple[type[Any], ...] = (
    Gradient,
    GradientXInput,
    GuidedBackprop,
    DeconvNet,
    IntegratedGradients,
    ExpectedGradients,
    BlurIG,
    GuidedIG,
    CAM,
    GradCAM,
    GradCAMPlusPlus,
    LayerCAM,
    ScoreCAM,
    GuidedGradCAM,
    DeepLIFT,
    LRP,
    AttnLRP,
    DeepTaylor,
    ExcitationBackprop,
    AttentionRollout,
    TransformerAttribution,
    GenericAttention,
    Occlusion,
    RISE,
    Sobol,
    HSIC,
    MeaningfulPerturbation,
    ExtremalPerturbation,
    XRAI,
    LIME,
    KernelSHAP,
    PartitionSHAP,
    ShapleySampling,
    GradientSHAP,
    DeepSHAP,
    Anchors,
    Random,
    Sobel,
    Input,
    SmoothGrad,
    SmoothGradSquared,
    VarGrad,
    Squared,
    Absolute,
)
METHODS: dict[str, type[Any]] = {cls.card.name: cls for cls in _CLASSES}


def cards() -> list[Card]:
    """The cards of all methods, in the order of the families; then those of other packages."""
    return [one.card for one in known().values()]


def names() -> list[str]:
    """Names of all methods, those that other packages register last; nothing of theirs is imported."""
    return [*METHODS, *plugins.names(plugins.METHODS, METHODS)]


def known() -> dict[str, Any]:
    """Classes by name; of other packages also functions, as methods. What cannot be imported is left out."""
    return METHODS | {name: one for name in names() if name not in METHODS and (one := registered(name)) is not None}


def needs_base(cls: type) -> bool:
    """Whether a method is a wrapper, written `wrapper(base)`."""
    return any(field.name == "base" for field in dataclasses.fields(cls))


def needs_attention(cls: Any) -> bool:
    """Whether a method explains transformers only."""
    return "attention" in cls.card.needs


def standalone() -> list[str]:
    """Names of the methods that run by their name alone: no base to wrap, no option that must be given."""
    alone = []
    for name in known():
        try:
            build_method(name)
        except AttribevalError:
            continue
        alone.append(name)
    return alone


def build_method(text: str, options: dict[str, Any] | None = None) -> Method:
    """Make a method from what the user typed (see `short_names.parse`) and options.

    Args:
        text: A name of `METHODS`, `wrapper(base)`, with options in brackets, or a short name of the papers.
        options: Values for the fields of the outermost method's dataclass, beside those in the text.

    Returns:
        The method.

    Raises:
        AttribevalError: If the text cannot be read, a name is unknown (nearest names listed), an option is (valid
            names listed) or is given twice, or a base is missing or too many.

    Example:
        >>> build_method("VAR-GB", {"samples": 30})
        VarGrad(base=GuidedBackprop(), samples=30, sigma=0.15, relative=True)
        >>> build_method("smoothgrad(gradient)", {"sigmas": 0.2})
        Traceback (most recent call last):
            ...
        attribeval.errors.AttribevalError: Unknown option of smoothgrad: 'sigmas'. Did you mean 'sigma'? Valid ...
    """
    return _build(parse(text), options or {})


def _build(expression: Expression, options: dict[str, Any]) -> Method:
    name = expression.name
    cls = METHODS.get(name) or registered(name)
    if cls is None:
        raise AttribevalError(f"{unknown('method', name, [*names(), *ALIASES])}{plugins.fault(plugins.METHODS, name)}")
    if twice := set(expression.options) & set(options):
        raise AttribevalError(f"Expected option {min(twice)} of {name} once. Received it in the text and beside it.")
    values = expression.options | options
    if not isinstance(cls, type):
        if values or expression.base is not None:
            raise AttribevalError(f"Expected {name!r} alone: it is a function of another package, without options.")
        return cls
    if "base" in values or needs_base(cls) != (expression.base is not None):
        syntax = f"{name}(gradient) or {name}(integrated_gradients(steps=50))" if needs_base(cls) else f"{name!r} alone"
        wanted = "a base method in brackets" if needs_base(cls) else "no base method"
        raise AttribevalError(f"Expected {wanted} for {name}: write {syntax}.")
    if expression.base is not None:
        values = {"base": _build(expression.base, {})} | values
    return make(cls, name, values)


def make(cls: type[Any], name: str, options: dict[str, Any]) -> Any:
    """Make a method of class `cls`, called `name` in messages; an unknown option is an error with the valid ones."""
    valid = [field.name for field in dataclasses.fields(cls)]
    for option in options:
        if option not in valid:
            raise unknown(f"option of {name}", option, [one for one in valid if one != "base"])
    try:
        return cls(**options)
    except TypeError as error:  # e.g. a required option is missing
        raise AttribevalError(f"Could not make method {name!r}: {error}.") from error
