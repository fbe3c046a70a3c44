"""The deconvnet. Often confused with guided backpropagation, which also looks at the sign of the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval.methods.batch import Batch
from attribeval.methods.card import Card


@dataclass(frozen=True)
class DeconvNet:
    """The target's logit projected back to the input (Zeiler & Fergus 2013, section 2.1).

    Filters are transposed and pooling is undone by its switches, as in the gradient; a ReLU passes the positive part
    of what comes back, whatever its input was (Simonyan et al. 2013, section 4, compare the two). All it knows of the
    image are the switches of max pooling; where a network halves by strides, the map shows their grid instead.
    """

    card = Card.of(r"""
        deconvnet (gradient): the logit projected back through rectified, transposed layers
        needs: gradients, ReLUs
        passes: 1 + 1
        paper: Zeiler & Fergus 2013, sec. 2.1
        maths: R^{l}_i = 1[R^{l+1}_i > 0] \; R^{l+1}_i \quad \mathrm{at\ every\ ReLU}, \qquad M = R^{0}
        misleads: It knows the image by the switches of max pooling alone: in a net that halves by strides, two images
            of a class get nearly the same map.
        values: signed
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return the projection, (B, H, W, C), logits per unit of the model's input."""
        return batch.gradient("deconv")
