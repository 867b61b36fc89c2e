"""The columns' code side by side: Trio's and modern asyncio's whole, the others as differences."""

from __future__ import annotations

from difflib import unified_diff
from typing import TYPE_CHECKING

from trio_stages.report import Code, Table

from .lines import shell_lines
from .scenario import COLUMNS

if TYPE_CHECKING:
    from .scenario import Scenario

#: Whom a column is shown as the difference to; the others are shown whole.
NEIGHBOUR = {"classic": "modern", "hardened": "modern", "anyio": "trio"}


def exhibits(scenario: Scenario) -> list[Code]:
    """The code in which the columns of a scenario differ, in their order."""
    return [_exhibit(scenario, column) for column in COLUMNS if column in scenario.columns]


def _exhibit(scenario: Scenario, column: str) -> Code:
    source = scenario.source(column)
    where = scenario.column_module(column).__name__.replace(".", "/") + ".py"
    neighbour = NEIGHBOUR.get(column)
    if neighbour is None or neighbour not in scenario.columns:
        return Code(text=source, caption=f"**{column}**, `{where}`")
    lines = difference(scenario.source(neighbour), source)
    if not lines:
        return Code(text=f"the same as {neighbour}", language="text", caption=f"**{column}**")
    changed = f"{sum(line[0] == '+' for line in lines)} lines more or other than {neighbour}"
    return Code(
        text="\n".join(lines), language="diff", caption=f"**{column}**, `{where}`: {changed}"
    )


def difference(before: str, after: str) -> list[str]:
    """A unified diff, without the header and with three lines around each change."""
    lines = unified_diff(before.splitlines(), after.splitlines(), lineterm="")
    return [line for line in list(lines)[2:] if not line.startswith("@@")]


def lengths() -> Table:
    """How many lines each shell takes, and how many more than Trio's."""
    counts = shell_lines()
    return Table(
        columns=("shell", "lines of code", "more than trio"),
        rows=tuple(
            (column, str(count), f"{count - counts['trio']:+d}" if column != "trio" else "")
            for column, count in counts.items()
        ),
        caption="The same server in each column; without blank lines, comments and docstrings.",
    )
