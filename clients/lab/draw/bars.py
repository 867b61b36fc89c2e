"""Bars that lie: their names are sentences, and a phone is narrow.

A waterfall's bars begin where the one before them ended, and the last one is the way in all.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from clients.lab.cells import cell
from trio_stages.report import panels, svg
from trio_stages.report.plots import INK

from .ink import CONDITIONS, ROLES, named, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from clients.lab.results import Bar, Plot

THICK = 0.7
ROW_IN = 0.36


def waterfall(plot: Plot) -> str:
    """Steps that add up to the last bar; groups, such as two orders, one below the other."""
    groups = _groups(plot)
    digits = _digits(plot.bars)

    def picture(several: Sequence[Axes]) -> None:
        high = 0.0
        for axes, (name, bars) in zip(several, groups, strict=True):
            high = max(high, _steps(axes, bars, plot.y.unit, digits))
            axes.set_title(name)
        for axes in several:
            low = min(0.0, *(axes.get_xlim()[0] for axes in several))
            axes.set_xlim(low, (high or 1.0) * 1.14)
        several[-1].set_xlabel(named(plot.y))

    rows = len(groups)
    return panels(
        picture,
        title=plot.title,
        rows=rows,
        height_in=0.7 + sum(0.45 + ROW_IN * len(bars) for _, bars in groups) + 0.3 * (rows > 1),
        heights=[len(bars) + 0.5 for _, bars in groups],
        share_x=True,
    )


def _steps(axes: Axes, bars: Sequence[Bar], unit: str, digits: int) -> float:
    start, high = 0.0, 0.0
    for row, bar in enumerate(bars):
        total = bar.role == "total"
        left = 0.0 if total else start
        axes.barh(
            row,
            bar.value,
            THICK,
            left=left,
            color=ROLES["rejected"] if bar.value < 0 and not total else ROLES[bar.role],
        )
        end = left + bar.value
        text = cell(bar.value, digits)
        text = f"+{text}" if bar.value > 0 and not total else text
        axes.annotate(
            f"{text} {unit}".rstrip(),
            (max(left, end), row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            size=12,
        )
        if not total:
            if row + 1 < len(bars):
                axes.plot([end, end], [row - THICK / 2, row + 1 + THICK / 2], color=INK, lw=0.8)
            start = end
        high = max(high, end, left)
    _rows(axes, [bar.label for bar in bars])
    return high


def bars(plot: Plot) -> str:
    """Bars beside each other; a group has its name above them."""
    groups = _groups(plot)
    roles = [bar.role for bar in plot.bars]
    by_role = len(set(roles)) > 1 or len(groups) <= 1
    digits = _digits(plot.bars)
    log = plot.y.log and all(bar.value > 0 for bar in plot.bars)
    labels = list(dict.fromkeys(bar.label for bar in plot.bars))

    def colour(bar: Bar) -> str:
        return ROLES[bar.role] if by_role else CONDITIONS[labels.index(bar.label) % len(CONDITIONS)]

    def picture(axes: Axes) -> None:
        row, ticks = 0.0, []
        for name, members in groups:
            if name:
                ticks.append((row, name, True))
                row += 0.8
            for bar in members:
                if log:  # no bar is as long as its value here
                    axes.plot(bar.value, row, "o", ms=9, color=colour(bar))
                else:
                    axes.barh(row, bar.value, THICK, color=colour(bar))
                axes.annotate(
                    f"{cell(bar.value, digits)} {plot.y.unit}".rstrip(),
                    (max(bar.value, 0), row),
                    xytext=(9 if log else 5, 0),
                    textcoords="offset points",
                    va="center",
                    size=12,
                )
                ticks.append((row, bar.label, False))
                row += 0.85
            row += 0.3
        if log:
            axes.set_xscale("log")
        _rows(axes, [], log=log)
        axes.set_yticks([at for at, _, _ in ticks], [text for _, text, _ in ticks])
        for tick, (_, _, heading) in zip(axes.get_yticklabels(), ticks, strict=True):
            if heading:
                tick.set_fontweight("bold")
        axes.set_ylim(row - 0.6, -0.7)
        axes.margins(x=0.16)
        axes.set_xlabel(named(plot.y))

    rows = len(plot.bars) + sum(bool(name) for name, _ in groups) + 0.4 * len(groups)
    return svg(picture, title=plot.title, height_in=1.15 + 0.31 * max(rows, 2))


def _groups(plot: Plot) -> list[tuple[str, list[Bar]]]:
    groups = groupby(plot.bars, key=lambda bar: bar.group)
    return [(name, list(members)) for name, members in groups] or [("", [])]


def _rows(axes: Axes, names: Sequence[str], *, log: bool = False) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    if log:
        axes.grid(visible=True, axis="y")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.axvline(0, color=INK, lw=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def _digits(bars: Sequence[Bar]) -> int:
    """Behind the point: the same for all bars, or they could not be compared at a glance."""
    if all(bar.value == round(bar.value) for bar in bars):
        return 0
    most = max(abs(bar.value) for bar in bars)
    return 0 if most >= 1000 else 1 if most >= 10 else 2
