"""What each worker did and when: a lane a worker, and the share of each kind of time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trio_stages.report import svg

from .ink import ROLES, named, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from clients.lab.results import Lane, Plot

THICK = 0.78
SHADES = {"work": 0.42, "idle": 0.10}  # pale, so that holding and waiting stand out
ORDER = ("work", "wait", "hold", "idle")


def lanes(plot: Plot) -> str:
    """Lanes from the top down, with the time of all of them added up beside the title."""

    def picture(axes: Axes) -> None:
        from matplotlib.patches import Patch, PathPatch
        from matplotlib.path import Path

        spent: dict[str, float] = {}
        boxes: dict[str, list[Path]] = {}
        for row, lane in enumerate(plot.lanes):
            for span in lane.spans:
                spent[span.what] = spent.get(span.what, 0.0) + span.end_s - span.start_s
                low, high = row - THICK / 2, row + THICK / 2
                corners = (
                    (span.start_s, low),
                    (span.end_s, low),
                    (span.end_s, high),
                    (span.start_s, high),
                )
                boxes.setdefault(span.what, []).append(Path([*corners, corners[0]], closed=True))
        kinds = sorted(boxes, key=lambda what: (ORDER.index(what) if what in ORDER else 9, what))
        for what in kinds:  # one path for all of a kind: a file a tenth of the size
            path = Path.make_compound_path(*boxes[what])
            shade = SHADES.get(what, 0.95)
            axes.add_patch(PathPatch(path, fc=ROLES[what], alpha=shade, lw=0))
        total = sum(spent.values()) or 1.0
        axes.legend(
            [Patch(fc=ROLES[what], alpha=SHADES.get(what, 0.95)) for what in kinds],
            [f"{what} {short(round(100 * spent[what] / total, 1))} %" for what in kinds],
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=len(kinds) or 1,
            borderaxespad=0.3,
            columnspacing=1.2,
            handlelength=1.0,
            handletextpad=0.5,
        )
        axes.autoscale_view()
        starts = [lane.spans[0].start_s for lane in plot.lanes if lane.spans]
        axes.set_xlim(left=min([0.0, *starts]))
        axes.set_ylim(len(plot.lanes) - 0.4, -0.6)
        every = 1 if len(plot.lanes) <= 20 else 4
        rows = range(0, len(plot.lanes), every)
        axes.set_yticks(list(rows), [_name(plot.lanes[row]) for row in rows])
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(named(plot.x))
        axes.set_ylabel(plot.y.label)

    return svg(picture, title=plot.title, height_in=1.5 + 0.19 * max(4, len(plot.lanes)))


def _name(lane: Lane) -> str:
    number = re.search(r"\d+$", lane.name)
    return number[0] if number else lane.name
