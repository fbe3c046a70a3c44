"""Cards are read from their text strictly: what is missing, unknown or stated twice is an error that names the card."""

from __future__ import annotations

import dataclasses

import pytest

from attribeval.errors import AttribevalError
from attribeval.methods.card import Card
from attribeval.methods.registry import METHODS
from attribeval.metrics.card import Card as MetricCard
from attribeval.metrics.registry import BENCHMARKS

METHOD = r"""
        thin (model-agnostic): what is left: little
        needs: nothing
        passes: 1 + 0
        paper: none
        maths: M = \frac{1}{n}
            \sum_k x_k
        misleads: Always. See: here.
        values: signed, shares
    """
METRIC = r"""
        thick (class sensitivity): how much
        better: low
        passes: 0 + 0
        paper: none
        maths: n
        misleads: Never.
        needs: boxes, masks
    """


def test_a_card_says_what_its_text_says():
    assert Card.of(METHOD) == Card(
        "thin", "model-agnostic", "what is left: little", "nothing", "1 + 0", "none", r"M = \frac{1}{n} \sum_k x_k",
        "Always. See: here.", signed=True, shares=True,
    )  # fmt: skip
    plain = Card.of(METHOD.replace("signed, shares", "unsigned, raw"))
    assert (plain.signed, plain.shares, plain.raw) == (False, False, True)
    thick = MetricCard("thick", "class sensitivity", "how much", "low", "0 + 0", "none", "n", "Never.")
    assert MetricCard.of(METRIC) == dataclasses.replace(thick, needs=("boxes", "masks"))
    assert MetricCard.of(METRIC.replace("        needs: boxes, masks\n", "")) == thick


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("thin (model-agnostic):", "thin:", "begins with 'name"),
        ("        paper: none\n", "", "'thin' to state needs, passes, paper"),
        ("paper: none", "papers: none", "'thin' to state"),
        ("paper: none", "paper: none\n        paper: two", "'thin' to state"),
        ("paper: none", "paper:", "'thin' to state"),
        ("paper: none", "paper: none\n        better: high", "'thin' to state"),
        ("            \\sum_k", "        \\sum_k", "'thin' to state"),  # a line that should have been deeper
        ("signed, shares", "shares", "values of the card of 'thin' to be one of signed, unsigned"),
        ("signed, shares", "signed, share", "values of the card of 'thin' to be one of shares, raw"),
    ],
)
def test_what_a_method_s_card_must_say(old, new, said):
    assert old in METHOD
    with pytest.raises(AttribevalError, match=said):
        Card.of(METHOD.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("better: low", "better: lower", "better on the card of 'thick' to be one of high, low"),
        ("boxes, masks", "boxes and masks", "needs on the card of 'thick' to be one of boxes"),
        ("        maths: n\n", "", "'thick' to state better, passes, .*, needs if there are any"),
    ],
)
def test_what_a_metric_s_card_must_say(old, new, said):
    with pytest.raises(AttribevalError, match=said):
        MetricCard.of(METRIC.replace(old, new))


def test_every_card_says_everything_on_one_line_each():
    for cls in [*METHODS.values(), *BENCHMARKS.values()]:
        for name, value in dataclasses.asdict(cls.card).items():
            assert not isinstance(value, str) or (value and value == " ".join(value.split())), (cls, name)
