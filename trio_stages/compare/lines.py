"""How long each shell is: what hardening costs, counted."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

from .scenario import COLUMNS

SHELLS = Path(__file__).parent / "shells"
_NO_CODE = frozenset(
    (
        *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING),
        *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
    )
)


def code_lines(source: str) -> int:
    """Lines of Python with code on them: no blanks, comments or docstrings."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                lines.difference_update(range(node.lineno, (node.end_lineno or 0) + 1))
    return len(lines)


def shell_lines() -> dict[str, int]:
    """Lines of code in each shell, by column."""
    return {
        column: code_lines((SHELLS / f"{column}.py").read_text(encoding="utf-8"))
        for column in COLUMNS
    }
