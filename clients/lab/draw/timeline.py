"""The queue over time: how deep it is above, what happened to the requests below, one clock."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from trio_stages.report import panels

from .curves import dashes, marks, name_all
from .ink import looks, scale
from .labels import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from clients.lab.results import Plot, Series


def timeline(plot: Plot) -> str:
    """A panel for the queue and one for the rest: their scales differ, their clock is the same."""
    parts = _parts(plot)

    def picture(several: Sequence[Axes]) -> None:
        from matplotlib.ticker import MaxNLocator

        for number, (axes, members) in enumerate(zip(several, parts, strict=True)):
            lines = [
                _curve(axes, series, colour, rank, fill=len(members) == 1)
                for series, (colour, rank) in zip(members, looks(members), strict=True)
                if series.points
            ]
            # a level belongs to the first panel, an instant to all of them
            crossing = [mark for mark in plot.marks if mark.axis == "x" or number == 0]
            scale(axes, plot.x, plot.y, (), [m.at for m in crossing if m.axis == "y"])
            axes.margins(x=0)
            axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
            drawn = marks(axes, crossing)
            if number:
                drawn = [replace(line, name="") for line in drawn]
            if number < len(parts) - 1:
                axes.set_xlabel("")
            name_all(axes, lines + drawn)

    rows = len(parts)
    return panels(
        picture,
        title=plot.title,
        rows=rows,
        height_in=3.4 if rows == 1 else 2.9 + 1.7 * (rows - 1),
        heights=[1.5] + [1.0] * (rows - 1),
        share_x=True,
    )


def _parts(plot: Plot) -> list[list[Series]]:
    queued = [series for series in plot.series if series.role == "queued"]
    others = [series for series in plot.series if series.role != "queued"]
    return [part for part in (queued, others) if part] or [[]]


def _curve(axes: Axes, series: Series, colour: str, rank: int, *, fill: bool) -> Line:
    x, y = zip(*series.points, strict=True)
    steps = series.style == "steps"
    if fill:
        step: Literal["post"] | None = "post" if steps else None
        axes.fill_between(x, y, step=step, color=colour, alpha=0.16, lw=0)
    key: dict[str, Any] = {"lw": 1.8, "ls": dashes(series, rank)}
    axes.plot(x, y, drawstyle="steps-post" if steps else "default", color=colour, **key)
    return Line(series.name, colour, series.points, key)
