"""Fixtures shared by the tests: the real data, where it is, and small models that need no download."""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.pop("COLUMNS", None)  # tables are as in a pipe
os.unsetenv("COLUMNS")  # readline may have set it behind Python's back, for processes that tests start
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # several workers share a GPU
if "PYTEST_XDIST_WORKER" in os.environ:  # and the cores
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import numpy as np
import pytest
from helpers import forks
from helpers.nets import randomise_batch_norm


def pytest_collection_finish() -> None:
    """Leave what is there before the first test out of every collection of garbage: a fifth of a graph's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


@pytest.fixture(scope="session")
def of_all_workers(tmp_path_factory) -> Path:
    """A folder that all workers of a run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session", autouse=True)
def meeting(of_all_workers) -> None:
    """Where the workers find the process that forks."""
    forks.FOLDER = of_all_workers


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with ILSVRC, models, …; skips where it is not."""
    default = Path(__file__).resolve().parents[2] / "shared" / "real"
    folder = Path(os.environ.get("ATTRIBEVAL_REAL_DATA", default))
    if not (folder / "ILSVRC").is_dir():
        pytest.skip(f"real data not found at {folder}: set ATTRIBEVAL_REAL_DATA")
    return folder


@pytest.fixture(scope="session")
def docs_html(of_all_workers) -> Path:
    """The documentation without pictures and runs, built once for all workers, a warning being an error."""
    from filelock import FileLock

    if not all(map(importlib.util.find_spec, ("sphinx", "myst_nb", "furo", "sphinx_copybutton"))):
        pytest.skip("needs attribeval[docs]")
    shared = of_all_workers
    docs, built = Path(__file__).resolve().parents[1] / "docs", shared / "html"
    with FileLock(shared / "html.lock"):
        if not (built / "index.html").is_file():
            flags = ["-q", "-W", "--keep-going", "-b", "html"]
            without = {"ATTRIBEVAL_DOCS_PICTURES": "0", "ATTRIBEVAL_DOCS_RUN": "0", "PYTHONPATH": str(docs.parent)}
            command = [sys.executable, "-m", "sphinx", *flags, docs, shared / "unchecked"]
            done = forks.run(command, capture_output=True, text=True, env=os.environ | without)
            assert done.returncode == 0, done.stderr
            (shared / "unchecked").rename(built)
    return built


@pytest.fixture(scope="session")
def small_model():
    """A flat convolutional classifier of 32 × 32 × 3 images: BatchNorm, ReLU, max pooling, softmax."""
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(8, 3, padding="same", name="conv1"),
            keras.layers.BatchNormalization(name="norm1"),
            keras.layers.ReLU(name="relu1"),
            keras.layers.MaxPooling2D(name="pool1"),
            keras.layers.Conv2D(12, 3, padding="same", activation="relu", name="conv2"),
            keras.layers.GlobalAveragePooling2D(name="gap"),
            keras.layers.Dense(7, activation="softmax", name="predictions"),
        ],
        name="small",
    )
    return randomise_batch_norm(model)


@pytest.fixture(scope="session")
def model_file(tmp_path_factory, small_model):
    """`small_model` in a file."""
    path = tmp_path_factory.mktemp("model") / "small.keras"
    small_model.save(path)
    return path


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """Nine smooth random images of the small model's size."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(1).normal(size=(9, 32, 32, 3))
    return gaussian_filter(noise, (0, 2, 2, 0)).astype(np.float32) * 5
