"""One step of relevance, written slowly."""

from __future__ import annotations

import numpy as np


def share(rule, c, bias, z, relevance, **o):
    """One layer: c_ij (outputs j, inputs i) and R_j to R_i, output by output."""
    given = np.zeros(c.shape[1])
    for j in range(len(c)):
        up, down = np.maximum(c[j], 0), np.minimum(c[j], 0)
        if rule == "epsilon":
            size = o["epsilon"] * np.sqrt(np.mean(z**2))
            given += c[j] * relevance[j] / (z[j] + (size if z[j] >= 0 else -size))
        elif rule == "gamma":
            favoured = up if z[j] >= 0 else down
            extra = max(bias[j], 0) if z[j] >= 0 else min(bias[j], 0)
            given += (c[j] + o["gamma"] * favoured) * relevance[j] / (z[j] + o["gamma"] * (favoured.sum() + extra))
        elif rule == "alpha_beta":
            above, below = up.sum() + max(bias[j], 0), down.sum() + min(bias[j], 0)
            alpha, beta = (1, 0) if below == 0 else (0, -1) if above == 0 else (o["alpha"], o["alpha"] - 1)
            given += relevance[j] * (alpha * up / (above or 1) - beta * down / (below or 1))
        elif rule == "z_plus":
            given += relevance[j] * up / up.sum() if up.sum() > 0 else 0
    return given
