"""A function of the user as a method, and the decorator that gives it what a card gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.common.code import code_of
from attribeval.common.user_function import UserFunction, name_of, takes, telling, told
from attribeval.errors import AttribevalError
from attribeval.methods.card import Card
from attribeval.methods.handed import checked

FORMS = "f(images, targets) or f(model, images, targets, seed)"


def method(
    *,
    name: str | None = None,
    signed: bool = True,
    shares: bool = False,
    one_by_one: bool = False,
    family: str = "own",
    summary: str = "",
    paper: str = "",
) -> Callable[[Callable], Callable]:
    """Say of a function of yours what the card of a method says; it stays the function that it was.

    Every study takes the function, decorated or not, wherever it takes the name of a method. Two forms are known, by
    their parameters:

    * `f(images, targets)`: raw images as they were given, float32 (B, H, W, C), and the class explained for each,
      int32 (B,). It knows its model itself, and can be used wherever that model is the one that is explained.
    * `f(model, images, targets, seed)`: for studies that change the model or train others (`sanity`, `bam`,
      recursive ROAR). `model` is the Keras model, images are its own input, behind the preprocessing, and `seed` is an
      int of 0 to 2³¹ − 1.

    Both return maps (B, H, W), (B, H, W, 1) or (B, H, W, C), raw and finite, of the images' size.

    Args:
        name: What tables call it where it stands in a list; None: the function's own name.
        signed: Whether values can be negative with a meaning.
        shares: Whether values are shares of a score, which can be summed: places are then ranked by their sum over
            channels, of which a negative one speaks against the class; otherwise by the sum of absolute values.
        one_by_one: Whether it gets one image at a time, with a seed of that image: for functions that draw from `seed`,
            or that mix the images of a batch, whose maps would depend on the images beside them. Otherwise it gets a
            batch, and the seed of its first image.
        family: Kind of method; "control" for what knows nothing of the model.
        summary, paper: For tables.

    Returns:
        A decorator.

    Raises:
        AttribevalError: If what it is put on cannot be called in one of the forms.

    Example:
        >>> @method(signed=False)
        ... def brightness(images, targets):
        ...     return images.mean(-1)
        >>> brightness(np.ones((2, 4, 4, 3)), None).shape
        (2, 4, 4)
    """
    facts = {
        "name": name, "signed": signed, "shares": shares, "one_by_one": one_by_one, "family": family,
        "summary": summary, "paper": paper,
    }  # fmt: skip

    return telling("method", facts, _form)


@dataclass(frozen=True, eq=False)
class FunctionMethod(UserFunction):
    """A function of the user as a method; `function_method` makes it.

    Attributes:
        takes_model: Whether it is of the form f(model, images, targets, seed).
    """

    takes_model: bool

    one_device = True  # whether the function may be called by several threads nobody knows

    @property
    def card(self) -> Card:
        """What is known about it."""
        needs = "the model" if self.takes_model else "images and classes"
        told = {name: fact for name, fact in self.facts.items() if name != "one_by_one"}
        return Card(self.name, needs=needs, passes="its own", raw=not self.takes_model, **told)

    def attribute(self, batch: Any) -> Any:
        """Return the function's maps, (B, H, W, C) or (B, H, W, 1), checked.

        Raises:
            AttribevalError: If the function fails, or its maps are not one per image, of the images' size and finite.
        """
        images = np.array(batch.x if self.takes_model else batch.raw, np.float32)  # a copy: it may write into it
        targets = np.array(batch.targets, np.int32)
        if not self.facts["one_by_one"]:
            return self._call(batch, images, targets, 0)
        parts = [self._call(batch, images[i : i + 1], targets[i : i + 1], i) for i in range(len(images))]
        return np.concatenate(parts)

    def _call(self, batch: Any, images: np.ndarray, targets: np.ndarray, offset: int) -> np.ndarray:
        first = None if batch.start is None else batch.start + offset
        shape = images.shape
        try:
            if self.takes_model:
                seed = int(batch.seeds[offset, 0]) & 0x7FFFFFFF
                maps = self.function(batch.classifier.model, images, targets, seed)
            else:
                maps = self.function(images, targets)
        except (tf.errors.ResourceExhaustedError, MemoryError, AttribevalError):
            raise
        except Exception as error:
            where = "" if first is None else f" for images {first} to {first + len(images) - 1}"
            raise AttribevalError(
                f"The function {self.name!r} failed{where}: {type(error).__name__}: {error}. It got images {shape}."
            ) from error
        return checked(maps, shape, f"the function {self.name!r}", first)


def function_method(function: Callable, name: str | None = None) -> FunctionMethod:
    """A function in one of the forms of `method`, decorated or not, as a method; by its own name if none is given."""
    name = name or name_of(function)
    facts = (method.__kwdefaults__ or {}) | told(function, "method")
    del facts["name"]
    return FunctionMethod(name, code_of(function), facts, function, _form(function, name))


def _form(function: Any, name: str) -> bool:
    """Whether a function takes the model, by its parameters."""
    if not callable(function):
        raise AttribevalError(f"Expected a function {FORMS}. Received for {name!r}: {type(function).__name__}.")
    try:
        signature = inspect.signature(function)
    except ValueError:  # of compiled code nothing is known
        return False
    names = list(signature.parameters)
    with_model = bool(names) and names[0] == "model"
    if not with_model and takes(signature, 2):
        return False
    if takes(signature, 4):
        return True
    raise AttribevalError(
        f"Expected the function {name!r} as {FORMS}. Received one with the parameters ({', '.join(names)}): wrap it, "
        "lambda images, targets: …"
    )
