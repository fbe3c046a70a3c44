"""The arguments of the study of agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from attribeval.common.arguments import check_types
from attribeval.errors import AttribevalError


@dataclass(frozen=True)
class AgreementOptions:
    """What `Evaluator.agreement` is asked to do.

    Attributes:
        results: Finished runs, as results or as folders. At least one of ROAR or BAM, which judge, and one of another
            study, which is judged.
        controls: Whether `random` and `sobel` count as methods. They are easy to tell from all others, so that every
            score agrees better with them.
        resamples: Of the bootstrap.
        level: Of intervals, and 1 − α of what is called told from 0, in (0, 1).
        seed: Of the bootstrap and of the permutations.
    """

    results: Sequence[Any]
    _: KW_ONLY
    controls: bool = False
    resamples: int = 2000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self, resamples=100)
        if not 0 < self.level < 1:
            raise AttribevalError(f"Expected level in (0, 1), such as 0.95. Received: {self.level}.")
