"""VarGrad. Often computed as E[x²] − E[x]², which cancels in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from attribeval.methods.batch import Batch
from attribeval.methods.card import Card, Method
from attribeval.methods.moments import check_noise, moments


@dataclass(frozen=True)
class VarGrad:
    """Variance of a method's maps over noisy copies of the image (Adebayo et al. 2018; Hooker et al. 2019, section 4).

    Population variance, Σ (map − mean)² / samples: with a mean of zero it is SmoothGrad-squared, as Hooker et al. say
    (section 4); the sample variance differs by a factor that is the same everywhere.

    Attributes:
        base: The method to wrap.
        samples: Noisy copies per image, 2 or more.
        sigma: Standard deviation of the Gaussian noise, as a share of each image's own (max − min).
        relative: False: sigma is in units of the model's input instead.
    """

    base: Method
    samples: int = 15
    sigma: float = 0.15
    relative: bool = True

    card: ClassVar[Card] = Card(
        name="vargrad",
        family="wrapper",
        summary="variance of the base over noisy copies",
        needs="a method on the model's input",
        passes="15 × base",
        paper="Adebayo et al. 2018; Hooker et al. 2019, sec. 4",
        maths=(
            r"M = \frac{1}{n} \sum_{k=1}^{n} \left(B(x + \epsilon_k) - \bar B\right)^2, \qquad \bar B = \frac{1}{n} "
            r"\sum_{k=1}^{n} B(x + \epsilon_k)"
        ),
        misleads=(
            "It measures how restless the base is under noise, so a place where the base is large and steady gets "
            "nothing; it has no sign."
        ),
        signed=False,
    )

    def __post_init__(self) -> None:
        check_noise(self.samples, self.sigma, least=2)

    def attribute(self, batch: Batch) -> Any:
        """Return the variance, (B, H, W, C or 1), non-negative, in the base's units squared."""
        return moments(batch, self.base, self.samples, self.sigma, self.relative).variance
