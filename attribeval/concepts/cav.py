"""Concept activation vectors: the direction in a layer that leads towards a concept (Kim et al. 2018, section 3.2).

Sign: a vector points *towards* the concept. The first implementation of the authors labels the concept 0 and takes the
negative of the classifier's coefficients, and counts inputs whose *loss* falls along it; both signs together say the
same as here, where the *logit* rises along a vector that points to the concept.
"""

from __future__ import annotations

import numpy as np

from attribeval.errors import AttribevalError

LEAST = 6  # examples a side, so that a third of each can be held out
_HELD_OUT = 0.33


def train_cav(
    concept: np.ndarray, others: np.ndarray, *, alpha: float = 0.01, seed: int = 0
) -> tuple[np.ndarray, float]:
    """Separate the activations of a concept from others by a linear classifier (hinge loss, L2, SGD).

    Args:
        concept: Activations of examples of the concept, (n, …), flattened to (n, d).
        others: Activations of other examples, (m, …).
        alpha: Weight of the L2 penalty.
        seed: Of the split and of the classifier.

    Returns:
        The vector, float32 (d,), of length 1, towards the concept and away from the other examples; and its accuracy on
        a third of both, held out, 0 to 1: about .5 says that the layer does not know the concept.

    Raises:
        AttribevalError: If there are fewer than six examples of either, they differ in shape, or are not finite; or if
            all activations are the same, so that no direction separates them.
    """
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import train_test_split

    for name, examples in (("the concept", concept), ("others", others)):
        if len(examples) < LEAST:
            raise AttribevalError(f"Expected at least {LEAST} examples of {name}. Received: {len(examples)}.")
    if concept.shape[1:] != others.shape[1:]:
        raise AttribevalError(
            f"Expected activations of one layer. Received: {concept.shape[1:]} and {others.shape[1:]}."
        )
    x = np.concatenate([np.asarray(part, np.float32).reshape(len(part), -1) for part in (concept, others)])
    if not np.isfinite(x).all():
        raise AttribevalError("Expected finite activations. Received NaN or infinity.")
    y = np.repeat([1, 0], [len(concept), len(others)])
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=_HELD_OUT, stratify=y, random_state=seed)
    classifier = SGDClassifier(alpha=alpha, max_iter=1000, tol=1e-3, random_state=seed).fit(x_train, y_train)
    vector = classifier.coef_[0].astype(np.float64)
    length = np.linalg.norm(vector)
    if not length > 0:
        raise AttribevalError("Expected activations that differ. Received: the same for all examples.")
    return (vector / length).astype(np.float32), float(classifier.score(x_test, y_test))
