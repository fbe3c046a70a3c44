"""Input invariance (Kindermans et al. 2017): a constant in the preprocessing that the model undoes changes no map."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.common.options import check_count
from attribeval.errors import AttribevalError
from attribeval.metrics.card import Card
from attribeval.metrics.robustness.neighbourhood import norms, ratio
from attribeval.metrics.subject import Explained, Subject, checked_pair
from attribeval.models.classifier import Classifier
from attribeval.models.preprocessing import Preprocessing


def input_invariance(maps: np.ndarray, shifted_maps: np.ndarray) -> np.ndarray:
    """‖φ₂(x + c) − φ(x)‖ / ‖φ(x)‖ for two models with f₂(x + c) = f(x) (Kindermans et al. 2017, constant shift).

    Differs from Quantus: it shifts the image of one and the same model, which answers differently then, and asks
    whether the two maps are equal to the last bit. Here the second model takes the shift back, as in the paper.

    Args:
        maps: φ(x), the first model's, (N, H, W) or (N, H, W, C), signed as the method gave them.
        shifted_maps: φ₂(x + c), the second model's, the same shape.

    Returns:
        float64 (N,), 0 or more; 0 up to rounding for methods that are invariant. (x + c) − c is not always x, which
        flips a few rectifiers: 0 to .004 for the gradient of four photographs in MobileNet, 4 for gradient × input. NaN
        for a map of zeros.

    Raises:
        AttribevalError: If shapes do not match, or a map is not finite (naming it).
    """
    maps, shifted_maps = checked_pair(maps, shifted_maps)
    return ratio(norms(shifted_maps - maps), norms(maps))


class ShiftedClassifier(Classifier):
    """A classifier with f₂(x + c) = f(x), where x is the network's own input.

    Its model subtracts c and calls f's model, whose weights it shares; its preprocessing is f's plus c. Without
    preprocessing the images themselves have to be shifted. c is a variable: what was compiled stays right for any c.

    Args:
        classifier: f.
    """

    def __init__(self, classifier: Classifier):
        if classifier.extra:
            raise AttribevalError(
                f"input_invariance shifts models with one input. Received one that takes "
                f"{', '.join(map(repr, classifier.extra.names))} beside the image: leave it out."
            )
        self._shift = tf.Variable(0, trainable=False, dtype=classifier.dtype)
        x = tf.keras.Input(classifier.input_shape, dtype=classifier.dtype)
        # An operation and no layer, so that methods which look for layers find those that they find in f.
        model = tf.keras.Model(x, classifier.model(x - self._shift), name=f"{classifier.model.name}_shifted")
        target = classifier.target_layer
        super().__init__(
            model,
            preprocess=_shifted(classifier.preprocess, self._shift),
            target_layer=None if target is None else f"{classifier.model.name}/{target}",
            reading=replace(classifier.reading, inputs=None),
        )

    def shift_by(self, shift: float) -> ShiftedClassifier:
        """Set c, in units of the network's input."""
        self._shift.assign(shift)
        return self


_seconds: weakref.WeakKeyDictionary[Classifier, ShiftedClassifier] = weakref.WeakKeyDictionary()


def _second(classifier: Classifier) -> ShiftedClassifier:
    """The one that all chunks of images share, so that each method is compiled once."""
    if classifier not in _seconds:
        _seconds[classifier] = ShiftedClassifier(classifier)
    return _seconds[classifier]


def _shifted(preprocess: Callable | None, shift: Any) -> Callable | None:
    if preprocess is None:
        return None
    if isinstance(preprocess, Preprocessing):
        return _ShiftedConvention(**vars(preprocess), shift=shift)
    return _ShiftedFunction(preprocess, shift)


@dataclass(frozen=True, eq=False)
class _ShiftedConvention(Preprocessing):
    """A named preprocessing, plus a variable."""

    shift: Any = None

    def __call__(self, images: Any) -> Any:
        return super().__call__(images) + tf.cast(self.shift, tf.float32)


