"""Does memory grow with the number of samples? Peak memory of this process at 15, 150 and 1,500 samples, in turn.

    python benchmarks/attribution/memory.py --model mobilenet

Each row is a process of its own; printed is its peak resident memory over that of the first (goal: flat, about 1).
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from timing import NETWORKS, network

METHODS = ("smoothgrad(gradient)", "vargrad(gradient)", "rise", "lime")


def child(model: str, size: int, method: str, samples: int) -> None:
    from attribeval import Attributer

    attributer = Attributer(network(model, size))
    image = np.random.default_rng(0).normal(size=(1, size, size, 3)).astype(np.float32)
    attributer.explain(image, method, 0, samples=samples, batch_size=8)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(NETWORKS), default="mobilenet")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--samples", type=int, nargs="+", default=[15, 150, 1500])
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.model, args.size, args.child[0], int(args.child[1]))
        return
    for method in args.methods:
        peaks = []
        for samples in args.samples:
            command = [sys.executable, __file__, "--model", args.model, "--size", str(args.size)]
            command += ["--child", method, str(samples)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            peaks.append(float(done.stdout.split()[-1]))
        shown = ", ".join(f"{n}: {p:.0f} MiB ({p / peaks[0]:.2f})" for n, p in zip(args.samples, peaks, strict=True))
        print(f"{method:<24}{shown}", flush=True)


if __name__ == "__main__":
    main()
