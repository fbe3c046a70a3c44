"""How every cell of the grid is trained: one plain object that JSON can hold, and the paper's three as presets."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any, Literal

from attribeval import _tf as tf
from attribeval.common.options import check_choice, check_count, check_positive
from attribeval.errors import AttribevalError, unknown
from attribeval.models.run_options import PRECISIONS, Precision
from attribeval.training.augment import Augment

Optimizer = Literal["sgd", "adam", "adamw"]
Schedule = Literal["constant", "cosine", "drops"]


@dataclass(frozen=True)
class Recipe:
    """A training from random initialisation.

    Attributes:
        epochs: Passes over the training images; or give `steps`.
        steps: Optimizer steps; None computes them from `epochs`. Batches cross the border of epochs, so all are full.
        batch_size: Images per step, over all devices together.
        optimizer: "sgd" (momentum), "adam" or "adamw".
        learning_rate: The peak of the schedule.
        momentum: Of "sgd".
        nesterov: Of "sgd".
        schedule: "constant"; "cosine" down to 0; "drops": × 0.1 at each of `drops`. All after a linear warm-up.
        warmup_epochs: Epochs in which the rate grows linearly from 0 to its peak.
        drops: Epochs at which "drops" divides the rate by ten.
        weight_decay: λ. For "sgd" and "adam" the loss gets λ/2 · Σ w² over all trainable variables but those of
            BatchNormalization (as the reference code does); "adamw" decays the same variables decoupled from the loss.
        label_smoothing: ε: the target is 1 − ε + ε/K for the label and ε/K for the others.
        augment: How training images are varied, after the fill; None: not at all.
        precision: "float32" (true float32, whatever the process allows GPUs to round); "tf32"; "bfloat16" or "float16":
            layers compute in that type and keep float32 weights, Keras' mixed policies (the loss of float16 is scaled).
        steps_per_execution: Steps that one call of the compiled loop makes; None: as many as take a quarter second,
            1 if callbacks listen. The numbers are the same.
        jit_compile: Whether XLA compiles the step; for one device.
    """

    epochs: float | None = None
    steps: int | None = None
    batch_size: int = 64
    optimizer: Optimizer = "adamw"
    learning_rate: float = 3e-3
    momentum: float = 0.9
    nesterov: bool = True
    schedule: Schedule = "cosine"
    warmup_epochs: float = 1.0
    drops: tuple[float, ...] = ()
    weight_decay: float = 1e-4
    label_smoothing: float = 0.0
    augment: Augment | None = field(default=None)
    precision: Precision = "float32"
    steps_per_execution: int | None = None
    jit_compile: bool = False

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise AttribevalError("Expected a recipe with either epochs or steps. Received both or neither.")
        if self.epochs is not None:
            check_positive("epochs", self.epochs)
        else:
            check_count("steps", self.steps, 1)
        check_count("batch_size", self.batch_size, 1)
        check_choice("optimizer", self.optimizer, ("sgd", "adam", "adamw"))
        check_choice("schedule", self.schedule, ("constant", "cosine", "drops"))
        check_positive("learning_rate", self.learning_rate)
        for name in ("momentum", "warmup_epochs", "weight_decay", "label_smoothing"):
            value = getattr(self, name)
            if not 0 <= value < (1 if name in ("momentum", "label_smoothing") else math.inf):
                raise AttribevalError(f"Expected {name} of 0 or more (below 1 for shares). Received: {value!r}.")
        if isinstance(self.augment, dict):
            object.__setattr__(self, "augment", Augment(**self.augment))
        object.__setattr__(self, "drops", tuple(self.drops))
        if self.schedule == "drops" and not self.drops:
            raise AttribevalError("Expected drops=(epoch, …) for schedule='drops'. Received none.")
        check_choice("precision", self.precision, PRECISIONS)
        if self.steps_per_execution is not None:
            check_count("steps_per_execution", self.steps_per_execution, 1)

    @property
    def policy(self) -> str | None:
        """Keras' dtype policy of the model, None for the model's own."""
        return f"mixed_{self.precision}" if self.precision in ("bfloat16", "float16") else None

    def total_steps(self, images: int) -> int:
        """Optimizer steps for so many training images: at least one."""
        if self.epochs is None:
            return self.steps or 1
        return max(1, round(self.epochs * images / self.batch_size))

    def rate(self, images: int) -> Any:
        """The learning rate by step, a `keras.optimizers.schedules.LearningRateSchedule`."""
        return _schedule(self, self.total_steps(images), images / self.batch_size)

    def make_optimizer(self, images: int) -> Any:
        """The Keras optimizer; call it in the scope of the strategy."""
        optimizers, rate = tf.keras.optimizers, self.rate(images)
        if self.optimizer == "sgd":
            made = optimizers.SGD(rate, momentum=self.momentum, nesterov=self.nesterov and self.momentum > 0)
        elif self.optimizer == "adam":
            made = optimizers.Adam(rate)
        else:
            made = optimizers.AdamW(rate, weight_decay=self.weight_decay)
        return optimizers.LossScaleOptimizer(made) if self.precision == "float16" else made

    def to_json(self) -> dict[str, Any]:
        """Plain values; `Recipe(**values)` makes it again."""
        return json.loads(json.dumps(dataclasses.asdict(self)))  # tuples become lists, as they come back from a file


def _schedule(recipe: Recipe, steps: int, steps_per_epoch: float) -> Any:
    warmup = min(round(recipe.warmup_epochs * steps_per_epoch), steps - 1)
    drops = [round(epoch * steps_per_epoch) for epoch in recipe.drops]

    class Rate(tf.keras.optimizers.schedules.LearningRateSchedule):
        """Warm-up, then the recipe's schedule."""

        def __call__(self, step):
            step = tf.cast(step, tf.float32)
            factor = tf.constant(1.0)
            if recipe.schedule == "cosine":
                share = tf.clip_by_value((step - warmup) / max(steps - warmup, 1), 0.0, 1.0)
                factor = 0.5 * (1 + tf.cos(math.pi * share))
            elif recipe.schedule == "drops":
                passed = tf.add_n([tf.cast(step >= drop, tf.float32) for drop in drops])
                factor = tf.pow(0.1, passed)
            grown = tf.minimum(1.0, (step + 1) / (warmup + 1)) if warmup else 1.0
            return recipe.learning_rate * factor * grown

        def get_config(self):
            return {"recipe": recipe.to_json(), "steps": steps, "steps_per_epoch": steps_per_epoch}

    return Rate()


