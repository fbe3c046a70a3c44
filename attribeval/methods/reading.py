"""How a method's values rank the places of an image, by what its card says that they mean."""

from __future__ import annotations

from typing import Literal

from attribeval.methods.card import Method
from attribeval.methods.smoothgrad import SmoothGrad


def ranking(method: Method) -> Literal["sum", "abs_sum"]:
    """How channels become one number that ranks places, a `reduce` of `Attributions.heatmap`.

    "sum" for shares of a score, of which a negative one speaks against the class; "abs_sum" for all others. The mean of
    noisy maps reads as its base does.
    """
    if isinstance(method, SmoothGrad):
        return ranking(method.base)
    return "sum" if method.card.shares else "abs_sum"
