"""What users type for a method or a metric: `name`, `wrapper(base)`, and options in brackets.

gradcam
vargrad(guided_backprop)
smoothgrad(integrated_gradients(steps=50, rule=right), samples=30)
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attribeval.errors import AttribevalError

_TOKEN = re.compile(r"\s*([(),=]|'[^']*'|\"[^\"]*\"|\[[^\]]*\]|[^\s(),=\[\]'\"]+)")


@dataclass(frozen=True)
class Expression:
    """A method as it was typed.

    Attributes:
        name: Lower case, not an alias.
        base: What it wraps, or None.
        options: As typed, values read as Python literals; a bare word is a string, a list becomes a tuple.
    """

    name: str
    base: Expression | None = None
    options: dict[str, Any] = field(default_factory=dict)


def parse(text: str, aliases: Mapping[str, str] | None = None) -> Expression:
    """Read a method or a metric as above; case does not matter in names, nor in the aliases (lower case) for others.

    Whether names exist is the registry's to say. An error points at the place where the text is not of that form.

    Example:
        >>> parse("smoothgrad(integrated_gradients(steps=50), samples=30)").options
        {'samples': 30}
        >>> parse("Grad(steps=5)", {"grad": "gradient"})
        Expression(name='gradient', base=None, options={'steps': 5})
        >>> parse("vargrad(gradient")
        Traceback (most recent call last):
            ...
        attribeval.errors.AttribevalError: Could not read method 'vargrad(gradient'. Expected ... at character 17. ...
    """
    if not isinstance(text, str):
        raise AttribevalError(f"Expected the name of a method, such as 'gradcam'. Received: {type(text).__name__}.")
    return _Parser(text, aliases or {}).whole()


class _Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str, aliases: Mapping[str, str]):
        self.text, self.aliases = text, aliases
        self.tokens: list[tuple[str, int]] = []
        place = 0
        while place < len(text.rstrip()):
            match = _TOKEN.match(text, place)
            if match is None:
                raise self._error(place, "a name, a value, a bracket or a comma")
            self.tokens.append((match[1], match.start(1)))
            place = match.end()
        self.next = 0

    def whole(self) -> Expression:
        expression = self._expression()
        if self.next < len(self.tokens):
            raise self._error(self.tokens[self.next][1], "the end")
        return expression

    def _expression(self) -> Expression:
        name, place = self._take("the name of a method")
        if not re.fullmatch(r"[A-Za-z][\w+\-]*", name):
            raise self._error(place, "the name of a method")
        base, options = self._brackets() if self._peek() == "(" else (None, {})
        return _resolve(name, base, options, self.aliases)

    def _brackets(self) -> tuple[Expression | None, dict[str, Any]]:
        """The base and the options between brackets."""
        self.next += 1
        base: Expression | None = None
        options: dict[str, Any] = {}
        while self._peek() != ")":
            if self._peek(1) == "=":
                option, place = self._take("an option")
                if option in options:
                    raise self._error(place, f"option {option} once")
                self.next += 1
                options[option] = self._value()
            elif base is None and not options:
                base = self._expression()
            else:
                raise self._error(self._take("option=value or a closing bracket")[1], "option=value")
            if self._peek() == ",":
                self.next += 1
            elif self._peek() != ")":
                raise self._error(self._take("a comma or a closing bracket")[1], "a comma or a closing bracket")
        self.next += 1
        return base, options

    def _value(self) -> Any:
        token, place = self._take("a value")
        if token in "(),=":
            raise self._error(place, "a value (a number, a word, or a list in square brackets)")
        try:
            value = ast.literal_eval(token)
        except (ValueError, SyntaxError):
            return token
        return tuple(value) if isinstance(value, list) else value

    def _peek(self, ahead: int = 0) -> str | None:
        place = self.next + ahead
        return self.tokens[place][0] if place < len(self.tokens) else None

    def _take(self, wanted: str) -> tuple[str, int]:
        if self.next >= len(self.tokens):
            raise self._error(len(self.text), wanted)
        self.next += 1
        return self.tokens[self.next - 1]

    def _error(self, place: int, wanted: str) -> AttribevalError:
        rest = self.text[place:] or "the end"
        return AttribevalError(
            f"Could not read method {self.text!r}. Expected {wanted} at character {place + 1}. Received: {rest!r}. "
            "Write name, wrapper(base) or name(option=value), such as vargrad(guided_backprop, samples=30)."
        )


def _resolve(name: str, base: Expression | None, options: dict[str, Any], aliases: Mapping[str, str]) -> Expression:
    """Put an alias's meaning in its place; options go to the outermost method that it stands for."""
    name = name.lower()
    if name not in aliases:
        return Expression(name if name.endswith("++") else name.replace("-", "_"), base, options)
    meaning = parse(aliases[name])
    if base is not None and meaning.base is not None:
        raise AttribevalError(f"Expected no base for {name.upper()!r}, which means {aliases[name]}. Received one.")
    return Expression(meaning.name, meaning.base or base, options)
