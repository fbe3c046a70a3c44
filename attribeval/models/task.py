"""What a model's outputs mean: the one place where scores and probabilities are made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models.logits import ACTIVATIONS, Head, find_logits, last_operation

TaskName = Literal["auto", "multiclass", "multilabel", "binary", "regression"]
TASKS = ("auto", "multiclass", "multilabel", "binary", "regression")
ScoreName = Literal["logit", "output"]


@dataclass(frozen=True)
class Task:
    """How one model's output is read.

    | name | output | classes | score | probability |
    | --- | --- | --- | --- | --- |
    | multiclass | (batch, K), one class of K | K | logit | softmax of the logits, or the output |
    | multilabel | (batch, K), each class by itself | K | logit | sigmoid of the logits, or the output |
    | binary | (batch, 1), z or p = sigmoid(z) | 2 | −z, z | 1 − p, p |
    | regression | (batch, K), quantities | K | the output | none: the output stands for it |
    | score | a function of the outputs, (batch, K) | K | its value | none: its value stands for it |

    Attributes:
        name: One of the table.
        link: "softmax" or "sigmoid", if the output is seen to be made by it; else None.
        score: "logit", "output" (the output itself is the score; of one unit 1 − p and p), or the function.
        units: Columns of the output.
    """

    name: str
    link: str | None
    score: ScoreName | Callable
    units: int

    @property
    def classes(self) -> int:
        """Columns of the scores."""
        return 2 if self.name == "binary" else self.units

    @property
    def has_probabilities(self) -> bool:
        """Whether `probabilities` gives some; otherwise it gives the scores."""
        return self.name not in ("regression", "score")

    def scores(self, output: Any) -> Any:
        """What is explained, (batch, classes); only inside a graph.

        Args:
            output: The model's symbolic output, (batch, units); of a function as score all its outputs.
        """
        if callable(self.score):
            return score_of(self.score, output)
        if self.score == "output":
            return tf.concat([1 - output, output], 1) if self.name == "binary" else output
        if self.name == "regression":
            return output
        logits = find_logits(output).logits
        return both_ways(logits) if self.name == "binary" else logits

    def answer(self, scores: Any, output: Any) -> Any:
        """The output with one column per class: as it is, but for one unit 1 − p and p, or −z and z.

        Args:
            scores: (batch, classes).
            output: (batch, units), or anything for a function as score.
        """
        if callable(self.score) or (self.name == "binary" and self.link is None):
            return scores
        return tf.concat([1 - output, output], 1) if self.name == "binary" else output

    def probabilities(self, scores: Any, answer: Any) -> Any:
        """Probabilities of the classes, (batch, classes); without `has_probabilities` the scores.

        Args:
            scores: (batch, classes).
            answer: What `answer` gave.
        """
        if not self.has_probabilities:
            return scores
        if self.score == "output" or self.link is not None:
            return answer
        return tf.nn.softmax(scores) if self.name == "multiclass" else tf.sigmoid(scores)

    def of_scores(self, scores: Any) -> Any:
        """What `probabilities` gives, from the scores alone."""
        if not self.has_probabilities or self.score == "output":
            return scores
        link = self.link or ("softmax" if self.name == "multiclass" else "sigmoid")
        return tf.nn.softmax(scores) if link == "softmax" else tf.sigmoid(scores)

    def __str__(self) -> str:
        """In a few words, with how to ask for what it may be instead."""
        if self.name == "binary":
            unit = "one sigmoid unit" if self.link else "one unit that is a logit; task='regression' for a quantity"
            return f"binary, {unit}" if self.score == "logit" else "binary, one unit that is a probability"
        if self.name == "multiclass" and self.link is None and self.score == "logit":
            return "multiclass, logits; task='multilabel' or 'regression' if they are something else"
        return self.name if self.link is None else f"{self.name}, {self.link}"


def decide(asked: str, output: Any, score: ScoreName | Callable) -> Task:
    """The task of a model.

    "auto" reads the graph: a softmax is multiclass, a sigmoid of several units multilabel, several other units are the
    logits of a multiclass model. One sigmoid unit is binary. One linear unit is taken for the logit of a binary
    classifier, which is what a classifier that ends so is; one unit behind any other activation (ReLU, softplus, tanh)
    is a quantity: regression.

    Args:
        asked: One of `TASKS`.
        output: The model's symbolic output; of a function as score all its outputs.
        score: As in `Task`.

    Raises:
        AttribevalError: If the output cannot be what is asked for, or is a softmax over one unit.
    """
    if asked not in TASKS:
        raise AttribevalError(f"Expected a task of {', '.join(TASKS)}. Received: {asked!r}.")
    if callable(score):
        if asked != "auto":
            raise AttribevalError(f"Expected no task beside a function as score. Received: task={asked!r}.")
        return Task("score", None, score, int(score_of(score, output).shape[-1]))
    units, head = int(output.shape[-1]), find_logits(output)
    if head.link == "softmax" and units == 1:
        raise AttribevalError(
            "Expected a softmax over several units. Received one over a single unit, which is 1 whatever the image: "
            "end the model in Dense(1, activation='sigmoid') or Dense(2, activation='softmax'), and train it again."
        )
    name = _read_off(head, output, units) if asked == "auto" else asked
    _check(name, head, units)
    return Task(name, head.link, score, units)


def _read_off(head: Head, output: Any, units: int) -> str:
    if units == 1:
        quantity = head.link is None and last_operation(output).type in ACTIVATIONS
        return "regression" if quantity else "binary"
    return "multilabel" if head.link == "sigmoid" else "multiclass"


def _check(name: str, head: Head, units: int) -> None:
    if name == "binary" and units != 1:
        raise AttribevalError(
            f"Expected a model with one output unit for task='binary'. Received {units}: two classes with a unit each "
            "are task='multiclass' (or 'multilabel', each by itself)."
        )
    if name == "multiclass" and units == 1:
        raise AttribevalError(
            "Expected several output units for task='multiclass'. Received one: task='binary' reads it as two classes, "
            "task='regression' as a quantity."
        )
    if head.link == "softmax" and name != "multiclass":
        raise AttribevalError(
            f"Expected a model without a softmax for task={name!r}. Received one that ends in a softmax, whose classes "
            "exclude each other: task='multiclass'."
        )


def score_of(function: Callable, outputs: Any) -> Any:
    """A user's score of the outputs as (batch, K), checked.

    Raises:
        AttribevalError: If its value is no tensor (batch,) or (batch, K).
    """
    value = function(outputs)
    if not tf.is_tensor(value) or value.shape.rank not in (1, 2) or (value.shape.rank == 2 and not value.shape[1]):
        received = tuple(value.shape) if tf.is_tensor(value) else type(value).__name__
        raise AttribevalError(
            f"Expected score to be a function from the model's outputs to (batch,) or (batch, K). Received: {received}."
        )
    return value[:, None] if value.shape.rank == 1 else value


def both_ways(logit: Any) -> Any:
    """The scores −z and z of the logit z of one unit, (batch, 1) → (batch, 2).

    A dense layer that makes the logit becomes one of two units with weights −w and w, so that rules which look at the
    sign of weights treat both classes as those of a model with two units; anything else is multiplied by −1 and 1.
    """
    tensor, bias = logit, None
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    if tensor.op.type in ("BiasAdd", "AddV2") and tensor.op.inputs[1].shape.as_list() == [1]:
        tensor, bias = tensor.op.inputs
    product = tensor.op
    if product.type != "MatMul" or product.get_attr("transpose_a") or product.get_attr("transpose_b"):
        return tf.matmul(logit, tf.constant([[-1, 1]], logit.dtype))
    features, weights = product.inputs
    scores = tf.matmul(features, tf.concat([-weights, weights], 1))
    return scores if bias is None else tf.nn.bias_add(scores, tf.concat([-bias, bias], 0))