@dataclass(frozen=True, eq=False)
class _ShiftedFunction:
    """A user's preprocessing, plus a variable."""

    preprocess: Callable
    shift: Any

    def __call__(self, images: Any) -> Any:
        x = tf.convert_to_tensor(self.preprocess(images))
        return x + tf.cast(self.shift, x.dtype)

    def restore_channels(self, maps: np.ndarray) -> np.ndarray:
        restore = getattr(self.preprocess, "restore_channels", None)
        return maps if restore is None else restore(maps)


@dataclass(frozen=True)
class InputInvariance:
    """Input invariance on the leaderboard, for the constant shift.

    The constant is added to the network's input, behind the preprocessing: methods that paint on raw images paint the
    same ones. Without preprocessing the raw images are the network's input, and are shifted.

    Differs from the paper: there the first layer's bias takes the constant back. That is not exact where a convolution
    pads with zeros, so here a subtraction in front of the model does it. Rules that go layer by layer (LRP, deep
    Taylor) hand relevance through the subtraction and pass, where in the paper they depend on their root point.

    Attributes:
        shift: c as a share of the range of the judged images' values at the network's input, of either sign. −1 takes
            images of 0..1 to −1..0, as in the paper.
        images: How many images are judged, the first ones; the others' scores are NaN.
    """

    shift: float = -1.0
    images: int = 25

    card = Card.of(r"""
        input_invariance (robustness): change of the map, as a share of its norm, if a constant is added that the model
            subtracts; 0 is best
        better: low
        passes: 0 + 1 map
        paper: Kindermans et al. 2017, constant shift
        maths: \frac{\Vert \varphi_2(x + c) - \varphi(x) \Vert_2}{\Vert \varphi(x) \Vert_2}, \qquad f_2(x + c) = f(x)
        misleads: It fails methods with a fixed reference point whose user would have shifted that too, and passes
            layer-wise rules (LRP), which see the subtraction as a layer of its own.
        needs: explain, classifier
    """)

    def __post_init__(self):
        number = isinstance(self.shift, (int, float)) and not isinstance(self.shift, bool)
        if not number or not math.isfinite(self.shift) or self.shift == 0:
            raise AttribevalError(f"Expected shift to be a number other than 0. Received: {self.shift!r}.")
        check_count("images", self.images, least=1)

    def prepare(self, subject: Subject) -> tuple[ShiftedClassifier, np.ndarray]:
        """The second model, and the images that it is shown."""
        shift = self._shift(subject)
        images = subject.images[: self.images]
        shown = images + np.float32(shift) if subject.model.preprocess is None else images
        return _second(subject.model).shift_by(shift), shown

    def _shift(self, subject: Subject) -> float:
        """c, rounded to float32, as images are, so that what is added is what the model subtracts."""

        def compute() -> float:
            inputs = np.asarray(subject.model.prepare(subject.images[: self.images]))
            shift = float(np.float32(self.shift * (float(inputs.max()) - float(inputs.min()))))
            if shift == 0:
                raise AttribevalError("Expected images with a range of values. Received: one value throughout.")
            return shift

        return subject.share(("input shift", self.shift, self.images), compute)

    def score(
        self, subject: Subject, prepared: tuple[ShiftedClassifier, np.ndarray], explained: Explained
    ) -> np.ndarray:
        """As `input_invariance`, (N,); NaN also for images that were not judged."""
        if explained.explain_with is None:
            raise AttribevalError(
                "input_invariance explains a second model. Received maps without `explain_with`: pass the method."
            )
        classifier, images = prepared
        classifier.shift_by(self._shift(subject))  # other images, or other options, may have set another one since
        judged = slice(len(images))
        maps = explained.explain_with(classifier, images, subject.targets[judged], subject.seeds[judged])
        return subject.of_first(input_invariance(explained.values[judged], maps))
