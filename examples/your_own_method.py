"""Put a method of your own, or of another library, beside ours: leaderboard, localisation, and a table for a paper.

Usage: python examples/your_own_method.py OUTPUT_DIR

Write your method into `mine`. Here: Faster Score-CAM of tf-keras-vis, on the small net that comes with the package.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from tf_keras_vis.scorecam import Scorecam
from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
from tf_keras_vis.utils.scores import CategoricalScore

import attribeval
from attribeval import Attributer, Evaluator, datasets


@attribeval.method(signed=False, one_by_one=True)
def mine(model, images: np.ndarray, targets: np.ndarray, seed: int) -> np.ndarray:
    """A map for each image; this method mixes the images of a batch, so it asks for one at a time."""
    explainer = Scorecam(model, model_modifier=ReplaceToLinear())
    explainer.model.predict = lambda x, batch_size=None: explainer.model(x).numpy()  # without its progress bar
    return explainer(CategoricalScore(targets.tolist()), images, max_N=10)


def main() -> None:
    """Compare, localise, and write the table with the best in bold."""
    output = Path(sys.argv[1])
    evaluator = Evaluator(Attributer("digit_objects"), datasets.digit_scenes(n_train=1, n_test=24).test.samples())
    methods = {"mine": mine, "Grad-CAM": "gradcam", "gradient": "gradient"}
    board = evaluator.compare(methods, ["deletion", "insertion", "max_sensitivity(images=8)"], run_dir=output / "board")
    wsol = evaluator.wsol(methods, run_dir=output / "wsol")
    for result in (board, wsol):
        print("\n".join(result.summary) + "\n")
    wanted = ["method", "mean rank", "deletion ↓", "insertion ↑"]
    print("Wrote", board.write_table(output / "board.tex", columns=wanted))
    print("Wrote", wsol.write_table(output / "wsol.tex", columns=["method", "MaxBoxAcc", "PointingGame"]))


if __name__ == "__main__":
    main()
