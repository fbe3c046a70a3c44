"""SmoothGrad-squared: squared, then averaged. Often confused with the square of SmoothGrad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from attribeval.methods.batch import Batch
from attribeval.methods.card import Card, Method
from attribeval.methods.moments import check_noise, moments


@dataclass(frozen=True)
class SmoothGradSquared:
    """Mean of the squares of a method's maps over noisy copies of the image (Hooker et al. 2019, section 4, SG-SQ).

    It is the square of SmoothGrad plus VarGrad, and computed so, in one pass with both.

    Attributes:
        base: The method to wrap.
        samples: Noisy copies per image.
        sigma: Standard deviation of the Gaussian noise, as a share of each image's own (max − min).
        relative: False: sigma is in units of the model's input instead.
    """

    base: Method
    samples: int = 15
    sigma: float = 0.15
    relative: bool = True

    card: ClassVar[Card] = Card(
        name="smoothgrad_squared",
        family="wrapper",
        summary="mean square of the base over noisy copies",
        needs="a method on the model's input",
        passes="15 × base",
        paper="Hooker et al. 2019, sec. 4",
        maths=(
            r"M = \frac{1}{n} \sum_{k=1}^{n} B(x + \epsilon_k)^2, \qquad \epsilon_k \sim N\left(0,\; \sigma^2 (\max "
            r"x - \min x)^2\right)"
        ),
        misleads=(
            "Evidence for and against the class look the same, and squares let a few pixels take the whole scale: a "
            "picture shows much less than the ranking holds."
        ),
        signed=False,
    )

    def __post_init__(self) -> None:
        check_noise(self.samples, self.sigma)

    def attribute(self, batch: Batch) -> Any:
        """Return the mean square, (B, H, W, C or 1), non-negative, in the base's units squared."""
        return moments(batch, self.base, self.samples, self.sigma, self.relative).mean_square
