"""Known answers on the user's machine.

A check is a function that returns a `Check`; to add one, put it into `KNOWN` (needs nothing) or `OF_MODEL` (asks the
user's model). `tests/test_selftest.py` breaks what each of them checks, and sees it fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attribeval.attributer import Attributer
from attribeval.selftest.by_hand import KNOWN
from attribeval.selftest.check import Check
from attribeval.selftest.of_model import OF_MODEL, Asked


def selftest(attributer: Attributer, images: Any, *, seed: int = 0) -> Iterator[Check]:
    """Make all checks, one after another.

    Args:
        attributer: The user's model.
        images: A few images as `Attributer.explain` takes them, two or more.
        seed: Of everything random.

    Yields:
        The checks as they are done; one that raises an error has failed, and says with what.
    """
    asked = Asked(attributer, images, seed)
    for known in KNOWN:
        yield _made(known)
    for check in OF_MODEL:
        yield _made(check, asked)


def _made(check: Callable[..., Check], *given: Any) -> Check:
    try:
        return check(*given)
    except Exception as error:  # whatever it is, it is no right answer
        text = " ".join(str(error).split())[:200]
        return Check(check.__name__.replace("_", " "), "an answer", f"{type(error).__name__}: {text}", False)