# REFERENCES of the presets: Hooker et al. 2019, section 6.1 and table 1 (rates, steps), and the code that they
# released (batch sizes, rate × batch / 256, momentum, L2, smoothing, warm-up, drops, crops and flips).
_PAPER = Recipe(
    steps=20_000,
    batch_size=256,
    optimizer="sgd",
    learning_rate=1.0,
    schedule="drops",
    warmup_epochs=5,
    drops=(30, 60, 80),
    weight_decay=1e-4,
    label_smoothing=0.1,
    augment=Augment(flip=True, crop=(0.08, 1.0)),
)
RECIPES: dict[str, Recipe] = {
    "small": Recipe(epochs=8),
    "cifar10": Recipe(epochs=15, weight_decay=5e-4, augment=Augment(flip=True, shift=4)),
    "imagenet": dataclasses.replace(_PAPER, steps=32_000, batch_size=4096, learning_rate=1.6),
    "birdsnap": _PAPER,
    "food101": dataclasses.replace(_PAPER, learning_rate=0.7),
}


def find_recipe(recipe: str | Recipe) -> Recipe:
    """A preset by its name, or the recipe itself."""
    if isinstance(recipe, Recipe):
        return recipe
    if not isinstance(recipe, str):
        raise AttribevalError(f"Expected a Recipe, or the name of one. Received: {type(recipe).__name__}.")
    if recipe not in RECIPES:
        raise unknown("recipe", recipe, RECIPES)
    return RECIPES[recipe]
