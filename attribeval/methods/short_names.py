"""The short names of methods in papers, and a method as it was typed, with what they stand for."""

from __future__ import annotations

from attribeval.common import grammar

_BASES = {"grad": "gradient", "ig": "integrated_gradients", "gb": "guided_backprop", "gp": "guided_backprop"}
_WRAPPERS = {"sg": "smoothgrad", "sg-sq": "smoothgrad_squared", "var": "vargrad", "sq": "squared"}

# Hooker et al. 2019, section 4 and table 2, where GP is another spelling of GB.
ALIASES: dict[str, str] = {
    **_BASES,
    **{f"{short}-{base}": f"{long}({name})" for short, long in _WRAPPERS.items() for base, name in _BASES.items()},
    "gradcam_plus_plus": "gradcam++",
    "grad-cam": "gradcam",
    "grad-cam++": "gradcam++",
}


def parse(text: str) -> grammar.Expression:
    """Read a method.

    Args:
        text: `name`, `wrapper(base)`, `name(option=value)`, or a short name of the papers; case does not matter.

    Returns:
        The expression, short names resolved. Whether its names exist is the registry's to say.

    Raises:
        AttribevalError: If the text is not of that form; the message points at the place.

    Example:
        >>> parse("SG-SQ-IG")
        Expression(name='smoothgrad_squared', base=Expression(name='integrated_gradients', ...), options={})
    """
    return grammar.parse(text, ALIASES)
