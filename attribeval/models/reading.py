"""How a model is read: which input and output, what that means, what of it is explained, and how exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from attribeval.errors import AttribevalError
from attribeval.models.run_options import Precision, check_precision
from attribeval.models.task import ScoreName, TaskName


@dataclass(frozen=True)
class Reading:
    """What a caller may say of a model beside what its graph tells.

    Attributes:
        score: "logit" explains the value before the softmax or sigmoid; "output" the model's output as it is (of one
            unit 1 − p and p); a function of TensorFlow or keras.ops gets the model's symbolic outputs, all of them,
            and returns what is explained, (batch,) or (batch, K).
        task: What the output means, see `task.decide`; "auto" reads it off the graph.
        output: Name or number of the output, where the model has several.
        inputs: Name or number of the image input, where the model has several.
        precision: "float32", "tf32", "bfloat16" or "float16"; see `run_options.check_precision`.

    Raises:
        AttribevalError: If one is none of these, or this machine does not have the precision.
    """

    score: ScoreName | Callable = "logit"
    task: TaskName = "auto"
    output: str | int | None = None
    inputs: str | int | None = None
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        if self.score not in ("logit", "output") and not callable(self.score):
            raise AttribevalError(f"Expected score 'logit', 'output' or a function. Received: {self.score!r}.")
        if callable(self.score) and self.output is not None:
            raise AttribevalError("Expected no output beside a function as score, which gets all outputs.")
        check_precision(self.precision)
