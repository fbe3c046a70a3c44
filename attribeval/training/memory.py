"""Several processes on one GPU: memory is taken as it is needed, and who runs out of it is told what to do."""

from __future__ import annotations

import os
import warnings

from attribeval import _tf as tf

_ALLOWED = "TF_FORCE_GPU_ALLOW_GROWTH"
# How CUDA and its libraries say it, where TensorFlow passes it on as another kind of error.
_NO_MEMORY = ("out of memory", "out_of_memory", "cublas_status_alloc_failed", "cudnn_status_alloc_failed")


def grow_memory() -> bool:
    """Let this process take the memory of GPUs as it needs it: TensorFlow takes nearly all at its first operation.

    Whether it does so: False, with a warning, if TensorFlow has taken the memory already.
    """
    try:
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
    except (RuntimeError, ValueError):  # in use already; or cut into virtual devices, whose size is the user's choice
        if os.environ.get(_ALLOWED, "").lower() in ("1", "true"):
            return True
        warnings.warn(
            "This process may hold most of the GPU's memory already, which the processes that train then lack. Call "
            f"tf.config.experimental.set_memory_growth for each GPU, or set {_ALLOWED}=true, before TensorFlow's "
            "first operation.",
            stacklevel=3,
        )
        return False
    return True


def remedy(sharing: int) -> str:
    """What helps when memory is out, of a device or machine that so many tasks share at a time."""
    if sharing == 1:
        return "lower the recipe's batch_size, or let fewer processes share the memory"
    return f"lower jobs (--jobs), as {sharing} tasks at a time share the memory, or the recipe's batch_size"


def lack_of_memory(error: Exception, sharing: int = 1) -> str | None:
    """What to say of an error if it is a lack of memory: the remedy, and what was received; else None."""
    lacks = any(isinstance(one, (tf.errors.ResourceExhaustedError, MemoryError)) for one in (error, error.__cause__))
    # The driver and its libraries fail when they start, too: "InternalError: … CUDA_ERROR_OUT_OF_MEMORY".
    said = isinstance(error, (tf.errors.OpError, RuntimeError)) and any(w in str(error).lower() for w in _NO_MEMORY)
    if not lacks and not said:
        return None
    first, *_ = str(error).strip().splitlines() or [type(error).__name__]
    return f"Out of memory: {remedy(sharing)}. Received: {first}"
