"""DeepLIFT by its authors' package, for small nets that are chains: the reference that our own method is held to.

`deeplift` 0.6.13 was written for TensorFlow 1 and an older Keras. Its layers still work when its modules are given
`tf.compat.v1` and run in a Graph and Session of their own; its converter from Keras does not, so this file has one.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.backends.columns import check_columns
from attribeval.common.options import check_choice
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch
from attribeval.methods.shap_bridge import read_reference, references, score_differences
from attribeval.models.classifier import Classifier

RULES = ("rescale", "reveal_cancel")
MAX_PARAMETERS = 1_000_000
MAX_VALUES = 128 * 128 * 3
_OURS = "use our own engine (backend=None)"


@functools.cache
def _package() -> Any:
    """The package's modules, given TensorFlow 1's names."""
    try:
        import deeplift.models
    except ImportError as error:
        raise AttribevalError(f"Could not import deeplift: {error}. pip install deeplift PyYAML.") from error
    for name, module in list(sys.modules.items()):
        if name.startswith("deeplift.") and hasattr(module, "tf"):
            vars(module)["tf"] = tf.compat.v1
    return deeplift


def chain(model: Any) -> list[Any]:
    """The layers of a Sequential or Functional model that is a chain, nested chains unfolded, in order.

    Raises:
        AttribevalError: If the model is subclassed, branches, or uses a layer twice.
    """
    if not getattr(model, "inputs", None):
        raise AttribevalError(f"The deeplift package needs a chain of layers. Received a subclassed model: {_OURS}.")
    layers, last = [], model.inputs[0]
    for layer in (one for one in model.layers if not isinstance(one, tf.keras.layers.InputLayer)):
        nodes = [n for n in layer._inbound_nodes if n.input_tensors and n.input_tensors[0] is last]
        if len(nodes) != 1 or len(nodes[0].input_tensors) != 1:
            raise AttribevalError(
                f"The deeplift package needs a chain of layers. Layer {layer.name!r} is not fed by the layer before it "
                f"alone: {_OURS}."
            )
        last = nodes[0].output_tensors[0]
        layers += chain(layer) if isinstance(layer, tf.keras.Model) else [layer]
    return layers


def _activation(layer: Any, function: Any, last: bool, score: Any) -> list[Any]:
    kinds = _package().layers
    name = getattr(function, "__name__", str(function))
    if name == "linear" or (last and score == "logit" and name in ("softmax", "sigmoid")):
        return []
    classes = {"relu": kinds.ReLU, "sigmoid": kinds.Sigmoid, "tanh": kinds.Tanh}
    if name not in classes:
        raise AttribevalError(
            f"The deeplift package has no rule for activation {name!r} of layer {layer.name!r}: {_OURS}."
        )
    return [classes[name](nonlinear_mxts_mode="Rescale", name=f"{layer.name}_{name}", verbose=False)]


def _convert(layer: Any, weights: dict[str, np.ndarray], last: bool, score: Any) -> list[Any]:
    """One Keras layer as layers of the package; called inside the private graph, so it reads no Keras variable."""
    kinds, keras = _package().layers, tf.keras.layers
    common = {"name": layer.name, "verbose": False}
    if isinstance(layer, (keras.Dropout, keras.SpatialDropout2D, keras.GaussianNoise)):
        return [kinds.NoOp(**common)]
    if isinstance(layer, keras.Flatten):
        return [kinds.Flatten(**common)]
    if isinstance(layer, keras.ReLU):
        if layer.max_value is not None or layer.negative_slope or layer.threshold:
            raise AttribevalError(
                f"The deeplift package has no rule for ReLU {layer.name!r} with a maximum, slope or threshold: {_OURS}."
            )
        return _activation(layer, tf.keras.activations.relu, last, score)
    if isinstance(layer, (keras.Activation, keras.Softmax)):
        function = getattr(layer, "activation", tf.keras.activations.softmax)
        return _activation(layer, function, last, score)
    if type(layer) is keras.Dense:
        dense = kinds.Dense(kernel=weights["kernel"], bias=weights["bias"], dense_mxts_mode="Linear", **common)
        return [dense, *_activation(layer, layer.activation, last, score)]
    if type(layer) is keras.Conv2D and layer.dilation_rate == (1, 1) and layer.groups == 1:
        conv = kinds.Conv2D(
            kernel=tf.constant(weights["kernel"]),  # held once as a tensor, or every use copies it into the graph
            bias=weights["bias"],
            strides=layer.strides,
            padding=layer.padding.upper(),
            data_format="channels_last",
            conv_mxts_mode="Linear",
            **common,
        )
        return [conv, *_activation(layer, layer.activation, last, score)]
    if type(layer) is keras.BatchNormalization:
        return [kinds.BatchNormalization(axis=layer.axis, epsilon=layer.epsilon, **weights, **common)]
    pool = {"strides": getattr(layer, "strides", None), "data_format": "channels_last", **common}
    if type(layer) is keras.MaxPooling2D:
        pool |= {"pool_size": layer.pool_size, "padding": layer.padding.upper(), "maxpool_deeplift_mode": "gradient"}
        return [kinds.MaxPool2D(**pool)]
    if type(layer) is keras.AveragePooling2D:
        return [kinds.AvgPool2D(**pool, pool_size=layer.pool_size, padding=layer.padding.upper())]
    if type(layer) is keras.GlobalAveragePooling2D and not layer.keepdims:
        size = tuple(layer.input.shape[1:3])  # the package has none: one window over everything, then flat
        whole = kinds.AvgPool2D(**(pool | {"strides": size}), pool_size=size, padding="VALID")
        return [whole, kinds.Flatten(name=f"{layer.name}_flat", verbose=False)]
    raise AttribevalError(
        f"The deeplift package cannot convert layer {layer.name!r} ({type(layer).__name__}): {_OURS}."
    )


def _weights(layer: Any) -> dict[str, np.ndarray]:
    """The weights of a layer under the package's names; what the layer does without is 0 or 1."""
    keras = tf.keras.layers
    if isinstance(layer, keras.BatchNormalization):
        mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
        gamma = layer.gamma.numpy() if layer.scale else np.ones_like(mean)
        beta = layer.beta.numpy() if layer.center else np.zeros_like(mean)
        return {"gamma": gamma, "beta": beta, "mean": mean, "var": variance}
    if isinstance(layer, (keras.Dense, keras.Conv2D)):
        kernel = layer.kernel.numpy()
        return {"kernel": kernel, "bias": layer.bias.numpy() if layer.use_bias else np.zeros(kernel.shape[-1], "f")}
    return {}


