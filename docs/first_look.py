"""The picture of the start page and the README: two photographs, three methods, a control, and what boards say.

Usage: python docs/first_look.py
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from attribeval import Attributer, Evaluator, datasets
from attribeval.plots.heat import drawn_heat
from attribeval.plots.panels import draw_heat, draw_photograph, to_photographs

FILE = Path(__file__).resolve().parent / "_static" / "first_look.webp"
METHODS = {"gradcam": "Grad-CAM", "lrp": "LRP", "guided_backprop": "Guided backprop", "sobel": "Edges (no model)"}
SHOWN, SCORED = [1, 4], 200  # of the test images
ASKED = {"idsds": ("Does the score fall", "where it points?"), "random_logit": ("The same map", "for another class?")}
PAPER, INK, SOFT, TRACK = "#15101f", "#f6f1ff", "#b4a9c6", "#33293f"
GOOD, BAD = "#fcb45a", "#e0527a"
SIDE, GAP, EDGE, HEAD, SCORE = 2.2, 0.12, 0.3, 0.6, 1.0  # inches


def main() -> None:
    """Score, draw."""
    samples = datasets.digit_scenes(n_train=1, n_test=SCORED).test.samples(label="object")
    attributer = Attributer("digit_objects")
    table = Evaluator(attributer, samples).compare([*METHODS], [*ASKED], progress=False).table
    scores = {(row.method, row.benchmark): (row.value, row.low, row.high) for row in table.itertuples()}
    images = samples[SHOWN].load()
    maps = attributer.explain_many(images, [*METHODS], progress=False)
    drawn = io.BytesIO()
    picture(images, maps, scores).savefig(drawn, dpi=100, facecolor=PAPER)
    Image.open(drawn).convert("RGB").save(FILE, quality=88, method=6)


def picture(images: Any, maps: dict[str, Any], scores: dict[tuple[str, str], tuple[float, float, float]]) -> Figure:
    """A column for each method: its maps, below them its scores with their intervals."""
    columns, rows = 1 + len(METHODS), len(SHOWN)
    width = 2 * EDGE + columns * SIDE + (columns - 1) * GAP
    height = 2 * EDGE + HEAD + rows * (SIDE + GAP) + len(ASKED) * SCORE
    figure = Figure(figsize=(width, height))

    def axes(column: int, top: float, high: float) -> Any:
        left = EDGE + column * (SIDE + GAP)
        ax = figure.add_axes((left / width, 1 - (top + high) / height, SIDE / width, high / height))
        ax.set_axis_off()
        return ax

    photographs = to_photographs(images, rows, images.shape[1:3])
    heats = {name: drawn_heat(maps[name], None, 99) for name in METHODS}
    for column, title in enumerate(["Photograph", *METHODS.values()]):
        axes(column, EDGE, HEAD).text(0.5, 0.5, title, ha="center", va="center", fontsize=17, color=INK)
    for i in range(rows):
        top = EDGE + HEAD + i * (SIDE + GAP)
        draw_photograph(axes(0, top, SIDE), photographs[i])
        for column, (heat, scale) in enumerate(heats.values(), 1):
            draw_heat(axes(column, top, SIDE), heat[i], scale, photographs[i])
    for k, (benchmark, question) in enumerate(ASKED.items()):
        top = EDGE + HEAD + rows * (SIDE + GAP) + k * SCORE
        said = axes(0, top, SCORE)
        for line, text in enumerate(question):
            said.text(0.5, 0.62 - 0.27 * line, text, ha="center", va="center", fontsize=15, color=SOFT)
        for column, name in enumerate(METHODS, 1):
            _score(axes(column, top, SCORE), *scores[name, benchmark], high_is_good=benchmark == "idsds")
    return figure


def _score(ax: Any, value: float, low: float, high: float, high_is_good: bool) -> None:
    """The value in words, and as a bar from 0 to 1 with its interval."""
    ax.set(xlim=(0, 1), ylim=(0, 1))
    colour = GOOD if (value > 0.5) == high_is_good else BAD
    text = f"{value:.2f}".replace("0.", ".", 1).replace("-", "−")
    ax.text(0.5, 0.66, text, ha="center", va="center", fontsize=21, color=colour, fontweight="bold")
    ax.add_patch(Rectangle((0.06, 0.22), 0.88, 0.1, color=TRACK, lw=0))
    ax.add_patch(Rectangle((0.06, 0.22), 0.88 * max(value, 0), 0.1, color=colour, lw=0))
    ax.plot([0.06 + 0.88 * min(max(end, 0), 1) for end in (low, high)], [0.27, 0.27], color=INK, lw=2.5)


if __name__ == "__main__":
    main()
