"""The queue over time: how deep it is above, what happened to the requests below, one clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from trio_stages.report import panels

from .curves import marks, name_all
from .ink import colours, named, scale
from .labels import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from clients.lab.results import Plot, Series


def timeline(plot: Plot) -> str:
    """A panel for each group of series: their scales differ, their clock is the same."""
    groups: dict[str, list[Series]] = {}
    for series in plot.series:
        groups.setdefault(series.group, []).append(series)
    shades = dict(zip(plot.series, colours(plot.series), strict=True))

    def picture(several: Sequence[Axes]) -> None:
        from matplotlib.ticker import MaxNLocator

        several[0].set_title(plot.title)
        for number, (axes, members) in enumerate(zip(several, groups.values(), strict=True)):
            lines = []
            for series in members:
                if not series.points:
                    continue
                x, y = zip(*series.points, strict=True)
                steps = series.style == "steps"
                if len(members) == 1:
                    step: Literal["post"] | None = "post" if steps else None
                    axes.fill_between(x, y, step=step, color=shades[series], alpha=0.16, lw=0)
                axes.plot(
                    x,
                    y,
                    drawstyle="steps-post" if steps else "default",
                    color=shades[series],
                    lw=1.8,
                )
                lines.append(Line(series.name, shades[series], series.points))
            scale(axes, plot.x, plot.y)
            axes.margins(x=0)
            axes.yaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 2.5, 5, 10]))
            axes.set_ylim(0, max(axes.get_ylim()[1], 1))
            # a level belongs to the first panel, an instant to all of them
            levels = [mark for mark in plot.marks if mark.axis == "x" or number == 0]
            top = max([axes.get_ylim()[1], *(1.12 * m.at for m in levels if m.axis == "y")])
            axes.set_ylim(0, top)
            drawn = marks(axes, levels)
            if number:
                drawn = [Line("", line.colour, line.points) for line in drawn]
                axes.set_ylabel(plot.y.label if len(members) > 1 else "")
            if number < len(groups) - 1:
                axes.set_xlabel("")
            name_all(axes, lines + drawn)
        several[-1].set_xlabel(named(plot.x))

    rows = max(1, len(groups))
    return panels(
        picture,
        rows=rows,
        height_in=3.4 if rows == 1 else 2.9 + 1.7 * (rows - 1),
        heights=[1.5] + [1.0] * (rows - 1),
        share_x=True,
    )