def _choose_rules(converted: list[Any], rule: str) -> None:
    """Rescale everywhere; or, as its authors advise, RevealCancel at the activations of dense layers.

    The package's own "DeepLIFT_GenomicsDefault" does this too, but fails on an activation after pooling.
    """
    kinds, linear = _package().layers, None
    for layer in converted:
        if isinstance(layer, kinds.Activation):
            cancel = rule == "reveal_cancel" and isinstance(linear, kinds.Dense)
            layer.nonlinear_mxts_mode = "RevealCancel" if cancel else "Rescale"
        elif not isinstance(layer, (kinds.NoOp, kinds.BatchNormalization)):
            linear = layer


def build(classifier: Classifier, rule: str) -> Callable[[np.ndarray, np.ndarray, int], np.ndarray]:
    """Convert a model and return a function of (x, references, target) that gives contributions, all (N, H, W, C).

    Raises:
        AttribevalError: If the model is too big, no chain, or has a layer that cannot be converted (named).
    """
    check_columns(classifier, "The deeplift package")
    parameters, shape = classifier.model.count_params(), classifier.input_shape
    values = math.prod(side or MAX_VALUES + 1 for side in shape)
    if parameters > MAX_PARAMETERS or values > MAX_VALUES:
        raise AttribevalError(
            f"The deeplift package takes minutes and gigabytes on big nets: expected at most {MAX_PARAMETERS:,} "
            f"parameters and inputs of at most 128 × 128 × 3. Received: {parameters:,} parameters, input {shape}: "
            f"{_OURS}."
        )
    package = _package()
    layers = chain(classifier.model)
    weights = [_weights(layer) for layer in layers]  # before the graph is entered: there, variables cannot be read
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph)

    def run(function: Callable[[], Any]) -> Any:
        with graph.as_default():
            kept, package.util._SESS = package.util._SESS, session
            try:
                return function()
            finally:
                package.util._SESS = kept

    def make() -> tuple[Any, Any]:
        converted: list[Any] = [package.layers.Input(batch_shape=(None, *shape), name="input")]
        for layer, own in zip(layers, weights, strict=True):
            converted += _convert(layer, own, layer is layers[-1], classifier.score)
        if not isinstance(converted[-1], package.layers.Dense):
            raise AttribevalError(f"The deeplift package needs a last layer of type Dense: {_OURS}.")
        _choose_rules(converted, rule)
        package.util.connect_list_of_layers(converted)
        converted[-1].build_fwd_pass_vars()
        model = package.models.SequentialModel(converted)
        contributions = model.get_target_contribs_func(find_scores_layer_idx=0, target_layer_idx=-1)
        return converted, contributions

    converted, contributions = run(make)
    probe = np.random.default_rng(0).normal(size=(2, *(side or 1 for side in shape))).astype(np.float32)
    feed = {converted[0].get_activation_vars(): probe}
    theirs = session.run(converted[-1].get_activation_vars(), feed)
    ours = classifier.forward(tf.constant(probe, classifier.dtype))[0].numpy()
    if not np.allclose(theirs, ours, rtol=1e-3, atol=1e-3 * max(1.0, float(np.abs(ours).max()))):
        raise AttribevalError(f"The model converted for the deeplift package does not give the same scores: {_OURS}.")

    def explain(x: np.ndarray, refs: np.ndarray, target: int) -> np.ndarray:
        return np.array(run(lambda: contributions(target, [x], len(x), None, [refs])))

    return explain


