"""The trained model that the user gave to be explained: kept in the run directory, sealed, for all its processes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from attribeval import _tf as tf
from attribeval.benchmarks.roar.run_dir import RunDir
from attribeval.errors import AttribevalError
from attribeval.files import write_model
from attribeval.sealed import Damaged, seal, unseal


def file_of(run_dir: RunDir) -> Path:
    """Where it is, if it was given."""
    return run_dir.path / "models" / "explained.keras"


def keep(run_dir: RunDir, model: Any) -> None:
    """Write the model, unless it is there as it was written; a damaged file is said, and written again."""
    file = file_of(run_dir)
    with run_dir.lock("explained"):
        try:
            unseal(file.read_bytes())
            return
        except FileNotFoundError:
            pass
        except Damaged as error:
            warnings.warn(f"{file} is damaged ({error}): it is written again.", stacklevel=4)
        write_model(file, model, lambda path: _save_sealed(model, path))


def _save_sealed(model: Any, path: Path) -> None:
    model.save(path)
    path.write_bytes(seal(path.read_bytes()))  # readers of .keras pass over the seal


def check(run_dir: RunDir) -> None:
    """Make sure that the file is as it was written."""
    file = file_of(run_dir)
    try:
        unseal(file.read_bytes())
    except (FileNotFoundError, Damaged) as error:
        raise AttribevalError(
            f"Expected {file} as it was written. Received: {error}. Start the run again with its checkpoint, which "
            "writes it anew."
        ) from error


def load(run_dir: RunDir) -> Any:
    """The Keras model, of a file that is as it was written."""
    check(run_dir)
    return tf.keras.models.load_model(file_of(run_dir), compile=False, safe_mode=True)
