"""A model's compiled functions: each is built once, and runs wherever it is called."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from attribeval import _tf as tf
from attribeval.models import devices
from attribeval.models.run_options import Precision, with_run_options

_building = threading.RLock()  # one graph at a time: some builders change what Keras does meanwhile


class Functions(dict[Any, Any]):
    """Compiled functions of one model, by what they compute.

    Args:
        precision: How exactly they compute.
    """

    def __init__(self, precision: Precision):
        super().__init__()
        self._precision = precision
        self._several_devices = False

    def compiled(self, key: Any, build: Callable, specs: tuple[Any, ...]) -> Any:
        """See `Classifier.compiled`."""
        if key not in self:
            with _building, devices.nowhere():
                if key not in self:  # otherwise another thread was quicker
                    self[key] = self._built(build, specs)
        return self[key]

    def _built(self, build: Callable, specs: tuple[Any, ...]) -> Callable:
        # The concrete function: called directly, it does not count towards TensorFlow's retracing warnings.
        function = tf.function(build, input_signature=specs, autograph=False).get_concrete_function()
        if self._several_devices:
            devices.ask_for_weights(function)
        return with_run_options(function, self._precision)

    def use_several_devices(self) -> None:
        """From now on they take the weights that `devices.Copies.on` says."""
        with _building:
            if not self._several_devices:
                self._several_devices = True
                for one in self.values():
                    devices.ask_for_weights(one.function)
