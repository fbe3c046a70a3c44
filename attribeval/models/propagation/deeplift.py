"""DeepLIFT's multipliers: image and reference run through the model side by side, and one backward pass pairs them.

A multiplier m says by how much the score differs per unit that a value differs from its reference: Σ m · Δ over any
cut of the network is the difference of the scores (Shrikumar et al. 2017, equations 1 to 3).
"""

from __future__ import annotations

from typing import Any

from attribeval import _tf as tf
from attribeval.models.classifier import Classifier
from attribeval.models.propagation.graph import Path
from attribeval.models.propagation.inline import inlined
from attribeval.models.propagation.paired_pass import MaxPool, PairedPass, Rule
from attribeval.models.propagation.refusal import refusing


def contributions(
    classifier: Classifier, x: Any, references: Any, targets: Any, rule: Rule, maxpool: MaxPool
) -> tuple[Any, Any, Any]:
    """DeepLIFT contributions of every input value to score[target](x) − score[target](reference).

    Args:
        classifier: The model.
        x: Model inputs (B, H, W, C).
        references: Model inputs (B, H, W, C), one per image.
        targets: Class indices, int32 (B,).
        rule: "rescale" (section 3.5.2) everywhere, or "reveal_cancel" (section 3.5.3) at the activations of dense
            layers and Rescale elsewhere, as the paper's authors advise.
        maxpool: "difference" gives a rise of the maximum to the winner in x and a fall to the winner in the reference,
            which is complete; "gradient" takes the winner in x for both, as the authors' package does.

    Returns:
        Contributions (B, H, W, C) in score units, the scores (B,) and the scores of the references (B,).

    Raises:
        AttribevalError: If the model has an operation without a rule; or no dense layer for "reveal_cancel".
    """

    def build(x, references, targets):
        (trace, scores), (_, others) = (inlined(*classifier.trace(inputs)) for inputs in (x, references))
        pass_ = PairedPass(Path(x, scores), Path(references, others), maxpool, rule)
        with refusing("deeplift", trace):
            multipliers = pass_.run(tf.one_hot(targets, classifier.classes, dtype=scores.dtype))
        picked = [tf.gather(values, targets, axis=1, batch_dims=1) for values in (scores, others)]
        return tf.cast(multipliers, x.dtype) * (x - references), *picked

    spec = classifier.input_spec
    key = ("deeplift", rule, maxpool)
    return classifier.compiled(key, build, spec, spec, tf.TensorSpec([None], tf.int32))(x, references, targets)