@dataclass(frozen=True)
class DeepLIFT:
    """`deeplift` 0.6.13: contributions by Rescale or RevealCancel; its max-pooling is the plain gradient.

    With max-pooling, therefore, the map need not sum to the difference of scores; `completeness_gap` says by how much.

    Attributes:
        rule: "rescale"; or "reveal_cancel" at the activations of dense layers and Rescale elsewhere.
        reference: "black", "mean", "grey", "blur", a number or a tuple, or raw images (H, W, C) or (R, H, W, C).
    """

    rule: str = "rescale"
    reference: Any = "black"

    def __post_init__(self) -> None:
        check_choice("rule", self.rule, RULES)
        object.__setattr__(self, "reference", read_reference(self.reference))

    def attribute(self, batch: Batch) -> Any:
        """Return the contributions, (B, H, W, C), in score units."""
        explain = batch.share(("deeplift package", self.rule), lambda: build(batch.classifier, self.rule))
        given = references(batch, self.reference)
        x = np.asarray(batch.x, dtype=np.float32)
        maps = np.zeros(x.shape, np.float64)
        for i, (refs, target) in enumerate(zip(given, np.asarray(batch.targets), strict=True)):
            for reference in refs.numpy().astype(np.float32):
                maps[i] += explain(x[i : i + 1], reference[None], int(target))[0] / len(refs)
        batch.completeness_gap = (maps.sum(axis=(1, 2, 3)) - score_differences(batch, given)).astype(np.float32)
        return maps.astype(np.float32)
