"""The lab's tables as text: numbers rounded as their column says, units in the columns' names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.report import Table as TextTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .results import Cell, Column, Comparison, Table

NOTHING = "–"

# Whose figures a comparison may have, in the order of its columns.
SOURCES = {
    "document": "document",
    "original": "original",
    "measured": "measured",
    "virtual": "virtual",
    "model": "model",
}


def cell(value: Cell, digits: int = 0) -> str:
    """A figure for people: 12,937 or 97.3; text as it is; – where there is none."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        return value
    text = f"{value:,.{digits}f}"
    if not text.strip("-0.,"):  # nothing, whatever its sign
        return text.removeprefix("-")
    return text.replace("-", "−")


def table(given: Table, *, titled: bool = True) -> TextTable:
    """A table of the lab's."""
    caption = " ".join(
        part for part in (f"**{given.title}**" if titled else "", given.caption) if part
    )
    return TextTable(
        columns=tuple(_name(column) for column in given.columns),
        rows=tuple(
            tuple(
                cell(value, column.digits) for value, column in zip(row, given.columns, strict=True)
            )
            for row in given.rows
        ),
        caption=caption,
        align=_sides(given.rows),
    )


def comparison(given: Sequence[Comparison]) -> TextTable:
    """All quantities of an experiment, one a row; sources that have no figure are left out.

    Their notes are not in it: sentences make a table too wide for a phone.
    """
    sources = [name for name in SOURCES if any(getattr(one, name) is not None for one in given)]
    against = any(_off(one) for one in given)
    rows = []
    for one in given:
        row = [f"{one.quantity}, {one.unit}" if one.unit else one.quantity]
        row += [cell(getattr(one, name), one.digits) for name in sources]
        row += [_off(one) or NOTHING] if against else []
        rows.append(tuple(row))
    return TextTable(
        columns=(
            "quantity",
            *(SOURCES[name] for name in sources),
            *(("off model",) if against else ()),
        ),
        rows=tuple(rows),
    )


def _off(one: Comparison) -> str:
    """How far the model is off what was measured, in real time if it was."""
    figure = one.measured if isinstance(one.measured, (int, float)) else one.virtual
    if not isinstance(figure, (int, float)) or not isinstance(one.model, (int, float)):
        return ""
    if not one.model:
        return ""
    percent = round(100 * (figure / one.model - 1), 1)
    return f"{percent:+.1f} %".replace("-", "−") if percent else "0.0 %"


def _name(column: Column) -> str:
    return f"{column.name}, {column.unit}" if column.unit else column.name


def _sides(rows: Iterable[Sequence[Cell]]) -> str:
    # Words to the left, figures to the right; a column of both has mostly figures or mostly words.
    sides = []
    for values in zip(*rows, strict=True):
        words = sum(isinstance(value, str) for value in values)
        figures = sum(isinstance(value, (int, float)) for value in values)
        sides.append("r" if figures >= words and figures else "l")
    return "".join(sides)
