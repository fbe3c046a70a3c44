"""What a method sees: a few images with their targets and seeds, and a model that answers questions about them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.common.seeds import fold
from attribeval.errors import AttribevalError
from attribeval.models import fields
from attribeval.models.classifier import Classifier


class Batch:
    """A few images that are explained together, each as if it were alone.

    Args:
        classifier: The model.
        x: Model inputs, tensor (B, H, W, C).
        raw: The same images as the caller gave them, float32 array (B, H, W, C); equal to `x` without preprocessing.
            None for points around images, which are model inputs and nothing else.
        targets: Class explained for each image, int tensor (B,). None: the predicted class, which the first question
            to the model then finds on the way.
        seeds: One seed per image, int32 array (B, 2), which depends on the image and the user's seed only, so that
            random methods give the same map whatever the batch, the order or the neighbours; or a function that
            returns them, called if a method asks.
        capacity: How many images the model takes at a time; methods that need many model inputs per image send that
            many at once.
        start: Number of the first image among those that the call explains; None for points around images.
        asked: The targets as `GoingIn.asked` makes them, if they are on the device already.
    """

    def __init__(
        self,
        classifier: Classifier,
        x: Any,
        raw: np.ndarray | None,
        targets: Any,
        seeds: np.ndarray | Callable[[], np.ndarray],
        capacity: int,
        start: int | None = None,
        asked: Any = None,
    ):
        self.start = start
        self.classifier = classifier
        self.x = x
        self._raw = raw
        self._targets = targets
        self._asked = asked
        self._seeds = seeds
        self.capacity = capacity
        self.completeness_gap: Any = None
        self.scores_of_images: Any = None  # (B, classes), once they are known
        self._shared: dict[Hashable, Any] = {}

    def __len__(self) -> int:
        return int(self.x.shape[0])

    @property
    def targets(self) -> Any:
        """Class explained for each image, int32 tensor (B,)."""
        if self._targets is None:
            self._know(self.classifier.forward(self.x)[0])
        return self._targets

    @property
    def asked(self) -> Any:
        """The targets on the device, int64 tensor (B,); −1 as long as the predicted class is not known."""
        if self._asked is None:
            self._asked = self.classifier.going_in.asked(self._targets, len(self))
        return self._asked

    def _know(self, scores: Any) -> None:
        """Keep the scores of the images; their highest are the targets, if no others were given."""
        self.scores_of_images = scores
        if self._targets is None:
            self._asked = tf.argmax(scores, 1)
            self._targets = tf.cast(self._asked, tf.int32)

    @property
    def seeds(self) -> np.ndarray:
        """One seed per image, int32 (B, 2)."""
        if callable(self._seeds):
            self._seeds = self._seeds()
        return self._seeds

    @property
    def raw(self) -> np.ndarray:
        """Raw images, float32 (B, H, W, C); never write into them."""
        if self._raw is None:
            raise AttribevalError(
                "This method works on raw images and cannot be wrapped: a wrapper perturbs the model's own input."
            )
        return self._raw

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the images."""
        return int(self.x.shape[1]), int(self.x.shape[2])

    def share(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """Return `compute()`, evaluated once for all methods that explain this batch and ask with the same key."""
        if key not in self._shared:
            self._shared[key] = compute()
        return self._shared[key]

    # ---------------------------------------------------------------------------------------------- derivatives

    def gradient(self, rule: str = "plain") -> Any:
        """d score / d x at the images, tensor (B, H, W, C); `rule` for rectifiers, see `fields.gradient`."""
        return self.share(("gradient", rule), lambda: self._derived(fields.gradient_and_scores, rule)[0])

    def _derived(self, compute: Callable, option: Any) -> list[Any]:
        """What a function of `fields` gives at the images; on the way it finds the predicted class, if none is set."""
        *found, scores = compute(self.classifier, self.x, self.asked, option)
        if self._targets is None:
            self._know(scores)
        return found

    def maps(self, method: Any) -> Any:
        """The maps of another method on this batch, computed once, channels as in the model's input; for wrappers.

        The other method's completeness gap is its own and does not become the caller's.
        """

        def compute() -> Any:
            kept = self.completeness_gap
            maps = method.attribute(self)
            self.completeness_gap = kept
            # Reversing the channels, which is all that restoring does, puts raw order into the model's order, too.
            return self.classifier.restore_channels(maps) if method.card.raw else maps

        return self.share(("maps", method), compute)

    def target_scores(self) -> Any:
        """The score of each image's target, tensor (B,)."""
        targets = self.targets  # which may bring the scores
        if self.scores_of_images is not None:
            return tf.gather(self.scores_of_images, targets, axis=1, batch_dims=1)
        return self.share("target_scores", lambda: self.scores_at(self.x))

    def scores_at(self, points: Any) -> Any:
        """The score of each image's target at one point per image, model inputs (B, H, W, C): tensor (B,)."""
        return tf.gather(self.classifier.forward(points)[0], self.targets, axis=1, batch_dims=1)

    def activations_and_gradient(self, layer: str | None = None) -> tuple[Any, Any]:
        """A layer's activations and d score / d activations, two tensors (B, h, w, channels)."""
        layer = layer or self.classifier.target_layer
        return self.share(
            ("activations_and_gradient", layer),
            lambda: tuple(self._derived(fields.activations_gradient_and_scores, layer)),
        )

    # --------------------------------------------------------------------------------- many points around images

    def together(self, side_by_side: bool, each: int = 1) -> list[slice]:
        """Which images a method that iterates takes together: one by one, or as many as fit, `each` times each.

        Batches of different size differ in rounding, and iterations make more of it from step to step. One by one, a
        map does not know its batch; side by side, as GPUs need it, it does, by as much as the method's docstring says.
        """
        size = max(1, self.capacity // each) if side_by_side else 1
        return [slice(start, min(start + size, len(self))) for start in range(0, len(self), size)]

    def groups(self, samples: int) -> Iterator[range]:
        """Split samples 0 … samples − 1 into consecutive ranges; each range × B images about fills the capacity."""
        step = max(1, self.capacity // len(self))
        for start in range(0, samples, step):
            yield range(start, min(start + step, samples))

    def at(self, points: Any, samples: range) -> Batch:
        """The batch of `len(samples)` points around every image, for a base method to explain.

        Args:
            points: Model inputs (len(samples) · B, H, W, C), sample after sample: row s · B + b belongs to image b.
            samples: Which samples these are; each gets its own seed.

        Returns:
            A batch of len(samples) · B items with the targets repeated. It has no raw images.
        """
        targets, asked = self.targets, self.asked_of(len(samples))
        targets = targets if len(samples) == 1 else tf.cast(asked, tf.int32)
        return Batch(self.classifier, points, None, targets, lambda: self._folded(samples), self.capacity, asked=asked)

    def asked_of(self, samples: int) -> Any:
        """`asked` of so many points around every image, (samples · B,), sample after sample; the class is known."""
        self.targets  # noqa: B018
        return self.asked if samples == 1 else tf.tile(self.asked, [samples])

    def _folded(self, samples: range) -> np.ndarray:
        return np.concatenate([fold(self.seeds, sample) for sample in samples])

    # -------------------------------------------------------------------------------------------------- geometry

    def resize(self, maps: Any) -> Any:
        """Bilinear interpolation of maps (B, h, w, c) to the size of the images, pixel centres aligned."""
        return tf.image.resize(tf.cast(maps, tf.float32), self.size, method="bilinear")
