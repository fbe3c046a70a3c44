"""A small benchmark and made-up results for the leaderboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from attribeval.benchmarks.leaderboard.scores import Scores
from attribeval.methods.registry import build_method
from attribeval.metrics.card import Card


def card(name: str, **more: Any) -> Card:
    about = dict.fromkeys(("summary", "passes", "paper", "maths", "misleads"), "")
    return Card(name=name, **({"family": "faithfulness", "better": "high"} | about | more))


@dataclass(frozen=True)
class InMiddle:
    """Share of the heat's size in the middle quarter."""

    card: ClassVar[Card] = card("in_middle", family="localisation")

    def prepare(self, subject):
        return None

    def score(self, subject, prepared, explained):
        heat = np.abs(explained.heat).astype(np.float64)
        _, height, width = heat.shape
        middle = heat[:, height // 4 : -(height // 4), width // 4 : -(width // 4)]
        return middle.sum((1, 2)) / (heat.sum((1, 2)) + 1e-3)  # some maps of Grad-CAM are 0


def made_up(values, better=None):
    """Scores of methods named m0, m1, … and the controls, (M, B, N)."""
    m, b, n = values.shape
    methods = {f"m{i}": build_method("gradient") for i in range(m - 2)}
    methods |= {"random": build_method("random"), "sobel": build_method("sobel")}
    families = ["faithfulness", "faithfulness", "robustness"]

    def benchmark(j):
        return type("B", (), {"card": card(f"b{j}", family=families[j % 3], better=(better or ["high"] * b)[j])})

    scores = Scores(methods, {f"b{j}": benchmark(j) for j in range(b)}, n)
    scores.values[:] = values
    return scores
