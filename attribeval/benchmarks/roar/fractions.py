"""Which shares of the values are removed or kept."""

from __future__ import annotations

from collections.abc import Sequence

from attribeval.errors import AttribevalError

MOST = 15  # fractions: with 16 levels two values still share a byte


def check_fractions(fractions: Sequence[float]) -> tuple[float, ...]:
    """Fractions as floats; 1 to 15, strictly increasing, above 0 and at most 1, or they make no grid."""
    try:
        checked = tuple(float(fraction) for fraction in fractions)
    except (TypeError, ValueError) as error:
        raise AttribevalError(
            f"Expected fractions as numbers, such as [0.3, 0.6, 0.9]. Received: {fractions!r}."
        ) from error
    if not 1 <= len(checked) <= MOST:
        raise AttribevalError(f"Expected 1 to {MOST} fractions. Received {len(checked)}: run several grids.")
    for i, fraction in enumerate(checked):
        if fraction == 0:
            raise AttribevalError(
                "Expected fractions above 0. Received: 0. Leave it out: the unmodified model is in every grid."
            )
        if not 0 < fraction <= 1:
            raise AttribevalError(
                f"Expected fractions between 0 and 1, such as 0.3 for 30 %. Received: {fraction} as number {i}."
            )
        if i and fraction <= checked[i - 1]:
            raise AttribevalError(
                f"Expected fractions that increase. Received: {fraction} after {checked[i - 1]}: sort them."
            )
    return checked
