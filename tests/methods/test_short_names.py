"""What users type for a method, and what is said when it is wrong."""

from __future__ import annotations

import pytest

from attribeval import AttribevalError
from attribeval.methods.gradcam import GradCAM
from attribeval.methods.gradient import Gradient
from attribeval.methods.guided_backprop import GuidedBackprop
from attribeval.methods.integrated_gradients import IntegratedGradients
from attribeval.methods.registry import METHODS, build_method, cards, needs_base, standalone
from attribeval.methods.smoothgrad import SmoothGrad
from attribeval.methods.smoothgrad_squared import SmoothGradSquared
from attribeval.methods.squared import Squared
from attribeval.methods.vargrad import VarGrad

BASES = {
    "GRAD": Gradient(),
    "IG": IntegratedGradients(),
    "GB": GuidedBackprop(),
    "GP": GuidedBackprop(),
}
WRAPPERS = {"SG": SmoothGrad, "SG-SQ": SmoothGradSquared, "VAR": VarGrad, "SQ": Squared}


@pytest.mark.parametrize("base", BASES)
def test_short_names_of_the_paper(base):
    assert build_method(base) == BASES[base]
    for short, wrapper in WRAPPERS.items():
        for text in (f"{short}-{base}", f"{short}-{base}".lower()):
            assert build_method(text) == wrapper(BASES[base])


@pytest.mark.parametrize(
    ("text", "method"),
    [
        ("gradcam", GradCAM()),
        ("GradCAM", GradCAM()),
        ("Grad-CAM", GradCAM()),
        ("guided-backprop", GuidedBackprop()),
        (" gradcam ( layer = conv2 ) ", GradCAM("conv2")),
        ("gradcam(layer='block/conv 2')", GradCAM("block/conv 2")),
        ("gradcam(layer=None)", GradCAM()),
        ("gradcam()", GradCAM()),
        ("vargrad(guided_backprop)", VarGrad(GuidedBackprop())),
        ("VarGrad(GB, samples=3, sigma=1e-1,)", VarGrad(GuidedBackprop(), 3, 0.1)),
        ("SG-IG(samples=7)", SmoothGrad(IntegratedGradients(), 7)),
        ("smoothgrad(IG(steps=25), samples=15)", SmoothGrad(IntegratedGradients(25), 15)),
        ("smoothgrad(gradient, relative=False)", SmoothGrad(Gradient(), relative=False)),
        ("vargrad(smoothgrad(squared(IG(rule=left))))", VarGrad(SmoothGrad(Squared(IntegratedGradients(rule="left"))))),
        ("ig(baseline=[0, .5, 1])", IntegratedGradients(baseline=(0, 0.5, 1))),
        ("ig(baseline=-1.5)", IntegratedGradients(baseline=-1.5)),
    ],
)
def test_texts_and_what_they_mean(text, method):
    assert build_method(text) == method


def test_options_beside_the_text_go_to_the_outermost_method():
    assert build_method("smoothgrad(IG(steps=5))", {"samples": 3}) == SmoothGrad(IntegratedGradients(5), 3)
    assert build_method("SG-IG(sigma=.2)", {"samples": 3}) == SmoothGrad(IntegratedGradients(), 3, 0.2)
    assert build_method("ig", {"steps": 3}) == IntegratedGradients(3)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("gradcamm", {}, "Unknown method: 'gradcamm'. Did you mean 'gradcam'"),
        ("SG-SQ-GRD", {}, "Did you mean 'sg-sq-grad'"),
        ("smoothgrad(gradent)", {}, "Unknown method: 'gradent'. Did you mean 'gradient'"),
        ("ig(step=3)", {}, "Unknown option of integrated_gradients: 'step'. Did you mean 'steps'"),
        ("smoothgrad(IG)", {"steps": 3}, "option of smoothgrad: 'steps'.*Valid names: relative, samples, sigma."),
        ("smoothgrad(gradient, samples=3)", {"samples": 4}, "samples of smoothgrad once"),
        ("smoothgrad(gradient, samples=3, samples=4)", {}, "samples once at character"),
        ("smoothgrad", {}, r"write smoothgrad\(gradient\) or"),
        ("vargrad()", {}, r"write vargrad\(gradient\)"),
        ("vargrad", {"base": "gradient"}, r"write vargrad\(gradient\)"),
        ("gradcam(gradient)", {}, "no base method for gradcam: write 'gradcam' alone"),
        ("SG-IG(gradient)", {}, r"no base for 'SG-IG', which means smoothgrad\(integrated_gradients\)"),
        ("smoothgrad(gradient", {}, "Expected a comma or a closing bracket at character 20. Received: 'the end'"),
        ("smoothgrad(gradient))", {}, "Expected the end at character 21"),
        ("smoothgrad(samples=3, gradient)", {}, "Expected option=value"),
        ("smoothgrad(gradient, gradcam)", {}, "Expected option=value"),
        ("ig(steps=)", {}, "Expected a value"),
        ("ig(steps=(3))", {}, "Expected a value"),
        ("ig steps", {}, "Expected the end at character 4"),
        ("", {}, "Expected the name of a method at character 1"),
        ("(gradient)", {}, "Expected the name of a method"),
        ("ig(rule='left)", {}, "Could not read method"),
        (3, {}, "Received: int"),
        (None, {}, "Received: NoneType"),
    ],
)
def test_mistakes_are_named(text, options, message):
    with pytest.raises(AttribevalError, match=message):
        build_method(text, options)


def test_the_table_lists_every_method_and_wrapper_once():
    names = [card.name for card in cards()]
    assert names == list(METHODS) and len(set(names)) == len(names)
    wrappers = {name for name, cls in METHODS.items() if needs_base(cls)}
    assert wrappers == {card.name for card in cards() if card.family == "wrapper"}
    assert {"smoothgrad", "smoothgrad_squared", "vargrad", "squared", "absolute"} <= wrappers
    assert set(standalone()) == set(METHODS) - wrappers - {"expected_gradients"}
    for name in wrappers:
        assert build_method(f"{name}(gradient)").base == Gradient()
