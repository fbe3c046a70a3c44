"""What processes do that tests start: they import it, which they cannot do with a test."""

import numpy as np

from attribeval.benchmarks.roar.records import Records


def write_all(folder, seed):
    """Write every shard of 40 random images; returns how many this process wrote."""
    records = Records.open(folder, "images")
    data = np.random.default_rng(seed).integers(0, 256, (40, 64, 64), np.uint8)
    return sum(records.write_shard(k, data[slice(*records.span(k))]) for k in range(records.shards))
