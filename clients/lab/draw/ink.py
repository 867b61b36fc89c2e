"""Colours, marks, numbers and axes that read the same in every plot of the lab."""

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING

from trio_stages.report import COLOURS
from trio_stages.report.plots import INK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import XAxis, YAxis

    from clients.lab.results import Axis, Series

ROLES = {
    "label": INK,
    "setting": INK,
    "document": COLOURS["document"],
    "original": COLOURS["other"],
    "measured": COLOURS["measured"],
    "virtual": COLOURS["virtual"],
    "model": COLOURS["model"],
    "offered": COLOURS["model"],
    "accepted": COLOURS["accepted"],
    "rejected": COLOURS["rejected"],
    "queued": COLOURS["queued"],
    "processed": COLOURS["accepted"],
    "goodput": COLOURS["accepted"],
    "wait": COLOURS["wait"],
    "hold": COLOURS["hold"],
    "work": COLOURS["work"],
    "idle": COLOURS["model"],
    "latency": COLOURS["wait"],
    "factor": COLOURS["measured"],
    "total": COLOURS["model"],
}

# Where several series have one role, each condition gets a colour of its own.
CONDITIONS = ("#2f7fd0", "#d07a1e", "#2a9461", "#8a6fd8", "#d9534a", "#b8860b", "#a0679f")

# Whose a point is shows in its shape too: measured and virtual ones often fall on each other.
MARKERS = {"measured": "o", "virtual": "D", "document": "s", "original": "^"}

FEW_DECADES = 2.3  # on so short a logarithmic axis 2 and 5 are named too

LETTER = 0.014  # of a tick's name, as a share of the axis


def looks(series: Sequence[Series]) -> list[tuple[str, int]]:
    """A colour and a rank for each.

    By role, where roles tell them apart. Where the same roles come under several conditions, as
    waits and holds over sockets and in virtual time, the colour is the role's and the rank the
    condition's. Else the colour is the condition's, and the model's of that condition.
    """
    given = [one for one in series if one.role != "model"]
    roles = {one.role for one in given}
    groups = list(dict.fromkeys(one.group for one in given))
    pairs = {(one.role, one.group) for one in given}
    if len(roles) == len(given):
        return [(ROLES[one.role], 0) for one in series]
    if len(roles) > 1 and len(groups) > 1 and len(pairs) == len(given):
        return [
            (ROLES[one.role], groups.index(one.group) if one.group in groups else 0)
            for one in series
        ]
    keys = list(dict.fromkeys(_condition(one) for one in given))
    chosen = {key: CONDITIONS[number % len(CONDITIONS)] for number, key in enumerate(keys)}
    return [(chosen.get(_condition(one), ROLES[one.role]), 0) for one in series]


def _condition(series: Series) -> str:
    return series.group or series.name


def short(value: float) -> str:
    """Three significant digits, as a person would write them: 1,440 · 97.3 · 0.25."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def named(axis: Axis) -> str:
    """An axis' label with its unit."""
    return f"{axis.label}, {axis.unit}" if axis.unit else axis.label


def scale(
    axes: Axes, x: Axis, y: Axis, at: Sequence[float] = (), levels: Sequence[float] = ()
) -> None:
    """Scale and name both axes.

    Args:
        axes: what to scale, with all its curves.
        x: the horizontal axis.
        y: the vertical one, which begins at 0 unless it is logarithmic.
        at: the settings of the factor that was varied; where they are few, they are the ticks.
        levels: that have to be in sight too.
    """
    axes.set_xlabel(named(x))
    axes.set_ylabel(named(y))
    if x.log:
        axes.set_xscale("log")
    if y.log:
        axes.set_yscale("log")
    low, high = axes.get_ylim()
    high = max(high, *levels) if levels else high
    if not y.log:  # room for names above the curves
        low, high = min(0.0, low) if high <= 0 else 0.0, high * 1.12
    axes.set_ylim(low, high)
    _ticks(axes.xaxis, x, axes.get_xlim(), at if x.log and len(at) <= 9 else ())
    _ticks(axes.yaxis, y, (low, high))
    axes.grid(visible=False, axis="x")


def _ticks(
    axis: XAxis | YAxis, of: Axis, span: tuple[float, float], at: Sequence[float] = ()
) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    if len(at) > 1:
        axis.set_ticks(_apart(at, span))
        axis.set_minor_locator(NullLocator())
    elif of.log and span[0] > 0 and log10(span[1] / span[0]) < FEW_DECADES:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    if of.log:
        axis.set_minor_formatter(NullFormatter())


def _apart(at: Sequence[float], span: tuple[float, float]) -> list[float]:
    """Those of them whose names do not touch on a logarithmic axis; round ones come first."""
    decades = log10(span[1] / span[0])
    kept: list[float] = []
    for value in sorted(at, key=lambda value: (len(f"{value:g}".strip("0.")), value)):
        letters = len(short(value)) + 1
        if all(abs(log10(value / other)) / decades > letters * LETTER for other in kept):
            kept.append(value)
    return sorted(kept)
