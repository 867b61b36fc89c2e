"""One table for three readers: a terminal, a browser, a Markdown file.

Cells are text and nothing else: whatever looks like markup in one is shown as it stands. Figures
come formatted, their unit stands in the column's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from .inline import as_html, as_markdown, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    import rich.table

LONG = 24  # rows; a longer table is unfolded by whoever wants it

# What Markdown would take for something else, a pipe above all: it ends a cell.
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text under columns that have names.

    Attributes:
        columns: their names, with the unit of their figures.
        rows: as many cells a row as there are columns.
        caption: a sentence above it; may carry inline markup.
        align: a letter a column, ``l`` or ``r``; empty: the first ``l``, the others ``r``.

    Raises:
        ValueError: a row of another length, or an ``align`` that does not fit.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    align: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{len(self.columns)} columns, but a row of {len(row)}: {row}")
        if self.align and not re.fullmatch(f"[lr]{{{len(self.columns)}}}", self.align):
            raise ValueError(f"align is a letter l or r for each of {len(self.columns)} columns")

    @property
    def sides(self) -> str:
        """A letter a column, whether ``align`` was given or not."""
        return self.align or ("l" + "r" * (len(self.columns) - 1))[: len(self.columns)]

    def rich(self) -> rich.table.Table:
        """For a terminal; ``rich`` folds what is too wide for it."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(
            title=Text(as_text(self.caption), style="italic") if self.caption else None,
            title_justify="left",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
        )
        for name, side in zip(self.columns, self.sides, strict=True):
            if side == "l":
                table.add_column(Text(name))
            else:  # a figure that is cut is a wrong figure
                table.add_column(Text(name), justify="right", no_wrap=True)
        for row in self.rows:
            table.add_row(*map(Text, row))
        return table

    def markdown(self) -> str:
        """A pipe table, its caption in front as a paragraph."""
        rule = (":--" if side == "l" else "--:" for side in self.sides)
        lines = [
            *([as_markdown(self.caption), ""] if self.caption else []),
            _line(_cell(name) for name in self.columns),
            _line(rule),
            *(_line(_cell(cell) for cell in row) for row in self.rows),
        ]
        return "\n".join(lines)

    def html(self) -> str:
        """A table in a box of its own that scrolls sideways; a long one opens on demand."""
        head = "".join(
            f'<th scope="col" class="{side}">{escape(name)}</th>'
            for name, side in zip(self.columns, self.sides, strict=True)
        )
        rows = "\n".join(
            "<tr>"
            + "".join(
                f'<td class="{side}">{escape(cell)}</td>'
                for cell, side in zip(row, self.sides, strict=True)
            )
            + "</tr>"
            for row in self.rows
        )
        caption = f'<p class="caption">{as_html(self.caption)}</p>\n' if self.caption else ""
        label = escape(as_text(self.caption) or ", ".join(self.columns))
        body = (  # tabindex: a keyboard can scroll it too
            f'<div class="wide" tabindex="0" role="region" aria-label="{label}"><table>\n'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>"
        )
        if len(self.rows) <= LONG:
            return caption + body
        summary = as_html(self.caption) or "The table"
        return (
            f'<details><summary class="caption">{summary} ({len(self.rows)} rows)</summary>\n'
            f"{body}</details>"
        )


def _cell(text: str) -> str:
    return " ".join(_MARKDOWN.sub(r"\\\1", text).split())


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
