"""Occlusion. Often confused with a gradient: here a whole window disappears, and the model really sees it gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.common.fills import PLAIN_FILLS, Fill, check_fill
from attribeval.common.options import check_choice, check_count
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.descriptions import windows
from attribeval.methods.masking import SCORES, hidden_images, scores_of
from attribeval.methods.painting import Painter


def starts(side: int, window: int, stride: int) -> list[int]:
    """First pixels of the windows along one side: every `stride`, and the last one flush with the border."""
    last = side - window
    return [*range(0, last, stride), last]


@dataclass(frozen=True)
class Occlusion:
    """Drop of the score when a window is hidden (Zeiler & Fergus 2014, section 4.2), averaged over a pixel's windows.

    Attributes:
        window: Side of the square window in pixels; None takes a seventh of the shorter side (32 at 224).
        stride: Pixels from one window to the next; None takes half a window. The last row and column of windows end
            at the border, so that every pixel is covered.
        fill: What replaces the window, in raw image space; "grey" as in the paper.
        score: "logit" (the score to be explained) or "probability" (the model's output, as in the paper).
    """

    window: int | None = None
    stride: int | None = None
    fill: Fill = "grey"
    score: str = "logit"

    card = Card.of(r"""
        occlusion (perturbation): drop of the score when a window around the pixel is hidden
        needs: nothing
        passes: ≈ 170 + 0
        paper: Zeiler & Fergus 2014, sec. 4.2
        maths: M(u) = \frac{1}{|W_u|} \sum_{w \in W_u} \left[f(x) - f(x_{w \to \mathrm{fill}})\right], \qquad W_u =
            \{\mathrm{windows\ that\ hold}\ u\}
        misleads: The window itself is new to the net: a grey square can raise or lower a score by its edges, and of two
            copies of the evidence neither is missed when one is hidden.
        values: signed, shares
    """)

    def __post_init__(self) -> None:
        if self.window is not None:
            check_count("window", self.window, 1)
        if self.stride is not None:
            check_count("stride", self.stride, 1)
        check_fill(self.fill, allowed=PLAIN_FILLS)
        check_choice("score", self.score, SCORES)

    def _geometry(self, size: tuple[int, int]) -> tuple[int, int]:
        window = self.window or max(1, round(min(size) / 7))
        stride = self.stride or max(1, window // 2)
        if window > min(size):
            raise AttribevalError(
                f"Expected a window of at most {min(size)} pixels, the image's shorter side. Received: {window}."
            )
        if stride > window:
            raise AttribevalError(
                f"Expected a stride of at most the window, {window} pixels, or pixels between windows are never "
                f"hidden. Received: {stride}."
            )
        return window, stride

    def attribute(self, batch: Batch) -> Any:
        """Return the mean drop over the windows that hold the pixel, (B, H, W, 1), in units of the score."""
        window, stride = self._geometry(batch.size)
        rows, columns = (starts(side, window, stride) for side in batch.size)
        corners = np.array([(row, column) for row in rows for column in columns])
        painter = Painter(batch, hidden_images(batch, self.fill), windows(), window)
        counts = dict.fromkeys(range(len(batch)), len(corners))
        scores = painter.answers(self.score, counts, lambda i, part: (corners[part],))
        clean = scores_of(batch, batch.raw, np.arange(len(batch)), self.score == "probability").astype(np.float64)
        drops, covered = np.zeros((len(batch), *batch.size)), np.zeros(batch.size)
        for k, (row, column) in enumerate(corners):
            box = np.s_[row : row + window, column : column + window]
            covered[box] += 1
            drops[:, *box] += (clean - [each[k] for each in scores.values()])[:, None, None]
        return (drops / covered)[..., None].astype(np.float32)
