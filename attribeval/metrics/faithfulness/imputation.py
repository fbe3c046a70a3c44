"""Linear imputation of removed pixels (Rong et al. 2022, ROAD): each is the weighted mean of its eight neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.errors import AttribevalError
from attribeval.metrics.compiled import compiled

TOLERANCE = 1e-4  # greatest error of a pixel, as a part of the image's range of values
_MARGIN = 0.2  # the solver estimates its error; it stops when the estimate is this part of the tolerance
_MOST = 1000  # iterations; 4 to 10 are usual


def impute(image: np.ndarray, removed: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """Solve for the removed pixels: each is the mean of its neighbours, direct ones weighted 1/6, diagonal ones 1/12.

    At the border the weights of the neighbours that exist are divided by their sum. The equations of all removed
    pixels are solved together, for all channels at a time, by conjugate gradients with a multigrid cycle as
    preconditioner: the error is below 1e-4 of the image's range (a hundredth of ROAD's noise), in a small part of the
    time that a sparse factorisation takes.

    Args:
        image: Raw image (H, W, C); what it holds at removed pixels does not matter.
        removed: bool (H, W), not everywhere.
        start: A guess (H, W, C), such as the imputation of a smaller mask; it saves time and changes nothing else.

    Returns:
        float32 (H, W, C); known pixels are as they were.
    """
    image = np.asarray(image, np.float32)
    if removed.shape != image.shape[:2] or removed.all():
        raise AttribevalError(
            f"Expected removed pixels {image.shape[:2]} and at least one that is known. Received: {removed.shape}, "
            f"{int(removed.sum())} removed."
        )
    if not removed.any():
        return image.copy()
    known = image[~removed]
    low, span = known.min(), float(np.ptp(known))
    if span == 0:
        return np.full_like(image, low)
    planes = _planes(image, low, span)
    guess = planes if start is None else _planes(start, low, span)
    solved = _solve(planes, removed, guess)
    out = np.moveaxis(solved, 0, -1) * np.float32(span) + low
    return np.where(removed[..., None], out, image)


def _planes(image: np.ndarray, low: float, span: float) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis((np.asarray(image, np.float32) - low) / np.float32(span), -1, 0))


@dataclass(frozen=True)
class _Level:
    """The equations on a grid: diagonal · x − K(x) = right-hand side, where the mask is 1; x is 0 elsewhere."""

    mask: np.ndarray
    diagonal: np.ndarray
    inverse: np.ndarray  # mask / diagonal

    def residual(self, right: np.ndarray, x: np.ndarray) -> np.ndarray:
        return relax(right, x, self.mask, self.diagonal, np.float32(0))

    def jacobi(self, right: np.ndarray, x: np.ndarray) -> np.ndarray:
        return relax(right, x, self.inverse, self.diagonal, np.float32(1))


def _neighbours(x: np.ndarray) -> np.ndarray:
    """K(x) of planes (C, H, W)."""
    size = x.shape[1:]
    return relax(np.zeros_like(x), x, np.ones(size, np.float32), np.zeros(size, np.float32), np.float32(0))


def _levels(removed: np.ndarray) -> list[_Level]:
    """The equations on the image's grid and on grids of half the size, down to one pixel.

    Each coarse pixel stands for 2 × 2 and is unknown if one of them is. It is tied to unknown coarse neighbours as on
    the fine grid, which keeps the energy of a smooth function, and to the known pixels by the sum of its pixels' ties.
    """
    mask = removed.astype(np.float32)
    ties = mask * (_neighbours(np.ones((1, *mask.shape), np.float32)) - _neighbours(mask[None]))[0]
    found = []
    while True:
        diagonal = np.where(mask > 0, ties + _neighbours(mask[None])[0], np.float32(1))
        found.append(_Level(mask, diagonal, mask / diagonal))
        if mask.size == 1:
            return found
        ties, mask = _halved(ties, np.add), _halved(mask, np.maximum)


def _halved(plane: np.ndarray, join: np.ufunc) -> np.ndarray:
    """2 × 2 pixels joined to one, those at an odd edge as if 0 followed: (⌈H / 2⌉, ⌈W / 2⌉)."""
    height, width = plane.shape
    plane = np.pad(plane, ((0, height % 2), (0, width % 2)))
    return join(join(plane[::2, ::2], plane[1::2, ::2]), join(plane[::2, 1::2], plane[1::2, 1::2]))


def _cycle(levels: list[_Level], right: np.ndarray) -> np.ndarray:
    """An approximate solution from 0: smooth, correct on the coarser grid, smooth; symmetric, as the gradients need."""
    level, coarser = levels[0], levels[1:]
    x = right * level.inverse
    if not coarser:
        return x
    spread(_cycle(coarser, gather(level.residual(right, x))), level.mask, x)
    return level.jacobi(right, x)


def _solve(planes: np.ndarray, removed: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """Planes (C, H, W) of values from 0 to 1, imputed where removed."""
    levels = _levels(removed)
    mask = levels[0].mask
    known = planes * (1 - mask)
    x = guess * mask
    residual = levels[0].residual(_neighbours(known), x)
    direction, product = np.zeros_like(x), 1.0
    for _ in range(_MOST):
        error = _cycle(levels, residual)  # nearly what is missing from x
        if max(error.max(), -error.min()) <= _MARGIN * TOLERANCE:
            return known + x + error
        last, product = product, float(np.vdot(residual, error))
        direction = error + np.float32(product / last) * direction
        change = levels[0].residual(np.zeros_like(x), direction)
        step = np.float32(-product / float(np.vdot(direction, change)))
        x += step * direction
        residual += step * change
    raise AttribevalError(
        f"Expected the imputation to converge in {_MOST} iterations. It did not, with {int(removed.sum())} of "
        f"{removed.size} pixels removed: remove fewer."
    )


# Compiled loops over planes (C, H, W) whose pixels are tied to their eight neighbours. K(x) at a pixel is the sum of
# its neighbours, direct ones twice and diagonal ones once; nothing lies outside the image. Inner loops run along rows
# and have few arrays, so that the compiler makes them work on many pixels at a time.


@compiled
def relax(rest: np.ndarray, x: np.ndarray, scale: np.ndarray, diagonal: np.ndarray, keep: np.float32) -> np.ndarray:
    """keep · x + scale · (rest − diagonal · x + K(x)): a residual (keep 0), or a step of Jacobi's (keep 1).

    All are float32: rest, x and the result (C, H, W), scale and diagonal (H, W).
    """
    out = np.empty_like(x)
    channels, height, width = x.shape
    two, four = np.float32(2), np.float32(4)
    outside, columns = np.zeros(width, np.float32), np.zeros(width + 2, np.float32)
    for c in range(channels):
        for y in range(height):
            middle, known, factor, weight, row = x[c, y], rest[c, y], scale[y], diagonal[y], out[c, y]
            above = x[c, y - 1] if y > 0 else outside
            below = x[c, y + 1] if y < height - 1 else outside
            for i in range(width):  # (1 2 1)ᵀ (1 2 1) is K and 4 times the pixel itself
                columns[i + 1] = above[i] + two * middle[i] + below[i]
            for i in range(width):
                around = columns[i] + two * columns[i + 1] + columns[i + 2]
                row[i] = keep * middle[i] + factor[i] * (known[i] - (weight[i] + four) * middle[i] + around)
    return out


@compiled
def spread(coarse: np.ndarray, mask: np.ndarray, out: np.ndarray) -> None:
    """Add a plane of half the size, interpolated, to `out` where the mask is 1.

    A pixel takes ¾ of the coarse pixel that it lies in and ¼ of the nearest other one, along either axis. All are
    float32: coarse (C, ⌈H / 2⌉, ⌈W / 2⌉), mask (H, W), out (C, H, W).
    """
    channels, height, width = out.shape
    rows, half = coarse.shape[1:]
    much, little = np.float32(0.75), np.float32(0.25)
    mixed = np.zeros(half + 2, np.float32)
    for c in range(channels):
        for y in range(height):
            near, far = coarse[c, y // 2], coarse[c, min(max(y // 2 + 2 * (y % 2) - 1, 0), rows - 1)]
            for i in range(half):
                mixed[i + 1] = much * near[i] + little * far[i]
            mixed[0], mixed[half + 1] = mixed[1], mixed[half]
            row, unknown = out[c, y], mask[y]
            for i in range(width // 2):
                row[2 * i] += unknown[2 * i] * (much * mixed[i + 1] + little * mixed[i])
                row[2 * i + 1] += unknown[2 * i + 1] * (much * mixed[i + 1] + little * mixed[i + 2])
            if width % 2:
                row[width - 1] += unknown[width - 1] * (much * mixed[half] + little * mixed[half - 1])


@compiled
def gather(fine: np.ndarray) -> np.ndarray:
    """The transpose of `spread`'s interpolation: float32 (C, H, W) to (C, ⌈H / 2⌉, ⌈W / 2⌉)."""
    channels, height, width = fine.shape
    rows, half = (height + 1) // 2, (width + 1) // 2
    much, little = np.float32(0.75), np.float32(0.25)
    padded, mixed = np.zeros(width + 3, np.float32), np.zeros(half, np.float32)
    out = np.zeros((channels, rows, half), np.float32)
    for c in range(channels):
        for y in range(height):
            padded[1 : width + 1] = fine[c, y]
            padded[0] = padded[1]
            if width % 2 == 0:
                padded[width + 1] = padded[width]
            for i in range(half):
                inner, outer = padded[2 * i + 1] + padded[2 * i + 2], padded[2 * i] + padded[2 * i + 3]
                mixed[i] = much * inner + little * outer
            near, far = out[c, y // 2], out[c, min(max(y // 2 + 2 * (y % 2) - 1, 0), rows - 1)]
            for i in range(half):
                near[i] += much * mixed[i]
            for i in range(half):
                far[i] += little * mixed[i]
    return out
