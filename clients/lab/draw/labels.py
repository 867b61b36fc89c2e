"""Names beside their lines, so that nobody has to look a colour up in a legend.

A name is tried at many places along its own line, and goes where it hides nothing: neither a line
nor another name. Where there is no such place for one of them, all go into a legend.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Points = NDArray[np.float64]

SIZE = 12.0
EM = 0.66  # the width of a bold letter, as a share of its height; most fonts are narrower
GAP = 6.0
STEP = 3.0  # lines are looked at every so many points

# How much worse a place is: for each point of a line under the name, for being far from the end of
# its line (readers look there first), for being nearer to another line than to its own.
COVERED, FAR, NEARER = 1.0, 1.5, 8.0
WORST = 4.0


@dataclass(frozen=True, slots=True)
class Line:
    """A line and its name.

    Attributes:
        name: may have several lines; empty: nothing to write, but nothing may hide it.
        colour: of both.
        points: in the coordinates of the data.
        key: how it looks, for a legend: what ``Line2D`` takes.
    """

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    key: Mapping[str, Any] = field(default_factory=dict)


def label(axes: Axes, lines: Sequence[Line]) -> bool:
    """Write the names.

    Args:
        axes: with everything else already drawn and scaled.
        lines: all that is drawn, in the order of importance.

    Returns:
        Whether each name found its place. If not, none was written: make a legend.
    """
    axes.get_figure(root=True).draw_without_rendering()  # type: ignore[union-attr]  # lays out
    box = axes.bbox
    frame = (box.x0 + 4, box.y0 + 2, box.x1 - 4, box.y1 + 4)
    paths = [_walk(axes, line) for line in lines]
    taken: list[tuple[float, float, float, float]] = []
    found: list[tuple[Line, float, float]] = []
    for line, path in zip(lines, paths, strict=True):
        if not line.name:
            continue
        others = [other for other in paths if other is not path]
        cost, place = _best(line.name, path, others, taken, frame)
        if cost > WORST:
            return False
        taken.append(place)
        found.append((line, (place[0] + place[2]) / 2, (place[1] + place[3]) / 2))
    to_axes = axes.transAxes.inverted()
    for line, x, y in found:
        at = to_axes.transform((x, y))
        text = axes.text(
            float(at[0]),
            float(at[1]),
            line.name,
            transform=axes.transAxes,
            color=line.colour,
            size=SIZE,
            weight="bold",
            ha="center",
            va="center",
            linespacing=1.15,
        )
        text.set_in_layout(False)  # the layout is done; the place would move with it
    return True


def _walk(axes: Axes, line: Line) -> Points:
    """The line on the canvas, a point every ``STEP``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        points: Points = axes.transData.transform(
            np.asarray(line.points, dtype=float).reshape(-1, 2)
        )
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < 2:
        return points
    pieces = [points[:1]]
    for start, end in pairwise(points):
        count = max(1, int(np.hypot(*(end - start)) / STEP))
        pieces.append(start + (end - start) * (np.arange(1, count + 1) / count)[:, None])
    return np.concatenate(pieces)


def _best(
    name: str,
    path: Points,
    others: Sequence[Points],
    taken: Sequence[tuple[float, float, float, float]],
    frame: tuple[float, float, float, float],
) -> tuple[float, tuple[float, float, float, float]]:
    rows = name.split("\n")
    width, height = SIZE * EM * max(map(len, rows)), SIZE * 1.3 * len(rows)
    best = (np.inf, (0.0, 0.0, 0.0, 0.0))
    inside = path[
        (path[:, 0] >= frame[0] - 4)
        & (path[:, 0] <= frame[2] + 4)
        & (path[:, 1] >= frame[1] - 4)
        & (path[:, 1] <= frame[3] + 4)
    ]
    spots = (
        inside[np.unique(np.linspace(0, len(inside) - 1, 60).astype(int))] if len(inside) else []
    )
    for number, (x, y) in enumerate(spots):
        far = FAR * (1 - number / max(1, len(spots) - 1))
        for dx, dy in (
            (width / 2 + GAP, 0.0),
            (-width / 2 - GAP, 0.0),
            (0.0, height / 2 + GAP),
            (0.0, -height / 2 - GAP),
            (-width / 2, height / 2 + GAP),
            (-width / 2, -height / 2 - GAP),
            (width / 2, height / 2 + GAP),
            (width / 2, -height / 2 - GAP),
        ):
            cx, cy = x + dx, y + dy
            place = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
            if place[0] < frame[0] or place[1] < frame[1]:
                continue
            if place[2] > frame[2] or place[3] > frame[3]:
                continue
            if any(_overlap(place, other) for other in taken):
                continue
            cost = far + COVERED * _covered(place, path)
            cost += sum(2 * COVERED * _covered(place, other) for other in others)
            if cost >= best[0]:
                continue
            own = _distance(place, path)
            if any(_distance(place, other) < own - 1 for other in others if len(other)):
                cost += NEARER
            if cost < best[0]:
                best = (cost, place)
    return best


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] + 3 and b[0] < a[2] + 3 and a[1] < b[3] + 1 and b[1] < a[3] + 1


def _covered(place: tuple[float, float, float, float], path: Points) -> int:
    x, y = path[:, 0], path[:, 1]
    inside = (x > place[0] - 2) & (x < place[2] + 2) & (y > place[1] - 2) & (y < place[3] + 2)
    return int(inside.sum())


def _distance(place: tuple[float, float, float, float], path: Points) -> float:
    x = np.maximum(np.maximum(place[0] - path[:, 0], path[:, 0] - place[2]), 0)
    y = np.maximum(np.maximum(place[1] - path[:, 1], path[:, 1] - place[3]), 0)
    return float(np.hypot(x, y).min())
