"""What a model knows of human concepts: those that people show it (TCAV), and those found in its layers (CRAFT, ACE).

    from attribeval import concepts
    found = concepts.craft(attributer, images, "zebra")

Each is loaded when it is asked for.
"""

from __future__ import annotations

from attribeval._lazy import lazily

HOMES = {
    **dict.fromkeys(("craft", "Craft"), "discovery.craft"),
    **dict.fromkeys(("ace", "Ace"), "discovery.ace"),
    "Concepts": "discovery.found",
}
__all__ = list(HOMES)
__getattr__, __dir__ = lazily(__name__, HOMES)
