"""One grid, as many devices and machines as see its folder; TensorBoard for every training.

Usage: python examples/scaling_out.py RUN_DIR [JOBS]

Call it again after an interruption, in a second terminal, or on another machine with the same folder: the work is
shared. JOBS processes train at a time on this machine (default: 1). With GPUs each training takes all of them; give
gpus_per_job=1 to have one training per GPU. Curves of all trainings go to the folder "tensorboard", below where this is
started (pip install tensorboard).
"""

from __future__ import annotations

import sys
from pathlib import Path

from attribeval import Evaluator, Recipe, datasets
from attribeval.models.small_net import small_net


def build_model():
    """An untrained, uncompiled classifier; it takes raw pixels."""
    return small_net((32, 32, 3), classes=10)


def logs_of(cell: str) -> list:
    """Callbacks of one training; at the top of the file, so that other processes find them."""
    import keras

    return [keras.callbacks.TensorBoard(Path("tensorboard") / cell, write_graph=False)]


def main() -> None:
    """Train, or help those who do."""
    run_dir, *jobs = sys.argv[1:]
    result = Evaluator.roar(
        build_model,
        datasets.digit_scenes(size=32, n_train=1000, n_test=300),
        ["SG-SQ-GRAD", "random"],
        run_dir=run_dir,
        fractions=[0.7],
        modes=["remove"],
        repeats=2,
        recipe=Recipe(epochs=4),
        callbacks=logs_of,
        jobs=int(jobs[0]) if jobs else 1,
        # Ray or Slurm instead: executor="ray", executor_options={"num_gpus": 1}
    )
    print("\n".join(result.summary))
    print("Curves: tensorboard --logdir tensorboard")


if __name__ == "__main__":
    main()
