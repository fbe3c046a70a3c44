"""Names to methods, and back. To add a method: write its file, add the file's name to `_FILES`."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from attribeval import plugins
from attribeval.common.cards import classes_in
from attribeval.common.grammar import Expression
from attribeval.errors import AttribevalError, unknown
from attribeval.methods.card import Card, Method
from attribeval.methods.function import function_method
from attribeval.methods.short_names import ALIASES, parse

# A line for each family.
_FILES = """
    gradient gradient_x_input guided_backprop deconvnet integrated_gradients expected_gradients blur_ig guided_ig
    cam gradcam gradcam_plus_plus layercam scorecam guided_gradcam
    deeplift lrp attnlrp deep_taylor excitation_backprop
    attention_rollout transformer_attribution generic_attention
    occlusion rise sobol hsic meaningful_perturbation extremal_perturbation
    xrai
    lime kernel_shap partition_shap shapley_sampling gradient_shap deep_shap anchors
    random sobel input
    smoothgrad smoothgrad_squared vargrad squared absolute
"""
METHODS: dict[str, type[Any]] = {cls.card.name: cls for cls in classes_in("methods", _FILES.split(), Card)}


def cards() -> list[Card]:
    """The cards of all methods, in the order of the families; then those of other packages."""
    return [one.card for one in known().values()]


def names() -> list[str]:
    """Names of all methods, those that other packages register last; nothing of theirs is imported."""
    return [*METHODS, *plugins.names(plugins.METHODS, METHODS)]


def known() -> dict[str, Any]:
    """Classes by name; of other packages also functions, as methods. What cannot be imported is left out."""
    return {name: one for name in names() if (one := found(name)) is not None}


def found(name: str) -> Any | None:
    """The class of a name; of another package also its function, as a method; None if there is none."""
    asked, called = ["attribute"], "a method attribute(batch)"
    return METHODS.get(name) or plugins.load_class_or_function(
        plugins.METHODS, name, Card, asked, called, function_method
    )


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
    cls = found(name)
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


def written(method: Any) -> str | None:
    """The text of which `build_method` makes this method again, options that are not the defaults in brackets.

    None if there is no such text: the class is in no registry, or an option is an array or another object.
    """
    name = method.card.name
    if found(name) is not type(method):
        return None
    words: list[str | None] = []
    for field in dataclasses.fields(method):
        value = getattr(method, field.name)
        if field.name == "base":
            words.insert(0, written(value))
        elif field.init and not (type(value) is type(field.default) and np.all(value == field.default)):
            words.append(f"{field.name}={list(value) if isinstance(value, tuple) else value!r}")
    told = [word for word in words if word is not None]
    if len(told) < len(words):
        return None
    text = f"{name}({', '.join(told)})" if told else name
    try:
        return text if build_method(text) == method else None
    except (AttribevalError, ValueError):
        return None
