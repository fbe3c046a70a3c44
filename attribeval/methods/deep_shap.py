"""Deep SHAP: DeepLIFT's Rescale rule averaged over references, by `shap`. For every model, see our own `deeplift`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.shap_bridge import (
    Reference,
    intact_gradients,
    one_thread,
    read_reference,
    references,
    score_differences,
    scorer,
)
from attribeval.models.classifier import Classifier

_BREAK = {"Shape", "ZerosLike", "RandomUniform"}  # their values do not depend on the values of the image
_WRONG = {"Max"}  # shap has a rule that does not know of the axis (GlobalMaxPooling2D)


def operations_without_rule(classifier: Classifier) -> list[str]:
    """Types of operations between the input and the scores on which `shap.DeepExplainer` fails or errs."""
    from shap.explainers._deep.deep_tf import op_handlers

    graph = classifier.compiled("scores", lambda x: classifier.trace(x)[1], classifier.input_spec).graph
    varying = {graph.inputs[0].name}
    needed = {graph.outputs[0].name}
    operations = graph.get_operations()  # in an order in which inputs come first
    for op in operations:
        if op.type not in _BREAK and any(tensor.name in varying for tensor in op.inputs):
            varying.update(tensor.name for tensor in op.outputs)
    found = set()
    for op in reversed(operations):
        if any(tensor.name in needed for tensor in op.outputs):
            needed.update(tensor.name for tensor in op.inputs)
            if any(tensor.name in varying for tensor in op.outputs) and op.type != "Placeholder":
                found.add(op.type)
    return sorted((found - set(op_handlers)) | (found & _WRONG))


def deep_explainer(classifier: Classifier, background: np.ndarray) -> Any:
    """The `shap.DeepExplainer` of a classifier, made once; an error if shap lacks rules for the model's operations."""
    import shap

    model = scorer(classifier)
    if classifier.cast_from is not None:
        raise AttribevalError(
            f"shap.DeepExplainer needs a float input. Received a model whose input is {classifier.cast_from}, a cast "
            "without a derivative: use method='deeplift', which explains behind it, or 'kernel_shap'."
        )
    if "deep" not in model.explainers:
        missing = operations_without_rule(classifier)
        if missing:
            raise AttribevalError(
                f"shap.DeepExplainer has no right rule for operations of this model: {', '.join(missing)}. "
                "Use method='kernel_shap', which needs the model's answers only."
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of every TensorFlow after 2.4
            model.explainers["deep"] = shap.DeepExplainer(([model.inputs], model.output), background)
    return model.explainers["deep"]


@dataclass(frozen=True)
class DeepSHAP:
    """DeepLIFT multipliers averaged over references (Lundberg & Lee 2017, section 4.2), by `shap.DeepExplainer`.

    shap's max-pooling distributes the difference, so the map sums to the score of the image minus the mean score of the
    references; `completeness_gap` is what is missing. Its own check is absolute and is not used.

    Attributes:
        reference: "black", "mean", "grey", "blur", a number or a tuple (see `fills.filled`), or raw images (H, W, C) or
            (R, H, W, C).
    """

    reference: Reference = "black"

    card = Card.of(r"""
        deep_shap (model-agnostic): share of an input value in score − mean score of the references
        needs: gradients, only operations that shap has rules for
        passes: 2 + 2 per reference
        paper: Lundberg & Lee 2017, sec. 4.2 (shap.DeepExplainer)
        maths: M = \frac{1}{R} \sum_{r=1}^{R} m(x, x'_r) \odot (x - x'_r), \qquad \sum_i M_i = f(x) - \frac{1}{R} \sum_r
            f(x'_r)
        misleads: Multipliers are chained layer by layer, which is not a Shapley value of the network; and pixels that
            look like the references get nothing.
        values: signed, shares
    """)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reference", read_reference(self.reference))

    @one_thread()
    def attribute(self, batch: Batch) -> Any:
        """Return the shares, (B, H, W, C), in score units."""
        given = references(batch, self.reference)
        explainer = deep_explainer(batch.classifier, given[0][:1].numpy())
        maps = np.zeros(batch.x.shape, np.float64)
        x, targets = np.asarray(batch.x), np.asarray(batch.targets)
        step = max(1, batch.capacity // 2)  # shap puts the image beside every reference
        for i, refs in enumerate(given):
            scorer(batch.classifier).choose(int(targets[i]))
            for start in range(0, len(refs), step):
                part = refs[start : start + step].numpy()
                explainer.explainer.data = [part]
                with intact_gradients():
                    phi = explainer.shap_values(x[i : i + 1], check_additivity=False)
                maps[i] += np.asarray(phi)[0, ..., 0] * (len(part) / len(refs))
        batch.completeness_gap = (maps.sum(axis=(1, 2, 3)) - score_differences(batch, given)).astype(np.float32)
        return maps.astype(np.float32)
