"""The table at the end of a run, for a terminal: one row a scenario, one column a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from .scenario import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .results import CompareResults
    from .scenario import Scenario


def table(results: CompareResults, scenarios: Mapping[str, Scenario]) -> Table:
    """What every cell shows; green is wanted, red is not, and where versions differ each is named.

    A cell that is not as the registry expects has an exclamation mark.
    """
    pythons = ", ".join(stamp.python for stamp in results.stamps)
    made = Table(title=f"Python {pythons}", title_justify="left", show_lines=True)
    made.add_column("")
    made.add_column("scenario")
    present = [c for c in COLUMNS if any(cell.column == c for cell in results.cells)]
    for column in present:
        made.add_column(column)
    for scenario in scenarios.values():
        if any(cell.scenario == scenario.id for cell in results.cells):
            texts = [_text(results, scenario.id, column) for column in present]
            made.add_row(scenario.id, f"{scenario.title}\n[dim]{scenario.label.value}[/]", *texts)
    return made


def _text(results: CompareResults, scenario: str, column: str) -> str:
    """The cells of all versions, those of one text together."""
    by_text: dict[str, list[str]] = {}
    for cell in results.cells:
        if (cell.scenario, cell.column) == (scenario, column):
            colour = "green" if cell.wanted else "red"
            surprise = "" if cell.agrees else " [bold]![/]"
            text = f"[{colour}]{cell.shown}[/]{surprise}"
            by_text.setdefault(text, []).append(cell.python.rpartition(".")[0])
    if len(by_text) == 1:
        return next(iter(by_text))
    return "\n".join(f"{', '.join(versions)}: {text}" for text, versions in by_text.items())
