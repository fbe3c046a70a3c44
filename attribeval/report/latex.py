"""A table for a paper: LaTeX with booktabs, numbers to the right, intervals in brackets."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from attribeval.report.cells import Cell, Shown

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "−": "$-$", "–": "--", "—": "---", "…": r"\dots{}", "\u202f": r"\,",
    "\u00a0": "~", "∞": r"$\infty$", "×": r"$\times$", "±": r"$\pm$", "·": r"$\cdot$", "≤": r"$\leq$", "≥": r"$\geq$",
    "≠": r"$\neq$", "≈": r"$\approx$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "→": r"$\rightarrow$",
    "∅": r"$\emptyset$", "√": r"$\surd$", "‖": r"$\Vert$", "∈": r"$\in$", "Δ": r"$\Delta$", "Σ": r"$\Sigma$",
    "α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$", "δ": r"$\delta$", "ε": r"$\varepsilon$", "κ": r"$\kappa$",
    "λ": r"$\lambda$", "μ": r"$\mu$", "µ": r"$\mu$", "ρ": r"$\rho$", "σ": r"$\sigma$", "τ": r"$\tau$",
    "χ": r"$\chi$", "²": r"$^2$", "³": r"$^3$", "\n": " ",
}  # fmt: skip
_INTERVAL = re.compile(r"(?P<low>\S+) to (?P<high>\S+?)(?P<unit> %)?")
_POWER = re.compile(r"(−?\d\.\d+)e(−?\d+)")


def latex_table(table: Shown, best: Collection[tuple[int, int]] = (), notes: Sequence[str] = ()) -> str:
    """A `tabular` with booktabs' rules, to be put into a `table` of yours.

    An interval stands as [low, high]; below its value, smaller, in the same cell where the page has it so. The rules
    need `\\usepackage{booktabs}`; letters beyond ASCII need an engine that reads UTF-8, as all have done since 2018.

    Args:
        table: As `cells.show` makes it.
        best: (row, column) of the cells in bold.
        notes: Sentences below the table.

    Returns:
        LaTeX; the first line, a comment, says which package it needs.
    """
    kinds = "".join("r" if column.number else "l" for column in table.columns)
    lines = [
        "% \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{{kinds}}}",
        "\\toprule",
        _row([escape(column.name) for column in table.columns]),
        "\\midrule",
        *[
            _row([_cell(cell, (i, j) in best) for j, cell in enumerate(cells)])
            for i, (_, cells) in enumerate(table.rows)
        ],
        "\\bottomrule",
        "\\end{tabular}",
    ]
    if notes:
        lines.append(f"\\par\\smallskip\\noindent{{\\footnotesize {' '.join(map(escape, notes))}\\par}}")
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def _row(cells: list[str]) -> str:
    # A row that begins with "[" would be read as an option of the line break before it.
    first = f"{{{cells[0]}}}" if cells[0].startswith("[") else cells[0]
    return " & ".join([first, *cells[1:]]) + r" \\"


def _cell(cell: Cell, best: bool) -> str:
    first, _, second = cell.text.partition("\n")
    text = _brackets(first)
    if best:
        text = f"\\textbf{{\\boldmath {text}}}" if "$" in text else f"\\textbf{{{text}}}"
    return f"{text} {{\\footnotesize {_brackets(second)}}}" if second else text


def _brackets(text: str) -> str:
    """An interval in brackets, and its unit behind them; other text as it is."""
    found = _INTERVAL.fullmatch(text)
    if found is None:
        return _number(text)
    unit = r"\,\%" if found["unit"] else ""
    return f"[{_number(found['low'])}, {_number(found['high'])}]{unit}"


def _number(text: str) -> str:
    """A number, 3.97e−05 as 3.97 × 10⁻⁵, and no line break before a unit; other text as it is."""
    power = _POWER.fullmatch(text)
    if power:
        return rf"${power[1].replace('−', '-')}\times10^{{{int(power[2].replace('−', '-'))}}}$"
    return escape(text.removesuffix(" %")) + (r"\,\%" if text.endswith(" %") else "")
