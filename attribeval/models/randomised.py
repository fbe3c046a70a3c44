"""A model whose layers are made random again for a while, by their own initialisers, and then put back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError, unknown
from attribeval.models.classifier import Classifier
from attribeval.models.trace import run

_STATISTICS = "moving_"  # how Keras names the statistics of BatchNormalization


@dataclass(frozen=True, eq=False)
class WeightedLayer:
    """A layer with weights of its own; those of layers inside it are theirs.

    Attributes:
        path: Names of the enclosing layers below the model and of the layer itself, joined by "/"; a second layer of
            the same path has " (2)" behind it.
        position: Place when counted from the output, 0 first. It, not the name, makes the random numbers.
        layer: The layer.
        variables: What can be made random: variables with an initialiser, and trainable ones.
        fixed: Names of the other variables (such as the mean that `Normalization` was adapted to): they always stay.
    """

    path: str
    position: int
    layer: Any
    variables: tuple[Any, ...]
    fixed: tuple[str, ...]


def weighted_layers(classifier: Classifier) -> list[WeightedLayer]:
    """The layers that have weights, from the output to the input: the order of execution, reversed.

    The model is run once inside a graph, and its layers are listened to, so nested, shared and subclassed models need
    no case of their own. A layer that is called several times stands where it is called last. Layers that the output
    does not need are not listed.

    Args:
        classifier: The model.

    Returns:
        The layers, at least one.

    Raises:
        AttribevalError: If the model has no weights.
    """
    finished: list[tuple[str, Any]] = []

    def listen(x: Any) -> Any:
        trace = run(classifier.model, x, classifier.extra.beside(x))
        finished.extend(trace.finished)
        return trace.output

    tf.function(listen, input_signature=[classifier.input_spec], autograph=False).get_concrete_function()
    finished.append((classifier.model.name, classifier.model))  # a subclassed model may have weights of its own
    own: dict[int, list[Any]] = {}
    taken: set[int] = set()
    for _, layer in finished:  # inner layers finish first and take theirs
        if id(layer) not in own:
            idle = {id(v) for inner in getattr(layer, "layers", ()) for v in inner.weights}
            own[id(layer)] = [v for v in layer.weights if id(v) not in taken and id(v) not in idle]
            taken |= {id(v) for v in own[id(layer)]}
    found: list[WeightedLayer] = []
    paths: dict[str, int] = {}
    for path, layer in reversed(finished):
        variables = own.pop(id(layer), [])
        if variables:
            paths[path] = paths.get(path, 0) + 1
            name = path if paths[path] == 1 else f"{path} ({paths[path]})"
            random = tuple(v for v in variables if v.trainable or _initialiser(layer, v) is not None)
            fixed = tuple(v.name for v in variables if not any(v is one for one in random))
            found.append(WeightedLayer(name, len(found), layer, random, fixed))
    if not any(layer.variables for layer in found):
        raise AttribevalError(f"Expected a model with weights. Received {classifier.name!r} without any.")
    return found


def choose_layers(found: Sequence[WeightedLayer], names: Sequence[str]) -> list[WeightedLayer]:
    """Layers by path or name, from the output to the input.

    Raises:
        AttribevalError: If there is no such layer, or a name stands for several (their paths are listed).
    """
    chosen = set()
    for name in names:
        exact = [layer for layer in found if layer.path == name]
        fits = exact or [layer for layer in found if layer.layer.name == name]
        if not fits:
            raise unknown("layer with weights", str(name), [layer.path for layer in found])
        if len(fits) > 1:
            raise AttribevalError(
                f"Expected the path of one layer. Received {name!r}, which stands for "
                f"{', '.join(layer.path for layer in fits)}."
            )
        chosen.add(fits[0].position)
    return [layer for layer in found if layer.position in chosen]


@contextmanager
def randomised(
    classifier: Classifier,
    layers: Sequence[str | WeightedLayer] | None = None,
    *,
    seed: int = 0,
    statistics: bool = False,
) -> Iterator[list[str]]:
    """Make layers random in place, by their own initialisers; put every weight back, bit for bit, at the end.

    Adebayo et al. 2018, section 3: parameters are drawn as they were before training. Compiled functions read weights
    when they run, so all that the classifier (or an Attributer of it) computes inside the block is of the random model.
    So is what other threads compute with the same model meanwhile.

    A variable `v` is drawn by the layer's `v_initializer`, made again from its configuration with a seed of its own:
    the same seed draws the same weights for a layer whichever others are drawn, and the global random state of Keras
    and NumPy stays as it is. Layers that are frozen are drawn like all others.

    Args:
        classifier: The model.
        layers: Paths or names, or what `weighted_layers` gave; None: all.
        seed: Of the weights, any int.
        statistics: Whether the moving mean and variance of BatchNormalization go back to 0 and 1 too. False: they stay,
            as in the code of Adebayo et al., which draws trainable variables alone.

    Yields:
        The paths of the layers made random.

    Raises:
        AttribevalError: If a layer is unknown, or has a trainable variable without an initialiser, or with one that
            cannot be seeded; nothing has been changed then. Variables that are not trainable and have no initialiser
            stay.
    """
    if layers is None:
        chosen = weighted_layers(classifier)
    elif any(isinstance(layer, str) for layer in layers):
        wanted = [layer if isinstance(layer, str) else layer.path for layer in layers]
        chosen = choose_layers(weighted_layers(classifier), wanted)
    else:
        chosen = [layer for layer in layers if not isinstance(layer, str)]
    planned = _plan(chosen, seed, statistics)
    kept = [(variable, np.array(variable.numpy())) for variable, _ in planned]
    try:
        _draw(planned)
        yield [layer.path for layer in chosen]
    finally:
        _put_back(kept)


def draw_weights(classifier: Classifier, seed: int = 0) -> None:
    """Draw all weights for good, statistics too: the model as it is before training, the same for the same seed.

    Raises:
        AttribevalError: As `randomised`.
    """
    _draw(_plan(weighted_layers(classifier), seed, statistics=True))


def _plan(layers: Sequence[WeightedLayer], seed: int, statistics: bool) -> list[tuple[Any, Any]]:
    """Variables and what they are drawn by."""
    return [
        (variable, _seeded(layer, variable, seed))
        for layer in layers
        for variable in layer.variables
        if statistics or not variable.name.startswith(_STATISTICS)
    ]


def _draw(planned: list[tuple[Any, Any]]) -> None:
    for variable, initialiser in planned:
        variable.assign(initialiser(tuple(variable.shape), dtype=variable.dtype))


def _put_back(kept: list[tuple[Any, np.ndarray]]) -> None:
    """Assign every value; an interruption in the middle is raised when all is done."""
    interrupted = None
    while True:
        try:
            for variable, value in kept:
                variable.assign(value)
            break
        except KeyboardInterrupt as error:
            interrupted = error
    if interrupted is not None:
        raise interrupted


def _initialiser(layer: Any, variable: Any) -> Any:
    """What the layer says that the variable is drawn by, or None.

    Keras calls it after the variable, but `recurrent_kernel` has `recurrent_initializer`, and the `kernel` of a
    depthwise convolution `depthwise_initializer`.
    """
    names = [variable.name, variable.name.removesuffix("_kernel")]
    names += ["depthwise"] if variable.name == "kernel" else []
    found = (getattr(layer, f"{name}_initializer", None) for name in names)
    return next((one for one in found if one is not None), None)


def _seeded(layer: WeightedLayer, variable: Any, seed: int) -> Any:
    """The variable's initialiser with a seed that belongs to the layer's position and the variable's name."""
    given = _initialiser(layer.layer, variable)
    if given is None:
        raise AttribevalError(
            f"Expected an initialiser for every trainable variable. Received none for {variable.name!r} of layer "
            f"{layer.path!r} ({type(layer.layer).__name__}): give the layer an attribute {variable.name}_initializer, "
            "or leave it out with layers=[…]."
        )
    given = tf.keras.initializers.get(given)
    if not isinstance(given, tf.keras.initializers.Initializer):
        raise AttribevalError(
            f"Expected a keras.initializers.Initializer, which can be seeded. Received a function for "
            f"{variable.name!r} of layer {layer.path!r}: write it as a subclass with a seed in its configuration."
        )
    config = given.get_config()
    if "seed" in config:
        about = f"{layer.position}/{variable.name}".encode()
        key = int(seed).to_bytes(16, "little", signed=True)
        config["seed"] = int.from_bytes(hashlib.blake2b(about, digest_size=4, key=key).digest(), "little") >> 1
    return type(given).from_config(config)
