"""``python -m trio_stages.compare.catalogue``: the documentation's pages out of its sample run.

``docs/compare/results.json`` and ``costs.json`` are a run that is named in the chapter. From them
come a page for each scenario and the tables of ``docs/compare.md``, between markers; the prose is
written by hand, and a test holds the rest to the files.

With ``--results FILE`` and ``--costs FILE`` another run takes the place of the sample: it is kept
without its events, which only the pictures need.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trio_stages.report import Table

from .costs import Costs
from .costs.chart import chart
from .costs.tables import figures, ratios
from .exhibits import NEIGHBOUR, difference, lengths
from .report import CLAIMS, by_label, cells_of, reasons, stamp, verdict_table
from .results import CompareResults
from .scenario import COLUMNS
from .scenarios import scenarios
from .timeline import can_be_drawn, timeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .results import Cell
    from .scenario import Scenario

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
CHAPTER = DOCS / "compare.md"
SAMPLE = DOCS / "compare" / "results.json"
COSTS = DOCS / "compare" / "costs.json"


def pages(results: CompareResults) -> dict[str, str]:
    """The scenarios' pages by file name."""
    return {
        page_name(scenario): scenario_page(scenario, cells_of(results, scenario))
        for scenario in seen(results)
    }


def seen(results: CompareResults) -> list[Scenario]:
    """The scenarios that were run."""
    ids = {cell.scenario for cell in results.cells}
    return [scenario for scenario in scenarios().values() if scenario.id in ids]


def page_name(scenario: Scenario) -> str:
    """The scenario's page, in ``docs/compare``."""
    return f"{scenario.name}.md"


def scenario_page(scenario: Scenario, cells: Sequence[Cell]) -> str:
    """One scenario as Markdown for Sphinx."""
    name = scenario.name
    parts = [
        f"# {scenario.id}: {scenario.title}",
        scenario.done,
        scenario.why,
        f"{CLAIMS[scenario.label]}",
        outcomes(cells).markdown(),
    ]
    if SAMPLE.with_name(f"{name}.svg").exists():
        parts += [f"![What happened, column by column]({name}.svg)", timeline(()).caption]
    if scenario.note:
        parts.append(scenario.note)
    parts += reasons(scenario)
    if scenario.links:
        links = "\n".join(f"- [{link.text}]({link.url})" for link in scenario.links)
        parts.append(f"Read more:\n\n{links}")
    command = f"$ python -m trio_stages compare {scenario.id} --html {scenario.id.lower()}.html"
    parts.append(f"See it:\n\n```console\n{command}\n```")
    parts.append("## The code")
    for column in COLUMNS:
        if column in scenario.columns:
            parts += [f"### {column}", *code(scenario, column)]
    return "\n\n".join(parts) + "\n"


def outcomes(cells: Sequence[Cell]) -> Table:
    """What was seen: a row for each column, a column for each version."""
    pythons = list(dict.fromkeys(cell.python for cell in cells))

    def text(column: str, python: str) -> str:
        for cell in cells:
            if (cell.column, cell.python) == (column, python):
                return f"{'✓' if cell.wanted else '✗'} {cell.shown}"
        return "–"

    return Table(
        columns=("", *pythons),
        rows=tuple(
            (column, *(text(column, python) for python in pythons))
            for column in dict.fromkeys(cell.column for cell in cells)
        ),
        align="l" * (1 + len(pythons)),
    )


def code(scenario: Scenario, column: str) -> list[str]:
    """A column's code: whole, out of its file; or as the difference to its neighbour's."""
    neighbour = NEIGHBOUR.get(column)
    if neighbour is not None and neighbour in scenario.columns:
        lines = difference(scenario.source(neighbour), scenario.source(column))
        if not lines:
            return [f"The same as {neighbour}."]
        return [f"Where it differs from {neighbour}:", "```diff\n" + "\n".join(lines) + "\n```"]
    module = scenario.column_module(column).__name__
    path = f"../../{module.replace('.', '/')}.py"
    if scenario.exhibit and ".shells." in module:
        return [
            f"```{{literalinclude}} {path}\n:pyobject: {name}\n```" for name in scenario.exhibit
        ]
    return [f"```{{literalinclude}} {path}\n```"]


def tables(results: CompareResults, costs: Costs) -> dict[str, str]:
    """What stands between the markers of the chapter, by the marker's name."""
    found = seen(results)
    parts = []
    for label, alike in by_label(found).items():
        if alike:
            claim = CLAIMS[label].partition(": ")[2]
            parts += [f"### {label.value}: {len(alike)}", claim[0].upper() + claim[1:]]
            parts.append(verdict_table(results, alike).markdown())
    linked = "\n\n".join(parts)
    for scenario in found:
        page = f"[{scenario.id}](compare/{page_name(scenario)})"
        linked = linked.replace(f"| {scenario.id} ", f"| {page} ", 1)
    return {
        "stamp": _stamp(stamp(results)),
        "table": linked,
        "costs-stamp": _stamp(costs.stamp),
        "costs": figures(costs).markdown(),
        "ratios": ratios(costs).markdown(),
        "lengths": lengths().markdown(),
        "toctree": "```{toctree}\n:hidden:\n\n"
        + "\n".join(f"compare/{scenario.name}" for scenario in found)
        + "\n```",
    }


def _stamp(facts: object) -> str:
    assert isinstance(facts, dict)
    return "; ".join(f"{name} {value}" for name, value in facts.items()) + "."


def filled(chapter: str, between: dict[str, str]) -> str:
    """The chapter with these texts between its markers.

    Raises:
        ValueError: it lacks a marker.
    """
    for name, text in between.items():
        before, start, rest = chapter.partition(f"<!-- {name} -->")
        _, end, after = rest.partition("<!-- end -->")
        if not start or not end:
            raise ValueError(f"no <!-- {name} --> … <!-- end --> in the chapter")
        chapter = f"{before}{start}\n\n{text}\n\n{end}{after}"
    return chapter


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the pages, the tables, and from a new run also the pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--results", type=Path, metavar="FILE", help="a new run")
    parser.add_argument("--costs", type=Path, metavar="FILE", help="a new measurement")
    options = parser.parse_args(arguments)
    if options.results:
        run = CompareResults.load(options.results)
        for old in SAMPLE.parent.glob("s*.svg"):
            old.unlink()
        for scenario in seen(run):
            cells = cells_of(run, scenario)
            if can_be_drawn(cells):
                path = SAMPLE.with_name(f"{scenario.name}.svg")
                path.write_text(timeline(cells).svg + "\n", encoding="utf-8")
        kept = tuple(replace(cell, events=(), complaints="") for cell in run.cells)
        replace(run, cells=kept).save(SAMPLE)
    if options.costs:
        Costs.load(options.costs).save(COSTS)
    results, costs = CompareResults.load(SAMPLE), Costs.load(COSTS)
    COSTS.with_name("costs.svg").write_text(chart(costs).svg + "\n", encoding="utf-8")
    for old in SAMPLE.parent.glob("s*.md"):
        old.unlink()
    for name, text in pages(results).items():
        SAMPLE.with_name(name).write_text(text, encoding="utf-8")
    chapter = CHAPTER.read_text(encoding="utf-8")
    CHAPTER.write_text(filled(chapter, tables(results, costs)), encoding="utf-8")


if __name__ == "__main__":
    main()
