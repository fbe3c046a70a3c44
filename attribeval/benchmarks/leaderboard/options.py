"""The arguments of the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from attribeval.common.arguments import check_types
from attribeval.errors import AttribevalError

if TYPE_CHECKING:
    from attribeval.methods.given import Given


@dataclass(frozen=True)
class CompareOptions:
    """What `Evaluator.compare` is asked to do.

    Attributes:
        methods: Methods to compare. None: quick ones of all families. Names, objects, functions and ready maps, all
            kinds mixed, in a list or in a mapping from labels: see `methods.given.methods_of`. Random noise and Sobel
            edges are always among them. A benchmark that explains other images or models has no number for ready maps,
            and says so.
        benchmarks: Benchmarks, name or name(option=value). None: all that the data allow. Names
            (`attribeval bench --list`), objects, and functions `f(maps, images, targets)` or
            `f(maps, images, targets, predict)`, all kinds mixed, in a list or in a mapping from labels: see
            `plan.choose_benchmarks`.
        targets: Classes to explain. "predicted" are the model's own, "label" the data set's.
        strict: A method or benchmark that fails is an error. Otherwise it is a row that says why, and the others go on.
        seed: Seed of everything random.
        batch_size: Images that the model takes at a time. None: the Attributer's. Never changes a result beyond
            rounding.
        chunk: Images at work together, 1 or more. Their maps by all methods are in memory, 4 bytes a pixel and method
            for their agreement.
        run_dir: A folder for finished cells; the same call continues there. Methods, benchmarks and images may be
            added; whatever changes a number makes new cells beside the old; a damaged one is made again; several
            processes may work on one folder.
        cache: A folder for maps, found again by all that makes them. None: in the run directory. False keeps none. All
            that makes them are model, options, pixels, class and seed.
        progress: Whether to show a progress bar. None: on a terminal or in a notebook.
    """

    methods: Given | Sequence[Given] | Mapping[str, Given] | None = None
    benchmarks: Any | Sequence[Any] | Mapping[str, Any] | None = None
    _: KW_ONLY
    targets: Literal["predicted", "label"] = "predicted"
    strict: bool = False
    seed: int = 0
    batch_size: int | None = None
    chunk: int = 25
    run_dir: str | PathLike | None = None
    cache: str | PathLike | bool | None = None
    progress: bool | None = None

    def __post_init__(self) -> None:
        check_types(self, batch_size=1, chunk=1)
        if self.cache is True:
            raise AttribevalError("Expected cache as a folder, None or False. Received: True.")
