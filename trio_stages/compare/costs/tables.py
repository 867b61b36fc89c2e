"""The costs as parts of a report: who is ahead first, then the figures, then the ratios."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_stages.report import Table

from .results import MARGIN

if TYPE_CHECKING:
    from .operations import Operation
    from .results import Costs, Runs

UNITS = {"us": "µs", "ms": "ms", "per_s": "per s of CPU"}


def figure(value: float) -> str:
    """Three significant digits, and no exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ahead(costs: Costs, operation: Operation) -> str:
    """Who is ahead, Trio or asyncio as it is written today; ``neither`` within the noise."""
    ratio = costs.ratio(operation.name, "modern")
    if ratio is None:
        return "not measured"
    if ratio.ahead is None:
        return "neither"
    if ratio.ahead:
        return f"asyncio, {ratio.median:.1f} ×"
    return f"Trio, {1 / ratio.median:.1f} ×"


def figures(costs: Costs) -> Table:
    """Medians, and how far the rounds were apart."""

    def cell(runs: Runs | None) -> str:
        if runs is None or runs.median is None:
            return "–"
        spread = (max(runs.figures) - min(runs.figures)) / 2 / runs.median
        return f"{figure(runs.median)} ±{spread:.0%}"

    return Table(
        columns=("operation", "ahead", *costs.columns),
        rows=tuple(
            (
                f"{operation.title}, {UNITS[operation.unit]}",
                ahead(costs, operation),
                *(cell(costs.find(operation.name, column)) for column in costs.columns),
            )
            for operation in costs.operations
        ),
        caption=f"CPU time, the median of {costs.rounds} rounds; ±: half of the span between the "
        "least and the most, in per cent of it. Ahead: Trio, or asyncio as `modern` has it.",
        align="ll" + "r" * len(costs.columns),
    )


def ratios(costs: Costs) -> Table:
    """How many times as fast as Trio, within a round."""
    columns = [column for column in costs.columns if column != "trio"]
    return Table(
        columns=("operation", *columns),
        rows=tuple(
            (
                operation.title,
                *(str(costs.ratio(operation.name, column) or "–") for column in columns),
            )
            for operation in costs.operations
        ),
        caption="How many times as fast as Trio in the same round: median (least–most). "
        f"Within {MARGIN:.0%} of 1, or on both sides of it, neither is ahead.",
    )


def left_over(costs: Costs) -> str:
    """What was found at the ends of the runs: nothing left, or what."""
    left = [
        f"{runs.facts[name]} {name} in {runs.column}"
        for runs in costs.runs
        for name in runs.facts
        if name.endswith("left") and runs.facts[name]
    ]
    failed = sum(cpu_s is None for runs in costs.runs for cpu_s in runs.cpu_s)
    if failed:
        left.append(f"{failed} runs failed or were not over in time")
    return "; ".join(left) or "nothing was left behind in any run"
