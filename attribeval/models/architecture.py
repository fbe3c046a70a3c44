"""What a model is, whatever Keras has called its layers."""

from __future__ import annotations

from typing import Any

_NAMES = ("name", "keras_history", "input_layers", "output_layers")
_IRRELEVANT = ("shared_object_id", "compile_config", "registered_name")  # an address in memory; training; of no effect


def without_names(config: Any) -> Any:
    """A model's JSON with its layers numbered in the order in which they appear: Keras counts on (conv2d_7)."""
    return _numbered(config, {})


def _numbered(part: Any, numbers: dict[str, int], is_name: bool = False) -> Any:
    if isinstance(part, dict):
        kept = {key: value for key, value in part.items() if key not in _IRRELEVANT}
        return {key: _numbered(value, numbers, is_name or key in _NAMES) for key, value in kept.items()}
    if isinstance(part, list):
        return [_numbered(one, numbers, is_name) for one in part]
    return numbers.setdefault(part, len(numbers)) if is_name and isinstance(part, str) else part
