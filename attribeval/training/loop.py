"""One training, the same loop on one device, on many, and on many machines.

`Model.fit` is not used: in Keras 3 it fails under `MultiWorkerMirroredStrategy`, and one loop for all is easier to
trust than two. Callbacks see the same calls as from `fit`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models.run_options import tf32
from attribeval.training.evaluation import logits_of
from attribeval.training.recipe import Recipe

_CALL_SECONDS, _MOST_STEPS, _TIMED = 0.25, 256, 4  # the first of the timed steps compiles; the fastest counts
Batches = Callable[[int, tuple[int, int]], Any]


@dataclass
class History:
    """What happened while training: one number per epoch."""

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def train(
    model: Any, batches: Batches, images: int, recipe: Recipe, strategy: Any, callbacks: Sequence[Any] = ()
) -> History:
    """Train a model in place.

    Args:
        model: A Keras classifier made in the strategy's scope; its output is probabilities by a softmax, or logits; or
            one unit, a sigmoid or its logit, for two classes.
        batches: Called with a batch size and (which, of how many) pipelines; returns the endless `tf.data.Dataset` of
            (model inputs (B, H, W, C), labels (B,)) that one worker's replicas take in turn.
        images: Training images, for the length of an epoch.
        recipe: The training.
        strategy: The batch is split over its replicas.
        callbacks: Keras callbacks; they may stop the training (`model.stop_training`). Of batches they hear the last
            of every call of the compiled loop, as from `fit`: of each, unless the recipe has steps_per_execution.
    """
    if recipe.batch_size % strategy.num_replicas_in_sync:
        raise AttribevalError(
            f"Expected a batch_size that {strategy.num_replicas_in_sync} replicas can share evenly. Received: "
            f"{recipe.batch_size}."
        )
    if recipe.jit_compile and strategy.num_replicas_in_sync > 1:
        raise AttribevalError(
            f"Expected one device for jit_compile. Received {strategy.num_replicas_in_sync} replicas: leave it out."
        )
    with tf32(recipe.precision == "tf32"):
        return _train(model, batches, images, recipe, strategy, callbacks)


def _train(
    model: Any, batches: Batches, images: int, recipe: Recipe, strategy: Any, callbacks: Sequence[Any]
) -> History:
    steps = recipe.total_steps(images)
    per_epoch = -(-images // recipe.batch_size)
    with strategy.scope():
        optimizer = recipe.make_optimizer(images)
        optimizer.build(model.trainable_variables)
        model.optimizer = optimizer
    run = _train_steps(_train_step(model, optimizer, recipe), recipe, strategy)
    pace = _Pace(recipe.steps_per_execution or (1 if callbacks else None))
    stream = iter(strategy.distribute_datasets_from_function(lambda context: _for_worker(batches, recipe, context)))
    history, done, epoch = History(), 0, 0
    listeners = tf.keras.callbacks.CallbackList(
        list(callbacks), model=model, epochs=-(-steps // per_epoch), steps=per_epoch, verbose=0
    )
    model.stop_training = False
    listeners.on_train_begin()
    while done < steps and not model.stop_training:
        begun, count = time.perf_counter(), min(per_epoch, steps - done)
        losses, right = 0.0, 0.0
        listeners.on_epoch_begin(epoch)
        k = 0
        while k < count:
            listeners.on_train_batch_begin(k)
            loss, correct = pace.run(run, stream, count - k)
            losses, right, k = losses + loss, right + correct, k + pace.steps
            listeners.on_train_batch_end(k - 1, {"loss": loss / pace.steps} if callbacks else None)
        done += count
        history.loss.append(float(losses) / count)
        history.accuracy.append(float(right) / (count * recipe.batch_size))
        history.seconds.append(time.perf_counter() - begun)
        if not np.isfinite(history.loss[-1]):
            raise AttribevalError(
                f"Expected a finite loss. Received {history.loss[-1]} before step {done} of {steps}: lower the "
                "recipe's learning_rate or lengthen its warm-up."
            )
        listeners.on_epoch_end(epoch, {"loss": history.loss[-1], "accuracy": history.accuracy[-1]})
        epoch += 1
    listeners.on_train_end()
    return history


def _for_worker(batches: Batches, recipe: Recipe, context: Any) -> Any:
    """Batches of one replica's size; a worker's replicas take consecutive ones, together one batch of the recipe."""
    size = context.get_per_replica_batch_size(recipe.batch_size)
    return batches(size, (context.input_pipeline_id, context.num_input_pipelines))


class _Pace:
    """How many steps one call of the compiled loop makes: a given number, or as many as take about a quarter second.

    A call costs the host up to a millisecond or two, which a small net's step on a GPU costs, too.
    """

    def __init__(self, given: int | None):
        self.given = given
        self.steps = 0  # of the last call
        self._timed: list[float] = []

    def run(self, loop: Callable, stream: Any, left: int) -> tuple[Any, Any]:
        """Call the loop for at most `left` steps; return its sums of losses and of right answers."""
        timed = len(self._timed) == _TIMED
        self.steps = min(self.given or (steps_per_call(min(self._timed)) if timed else 1), left)
        begun = time.perf_counter()
        sums = loop(stream, tf.constant(self.steps))
        if self.given is None and not timed:
            float(sums[0])  # wait for the device
            self._timed.append(time.perf_counter() - begun)
        return sums


def steps_per_call(seconds: float) -> int:
    """How many steps, each of so many seconds, one call of the compiled loop makes where nothing else is asked for."""
    return max(1, min(_MOST_STEPS, int(_CALL_SECONDS / seconds)))


def _train_steps(step: Callable, recipe: Recipe, strategy: Any) -> Callable:
    """The compiled loop: (stream, number of steps) → sums of their losses and right answers, kept on the device."""
    add = tf.distribute.ReduceOp.SUM
    on_replica = tf.function(step, autograph=False, jit_compile=True) if recipe.jit_compile else step

    @tf.function(autograph=False)
    def run(stream, count):
        def one(k, losses, right):
            loss, correct = strategy.run(on_replica, args=next(stream))
            return (
                k + 1,
                losses + strategy.reduce(add, loss, axis=None),
                right + strategy.reduce(add, correct, axis=None),
            )

        return tf.while_loop(lambda k, *_: k < count, one, (0, 0.0, 0.0), parallel_iterations=1)[1:]

    return run


def _train_step(model: Any, optimizer: Any, recipe: Recipe) -> Callable:
    """One step on one replica: (images, labels) → loss and number of right answers."""
    left_out, decayed = _not_decayed(model), []
    if recipe.optimizer == "adamw":
        optimizer.exclude_from_weight_decay(var_list=left_out)
    elif recipe.weight_decay:
        decayed = [v for v in model.trainable_variables if not any(v is one for one in left_out)]

    def on_replica(x, y):
        with tf.GradientTape() as tape:
            logits = logits_of(model, x, training=True)
            classes = logits.shape[-1]
            target = tf.one_hot(y, classes) * (1 - recipe.label_smoothing) + recipe.label_smoothing / classes
            each = tf.nn.softmax_cross_entropy_with_logits(target, logits)
            data_loss = tf.nn.compute_average_loss(each, global_batch_size=recipe.batch_size)
            extra = [tf.cast(loss, tf.float32) for loss in model.losses]
            extra += [recipe.weight_decay * tf.nn.l2_loss(tf.cast(v.value, tf.float32)) for v in decayed]
            loss = data_loss + (tf.nn.scale_regularization_loss(tf.add_n(extra)) if extra else 0.0)
            scaled = optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        right = tf.reduce_sum(tf.cast(tf.argmax(logits, 1, tf.int32) == y, tf.float32))
        return data_loss, right

    return on_replica


def _not_decayed(model: Any) -> list[Any]:
    """Trainable variables of BatchNormalization layers, at any depth."""
    kind = tf.keras.layers.BatchNormalization
    return [v for layer in model._flatten_layers() if isinstance(layer, kind) for v in layer.trainable_variables]
