"""The arguments of the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from os import PathLike
from typing import TYPE_CHECKING

from attribeval.common.arguments import check_types
from attribeval.errors import AttribevalError

if TYPE_CHECKING:
    from attribeval.methods.given import Given


@dataclass(frozen=True)
class Options:
    """How much of a map lies in the middle of the image.

    Attributes:
        methods: Methods to score.
        side: Side of the middle, as a share of the image's, in (0, 1].
        seed: Seed of everything random.
        run_dir: A folder for what is measured; the same call goes on there.
    """

    methods: Given | Sequence[Given] | Mapping[str, Given] = ("gradient", "gradcam")
    _: KW_ONLY
    side: float = 0.5
    seed: int = 0
    run_dir: str | PathLike | None = None

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 < self.side <= 1:
            raise AttribevalError(f"Expected side in (0, 1]. Received: {self.side}.")
