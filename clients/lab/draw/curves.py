"""Curves: a factor that was varied, the offered load, and how times are distributed.

Measured figures are points, because nothing was measured between them; the model is a line.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from trio_stages.report import svg

from .ink import MARKERS, ROLES, looks, scale, short
from .labels import Line, label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from clients.lab.results import Mark, Plot, Series

DASHES = (0, (5, 2.5))
CONDITIONED: Any = ("-", (0, (3, 1.5)), (0, (1, 1)))
DOTTED: Any = {"lw": 1.2, "ls": (0, (2, 2))}
LEGEND_IN = 0.24  # a line of a legend
MOST_POINTS = 240  # of a distribution; more of them are finer than the picture


def curves(plot: Plot) -> str:
    """A sweep over a factor, or over the offered load."""

    def picture(axes: Axes) -> None:
        lines = _draw(axes, plot.series, join=plot.kind == "offered_vs_goodput")
        xs = {x for series in plot.series if series.style == "points" for x, _ in series.points}
        if plot.kind == "offered_vs_goodput":
            _overload(axes)
        levels = [mark.at for mark in plot.marks if mark.axis == "y"]
        scale(axes, plot.x, plot.y, sorted(xs), levels)
        name_all(axes, lines + marks(axes, plot.marks))

    return svg(picture, title=plot.title, height_in=3.9)


def distribution(plot: Plot) -> str:
    """Cumulative: how many of all stayed below a value; the half and the 99 % are marked."""

    def picture(axes: Axes) -> None:
        from matplotlib.ticker import FixedLocator, FuncFormatter

        lines = []
        for series, (colour, rank) in zip(plot.series, looks(plot.series), strict=True):
            points = _thin([(x, 100 * y) for x, y in series.points])
            if not points:
                continue
            key: dict[str, Any] = {"ls": dashes(series, rank)}
            axes.plot(*zip(*points, strict=True), color=colour, **key)
            half, most = quantile(series, 0.5), quantile(series, 0.99)
            axes.plot([half, most], [50, 99], "o", ms=5, color=colour)
            unit = f" {plot.x.unit}" if plot.x.unit else ""
            figures = f"p50 {short(half)} · p99 {short(most)}{unit}"
            lines.append(Line(f"{series.name}\n{figures}", colour, points, key))
        scale(axes, plot.x, plot.y)
        axes.set_ylim(0, 108)
        axes.yaxis.set_major_locator(FixedLocator([0, 25, 50, 75, 100]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} %"))
        if not plot.x.log:
            axes.set_xlim(left=0)
        name_all(axes, lines + marks(axes, plot.marks))

    return svg(picture, title=plot.title, height_in=3.9)


def dashes(series: Series, rank: int) -> Any:
    """Whole for what was measured, dashed for the model, finer for a second condition."""
    return DASHES if series.role == "model" else CONDITIONED[rank % len(CONDITIONED)]


def quantile(series: Series, share: float) -> float:
    """The value that this share of all does not exceed."""
    shares = [y for _, y in series.points]
    index = min(bisect_left(shares, share), len(series.points) - 1)
    return series.points[index][0]


def marks(axes: Axes, given: Sequence[Mark]) -> list[Line]:
    """Draw straight lines across, such as a capacity."""
    lines = []
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    for mark in given:
        if mark.axis == "y":
            axes.axhline(mark.at, color=ROLES[mark.role], **DOTTED)
            ends = [(left, mark.at), (right, mark.at)]
        else:
            axes.axvline(mark.at, color=ROLES[mark.role], **DOTTED)
            ends = [(mark.at, bottom), (mark.at, top)]
        lines.append(Line(mark.name, ROLES[mark.role], ends, DOTTED))
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    return lines


def name_all(axes: Axes, lines: Sequence[Line]) -> None:
    """Names beside the lines, or in a legend above them where there is no room."""
    if label(axes, lines):
        return
    from matplotlib.lines import Line2D

    named = [line for line in lines if line.name]
    keys = [Line2D([], [], color=line.colour, **line.key) for line in named]
    words = [line.name.replace("\n", ": ") for line in named]
    figure = axes.get_figure(root=True)
    assert figure is not None
    if len(figure.axes) > 1:
        axes.legend(keys, words, loc="best", handlelength=1.2)
        return
    columns = 1 if max(map(len, words)) > 24 else 3
    width_in, height_in = figure.get_size_inches()
    figure.set_size_inches(width_in, height_in + LEGEND_IN * (1 + len(words) // columns))
    figure.legend(keys, words, loc="outside lower left", ncols=columns, handlelength=1.2)


def _draw(axes: Axes, given: Sequence[Series], *, join: bool) -> list[Line]:
    lines = []
    rings = [one for one in given if one.style == "points" and one.role == "virtual"]
    for series, (colour, rank) in zip(given, looks(given), strict=True):
        if not series.points:
            continue
        x, y = zip(*series.points, strict=True)
        if series.style == "points":
            hollow = series.role == "virtual" or rank > 0
            # where points fall on each other, rings around them show how many there are
            outer = len(rings) - 1 - rings.index(series) if series in rings else 0
            size = 8 + 3.5 * outer if hollow else 6.5
            key: dict[str, Any] = {
                "marker": MARKERS.get(series.role, "o"),
                "ms": min(size, 15),
                "mfc": "none" if hollow else colour,
                "mec": colour,
                "mew": 1.8 if hollow else 0,
                "ls": "none",
            }
            if join or not hollow:  # the eye finds what belongs together
                axes.plot(x, y, color=colour, lw=1, alpha=0.45)
        else:
            key = {"lw": 1.8, "ls": dashes(series, rank)}
            if series.style == "steps":
                key["drawstyle"] = "steps-post"
        axes.plot(x, y, color=colour, **key)
        lines.append(Line(series.name, colour, series.points, key))
    return lines


def _overload(axes: Axes) -> None:
    """What is beyond the capacity cannot be served, whatever the server does."""
    left, right = axes.get_xlim()
    if left < 1 < right:
        axes.axvspan(1, right, color=ROLES["rejected"], alpha=0.06, lw=0)
        axes.set_xlim(left, right)


def _thin(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    every = max(1, len(points) // MOST_POINTS)
    thinned = points[::every]
    return thinned if not points or thinned[-1] == points[-1] else [*thinned, points[-1]]
