"""The comparison as a page: what it costs first, then the table, then scenario by scenario."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from trio_stages.report import Page, Section, Table, Verdict

from .costs.chart import chart
from .costs.tables import figures, left_over, ratios
from .exhibits import exhibits, lengths
from .metrics import MEANING
from .results import HANG
from .scenario import COLUMNS, Label
from .timeline import can_be_drawn, timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from trio_stages.report.page import Block

    from .costs import Costs
    from .results import Cell, CompareResults, Metric
    from .scenario import Scenario

TITLE = "Structured cancellation against asyncio"
INTRO = (
    "One event-ingest server over one sans-IO core, five times: on Trio, on asyncio as its "
    "documentation has it today (modern) and as most of it is written (classic), by someone who "
    "has been burnt (hardened), and with Trio's structure on asyncio's event loop (anyio). Every "
    "✓ and ✗ below was computed from this run, and is held to what the registry expects, and so is "
    "every label but the trade-offs, which are a judgement; each cell was a process of its own "
    "with a hard limit, so that a HANG is a result. What favours asyncio stands first."
)
CLAIMS = {
    Label.TRIO_BETTER: "**Trio better**: Trio does what is wanted; modern asyncio does not, or not "
    "on every Python from 3.11 on.",
    Label.ASYNCIO_BETTER: "**asyncio better**: modern or classic does what is wanted, "
    "Trio does not.",
    Label.TRADE_OFF: "**Trade-off**: each does what some would want.",
    Label.SAME: "**The same**: Trio and modern asyncio do alike.",
}

#: Their order in the tables.
LABELS = (Label.ASYNCIO_BETTER, Label.TRADE_OFF, Label.TRIO_BETTER, Label.SAME)


def page(
    results: CompareResults, scenarios: Mapping[str, Scenario], costs: Costs | None = None
) -> Page:
    """Compose the page.

    Args:
        results: of a run.
        scenarios: the registry.
        costs: a measurement, if there was one.
    """
    seen = [s for s in scenarios.values() if any(cell.scenario == s.id for cell in results.cells)]
    return Page(
        title=TITLE,
        intro=INTRO,
        stamp=stamp(results),
        sections=(
            *([costs_section(costs)] if costs else []),
            table_section(results, seen),
            *(scenario_section(scenario, cells_of(results, scenario)) for scenario in seen),
            Section(
                title="How long the shells are",
                blocks=(
                    "What a column costs in code. The extra lines of the hardened shell are what "
                    "the scenarios have asked for; each says which. Some are not asyncio's: it "
                    "also survives what ends the other shells (S1, S1b).",
                    lengths(),
                ),
            ),
            Section(title="What the metrics mean", blocks=(_meanings(),)),
        ),
    )


def write(page: Page, html: Path | None = None, markdown: Path | None = None) -> None:
    """Write the page as files; the pictures of the Markdown one go beside it.

    Raises:
        OSError: a file cannot be written.
    """
    for path in (html, markdown):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    if html is not None:
        html.write_text(page.html(), encoding="utf-8")
    if markdown is not None:
        names = [f"{markdown.stem}-{number:02}.svg" for number in range(len(page.figures))]
        for name, figure in zip(names, page.figures, strict=True):
            markdown.with_name(name).write_text(figure.svg + "\n", encoding="utf-8")
        markdown.write_text(page.markdown(names.__getitem__), encoding="utf-8")


def cells_of(results: CompareResults, scenario: Scenario) -> list[Cell]:
    """The cells of a scenario, column by column and version by version."""
    found = [cell for cell in results.cells if cell.scenario == scenario.id]
    return sorted(found, key=lambda cell: COLUMNS.index(cell.column))


def stamp(results: CompareResults) -> dict[str, str]:
    """The interpreters, and the versions that they have in common or not."""
    pythons = {
        "python": ", ".join(
            stamp.python + ("" if stamp.gil else " free-threaded") for stamp in results.stamps
        )
    }
    versions: dict[str, dict[str, None]] = {}
    for stamp in results.stamps:
        for name, found in stamp.versions.items():
            versions.setdefault(name, {})[found or "none"] = None
    system = dict.fromkeys(f"{stamp.system}, {stamp.cores} cores" for stamp in results.stamps)
    return (
        pythons
        | {name: " and ".join(several) for name, several in versions.items()}
        | {"system": "; ".join(system)}
    )


def costs_section(costs: Costs) -> Section:
    """What the same work costs in each column."""
    why = Table(
        columns=("operation", "where a server meets it, and what is behind the figures"),
        rows=tuple((op.title, op.why.replace("`", "")) for op in costs.operations),
        align="ll",
    )
    return Section(
        title="What it costs",
        anchor="costs",
        blocks=(
            "asyncio's event loop is the leaner one, and most of this table is its. Two things "
            "stand behind the differences. Every call that may wait is a checkpoint in Trio, also "
            "when there is nothing to wait for: it may be cancelled there, and others get their "
            "turn; asyncio goes straight on. And Trio's tasks know their nursery and their cancel "
            "scopes, which has its price when ten thousand of them end at once. Measured on "
            f"{costs.stamp.get('python', 'this Python')}.",
            chart(costs),
            figures(costs),
            ratios(costs),
            why,
            f"At the end of the runs: {left_over(costs)}.",
        ),
    )


def table_section(results: CompareResults, scenarios: Sequence[Scenario]) -> Section:
    """All verdicts on a page."""
    counts = Counter(scenario.label for scenario in scenarios)
    tally = ", ".join(f"**{label.value}** {counts[label]}" for label in LABELS)
    surprises = [cell for cell in results.cells if not cell.agrees]
    return Section(
        title="All scenarios",
        anchor="table",
        blocks=(
            f"{len(scenarios)} scenarios: {tally}. ✓ is what the owner of an ingest server wants, "
            "✗ is not. Where versions of Python differ, each is named.",
            *_tables(results, scenarios),
            *_surprises(surprises),
        ),
    )


def _tables(results: CompareResults, scenarios: Sequence[Scenario]) -> list[Block]:
    blocks: list[Block] = []
    for label, found in by_label(scenarios).items():
        if found:
            blocks += [CLAIMS[label], verdict_table(results, found)]
    return blocks


def by_label(scenarios: Sequence[Scenario]) -> dict[Label, list[Scenario]]:
    """The scenarios of each label: first what speaks for asyncio, last what speaks for nobody."""
    return {label: [s for s in scenarios if s.label is label] for label in LABELS}


def verdict_table(results: CompareResults, scenarios: Sequence[Scenario]) -> Table:
    """A row for each scenario, a column for each column."""
    columns = [c for c in COLUMNS if any(cell.column == c for cell in results.cells)]
    return Table(
        columns=("scenario", *columns),
        rows=tuple(
            (
                f"{scenario.id} {scenario.title}",
                *(verdict(cells_of(results, scenario), column) for column in columns),
            )
            for scenario in scenarios
        ),
        align="l" * (1 + len(columns)),
    )


def verdict(cells: Iterable[Cell], column: str) -> str:
    """What one column came to, on all versions: ``✓ applied 1×``; ``3.12, 3.13: ✗ HANG``."""
    versions: dict[str, list[str]] = {}
    for cell in cells:
        if cell.column == column:
            text = f"{'✓' if cell.wanted else '✗'} {cell.shown}{'' if cell.agrees else ' !'}"
            versions.setdefault(text, []).append(cell.python.rpartition(".")[0])
    if len(versions) == 1:
        return next(iter(versions))
    return "; ".join(f"{', '.join(found)}: {text}" for text, found in versions.items()) or "–"


def scenario_section(scenario: Scenario, cells: Sequence[Cell]) -> Section:
    """One scenario: what is done, what came of it, the picture, the code."""
    links = ", ".join(f"[{link.text}]({link.url})" for link in scenario.links)
    blocks: list[Block] = [
        scenario.done,
        scenario.why,
        judge(scenario, cells),
        *([timeline(cells)] if can_be_drawn(cells) else []),
        metrics_table(cells),
    ]
    if scenario.note:
        blocks.append(scenario.note)
    blocks += reasons(scenario)
    if links:
        blocks.append(f"Read more: {links}.")
    blocks += exhibits(scenario)
    blocks += _surprises(cell for cell in cells if not cell.agrees)
    return Section(
        title=f"{scenario.id} {scenario.title}", anchor=scenario.id, blocks=tuple(blocks)
    )


def reasons(scenario: Scenario) -> list[str]:
    """What the registry says of cells that need a word: ``modern, since 3.12: …``."""
    told = []
    for expectation in scenario.expected:
        if expectation.because:
            words = [", ".join(f"`{column}`" for column in expectation.columns)]
            if expectation.since > (3, 11):
                words.append(f"since {'.'.join(map(str, expectation.since))}")
            if expectation.before is not None:
                words.append(f"before {'.'.join(map(str, expectation.before))}")
            told.append(f"{', '.join(words)}: {expectation.because}.")
    return told


def judge(scenario: Scenario, cells: Sequence[Cell]) -> Verdict:
    """Hold the scenario's label, and all that the registry expects, against the cells."""
    columns = list(dict.fromkeys(cell.column for cell in cells))
    measured = "; ".join(f"{column}: {verdict(cells, column)}" for column in columns)
    return Verdict(
        claim=CLAIMS[scenario.label],
        holds=scenario.label_follows(cells) and all(cell.agrees for cell in cells),
        measured=measured,
    )


def metrics_table(cells: Sequence[Cell]) -> Table:
    """What was counted: a row for each metric that is not nothing everywhere."""
    pythons = list(dict.fromkeys(cell.python for cell in cells))
    names = list(dict.fromkeys(name for cell in cells for name in cell.metrics))
    rows = []
    for name in names:
        values = [cell.metrics.get(name, "") for cell in cells]
        if any(value not in (0, "", False) for value in values):
            rows.append((name, *map(_metric, values)))
    one = len(pythons) == 1
    titles = (c.column if one else f"{c.column} {c.python.rpartition('.')[0]}" for c in cells)
    return Table(columns=("metric", *titles), rows=tuple(rows))


def _metric(value: Metric) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,g}" if isinstance(value, float) else str(value)


def _surprises(cells: Iterable[Cell]) -> list[Block]:
    told = [
        f"{cell.column} on {cell.python}: {difference}"
        for cell in cells
        for difference in (cell.differences or ([HANG] if cell.outcome == HANG else ["?"]))
    ]
    if not told:
        return []
    return [Verdict(claim="As the registry expects", holds=False, measured="; ".join(told))]


def _meanings() -> Table:
    return Table(columns=("metric", "meaning"), rows=tuple(MEANING.items()), align="ll")
