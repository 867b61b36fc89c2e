"""A scenario as a picture: tasks, threads and locks as bars, a line where the cancellation came.

Columns that came to the same are drawn once. What to look for is in red: two threads where one
should be, and what was applied after the server had said that it was closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trio_stages.report import Figure

from .drawing import WIDTH, Drawing, shortened, width_of
from .lanes import Axis, Row, family_of, overlaps, rows_of
from .results import APPLY, CANCEL, CLOSE, HANG, MARK, START, STOP

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .results import Cell, Event

LEFT, RIGHT = 88.0, 14.0  # names of the lanes; room for "never ended"
ROW, BAR = 18.0, 14.0
LABEL = 12.0  # a line of labels above the rows
ROWS = 9  # more say no more
SAME_S = 0.02  # a mark so soon after the cancellation of its lane tells the same
AFTER_S = 1.0  # what never ended is seen to go on behind the last event

COLOURS = {"lock": "#2a9461", "thread": "#d07a1e", "task": "#2f7fd0", "client": "#8a6fd8"}
RED, GREEN = "#d9534a", "#2a9461"

#: Marks that every cell has.
COMMON_MARKS = {"listening", "main has ended"}


@dataclass(frozen=True, slots=True)
class Moment:
    """A line across all rows.

    Attributes:
        at_s: when.
        label: what happened.
        kind: ``cancel``, ``close`` or ``mark``.
    """

    at_s: float
    label: str
    kind: str


def timeline(cells: Sequence[Cell]) -> Figure:
    """Draw one scenario.

    Args:
        cells: of one scenario, in the order of the columns; on one interpreter or several.

    Returns:
        The figure; of cells in which nothing was recorded no more than their verdicts.
    """
    drawing = Drawing()
    y = _legend(drawing)
    said = []
    for together in alike(cells):
        cell = together[0]
        names = named(together, cells)
        y = _panel(drawing, y + 8, cell, names)
        verdict = "as wanted" if cell.wanted else "not as wanted"
        said.append(f"{names}: {cell.shown} ({verdict})")
    return Figure(
        svg=drawing.svg(y + 4),
        caption="Time runs to the right; short spans are stretched, long ones compressed. "
        + _drawn_once(cells),
        alt="; ".join(said) or "nothing was recorded",
    )


def can_be_drawn(cells: Iterable[Cell]) -> bool:
    """Whether a task, a thread, a lock or a moment was recorded in any of these cells."""
    return any(rows_of(cell.events) or moments_of(cell.events, set()) for cell in cells)


def alike(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Put the columns together that came to the same."""
    found: dict[tuple[str, str, bool], list[Cell]] = {}
    for cell in cells:
        found.setdefault((cell.outcome, cell.shown, cell.wanted), []).append(cell)
    return list(found.values())


def named(together: Iterable[Cell], cells: Sequence[Cell]) -> str:
    """Name the columns of some cells, with the versions where not all of them came to the same.

    Args:
        together: those to be named.
        cells: all of the scenario.
    """
    pythons: dict[str, list[str]] = {}
    for cell in together:
        pythons.setdefault(cell.column, []).append(cell.python)
    names = []
    for column, versions in pythons.items():
        everywhere = [cell.python for cell in cells if cell.column == column]
        minors = ", ".join(version.rpartition(".")[0] for version in versions)
        names.append(column if versions == everywhere else f"{column} ({minors})")
    return ", ".join(names)


def _drawn_once(cells: Sequence[Cell]) -> str:
    groups = [together for together in alike(cells) if len(together) > 1]
    if not groups:
        return ""
    return "What came to the same is drawn once, as the first that is named."


def _legend(drawing: Drawing) -> float:
    x, y = 0.0, 10.0
    for name in ("lock", "thread", "task"):
        drawing.bar(x, y - 8, 10, 8, COLOURS[name], opacity=0.5)
        drawing.text(x + 13, y, name, size=10, soft=True)
        x += 13 + width_of(name, 10) + 10
    _diamond(drawing, x + 4, y - 4, "currentColor", "")
    drawing.text(x + 11, y, "applied", size=10, soft=True)
    x += 11 + width_of("applied", 10) + 10
    drawing.line(x + 2, y - 9, x + 2, y + 1, colour=RED, width=1.4, dashes="3 2")
    drawing.text(x + 8, y, "cancelled", size=10, soft=True)
    x += 8 + width_of("cancelled", 10) + 10
    drawing.line(x + 2, y - 9, x + 2, y + 1, width=1.4)
    drawing.text(x + 8, y, "closed", size=10, soft=True)
    return y + 2


def _panel(drawing: Drawing, y: float, cell: Cell, names: str) -> float:
    """Draw one cell from ``y`` downwards, and return where it ends."""
    drawing.line(0, y, WIDTH, y, opacity=0.2)
    y += 14
    colour = GREEN if cell.wanted else RED
    drawing.text(0, y, "✓" if cell.wanted else "✗", size=11, bold=True, colour=colour)
    drawing.text(13, y, names, size=11, bold=True)
    x = 13 + width_of(names, 11) * 1.12 + 10
    shown = cell.shown if cell.outcome != HANG else "HANG: still running at its limit"
    if x + width_of(shown, 10.5) > WIDTH:
        x, y = 13, y + 13
    drawing.text(x, y, shortened(shown, 10.5, WIDTH - x), colour=colour)
    rows = rows_of(cell.events)
    moments = moments_of(cell.events, {row.lane for row in rows})
    if not rows and not moments:
        return y + 6
    more = len(rows) - ROWS
    rows = rows[:ROWS]
    picture = _Picture(drawing, cell, rows, moments, y + 5)
    picture.draw()
    if more > 0:
        drawing.text(0, picture.bottom + 10, f"and {more} rows more", size=10, soft=True)
        return picture.bottom + 14
    return picture.bottom


def moments_of(events: Iterable[Event], lanes: set[str]) -> list[Moment]:
    """What is drawn as a line: cancellations from outside, the close, and marks without a row."""
    moments: list[Moment] = []
    cancelled_s: dict[str, float] = {}
    for event in events:
        if event.label in COMMON_MARKS or event.kind in (START, STOP):
            continue
        if event.lane in lanes or family_of(event.lane) in lanes:
            continue
        if event.kind == CANCEL:
            cancelled_s[event.lane] = event.at_s
        elif event.kind == MARK and event.at_s - cancelled_s.get(event.lane, -1.0) < SAME_S:
            continue
        if event.kind != APPLY:
            moments.append(Moment(event.at_s, event.label or event.kind, event.kind))
    return moments


class _Picture:
    """The rows of one cell under its lines' labels."""

    def __init__(
        self, drawing: Drawing, cell: Cell, rows: list[Row], moments: list[Moment], top: float
    ) -> None:
        self.drawing, self.cell, self.rows, self.moments = drawing, cell, rows, moments
        events = cell.events
        self.start_s = events[0].at_s
        self.end_s = max(event.at_s for event in events)
        if any(bar.stop_s is None for row in rows for bar in row.bars) or cell.outcome == HANG:
            self.end_s += AFTER_S
        self.closed_s = next((event.at_s for event in events if event.kind == CLOSE), None)
        self.axis = Axis([self.start_s, *self._told_apart(), self.end_s])
        self.levels = self._levels()
        self.top = top + LABEL * (max(self.levels, default=-1) + 1) + 2
        self.bottom = self.top + ROW * len(rows)

    def draw(self) -> None:
        """Draw it; what matters most comes last, on top."""
        for number, row in enumerate(self.rows):
            y = self.top + ROW * number
            if number == 0 or self.rows[number - 1].lane != row.lane:
                name = row.name if row.kind == "task" else f"{row.kind} {row.name}"
                name = shortened(name, 10, LEFT - 6)
                self.drawing.text(0, y + 11, name, size=10, soft=True)
            if row.crowd:
                self._draw_crowd(row, y)
            for bar in row.bars:
                self._draw_bar(row, bar.start_s, bar.stop_s, bar.label, y)
        self._draw_overlaps()
        self._draw_lines()
        for event in self.cell.events:
            if (place := self._row_of(event)) is not None:
                self._draw_event(event, place)

    def x_of(self, at_s: float) -> float:
        return LEFT + self.axis.place(at_s) * (WIDTH - LEFT - RIGHT)

    def ms(self, at_s: float) -> str:
        ms = (at_s - self.start_s) * 1000
        return f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"

    def _told_apart(self) -> list[float]:
        bars = [bar for row in self.rows for bar in row.bars]
        crowds = [row.crowd for row in self.rows if row.crowd]
        lanes = {row.lane for row in self.rows if row.bars}
        return [
            *(bar.start_s for bar in bars),
            *(bar.stop_s for bar in bars if bar.stop_s is not None),
            *(crowd[n][0] for crowd in crowds for n in (0, len(crowd) // 2, -1)),
            *(moment.at_s for moment in self.moments),
            *(event.at_s for event in self.cell.events if event.lane in lanes),
        ]

    def _levels(self) -> list[int]:
        """On which line each moment's label stands, from below, so that none covers another."""
        taken: list[float] = []  # where each line is free again
        levels = []
        for moment in self.moments:
            left, width = self._label_at(moment)
            level = next((n for n, free in enumerate(taken) if free <= left), len(taken))
            if level == len(taken):
                taken.append(0.0)
            taken[level] = left + width + 6
            levels.append(level)
        return levels

    def _label(self, moment: Moment) -> str:
        return f"{moment.label} {self.ms(moment.at_s)}"

    def _label_at(self, moment: Moment) -> tuple[float, float]:
        width = width_of(self._label(moment), 10)
        left = min(self.x_of(moment.at_s) - width / 2, WIDTH - width)
        return max(0.0, left), width

    def _draw_lines(self) -> None:
        for moment, level in zip(self.moments, self.levels, strict=True):
            x = self.x_of(moment.at_s)
            left, _ = self._label_at(moment)
            y = self.top - 4 - LABEL * level
            colour = RED if moment.kind == CANCEL else ""
            self.drawing.text(
                left, y, self._label(moment), size=10, colour=colour, soft=moment.kind == MARK
            )
            self.drawing.line(
                x,
                y + 2,
                x,
                self.bottom,
                colour=colour or "currentColor",
                width=1.4 if moment.kind != MARK else 1,
                opacity=0.9 if moment.kind != MARK else 0.45,
                dashes="3 2" if moment.kind == CANCEL else "1 3" if moment.kind == MARK else "",
            )

    def _draw_bar(
        self, row: Row, start_s: float, stop_s: float | None, label: str, y: float
    ) -> None:
        x = self.x_of(start_s)
        end = WIDTH - RIGHT if stop_s is None else max(self.x_of(stop_s), x + 2)
        colour = COLOURS[row.kind]
        span = "never ended" if stop_s is None else f"{(stop_s - start_s) * 1000:.2f} ms"
        title = f"{row.lane}: {label}, {span}"
        self.drawing.bar(x, y + 2, end - x, BAR, colour, opacity=0.45, title=title)
        if end - x > 4:
            self.drawing.bar(x, y + 2, 2, BAR, colour, radius=1)
        if stop_s is None:
            points = [(end, y), (end + RIGHT - 4, y + 2 + BAR / 2), (end, y + 4 + BAR)]
            self.drawing.polygon(points, RED, title=title)
            label = "never ended"
        if not row.name.startswith(label) and width_of(label, 10) < end - x - 6:
            self.drawing.text(x + 5, y + 2 + BAR - 3.5, label, size=10)

    def _draw_crowd(self, row: Row, y: float) -> None:
        base, largest = y + 2 + BAR, row.largest
        left = row.crowd[-1][1]
        points = [(self.x_of(row.crowd[0][0]), base)]
        height = 0.0
        for at_s, count in row.crowd:
            x = self.x_of(at_s)
            points.append((x, base - height))
            height = BAR * count / largest
            points.append((x, base - height))
        if left:
            points += [(WIDTH - RIGHT, base - height), (WIDTH - RIGHT, base)]
        told = f"{row.members}, {largest} at a time" if row.members > largest else str(largest)
        applied = sum(row.holds(event) for event in self.cell.events if event.kind == APPLY)
        told += f", {applied} applied" if applied else ""
        told += f", {left} never ended" if left else ""
        self.drawing.polygon(points, COLOURS[row.kind], opacity=0.45, title=f"{row.lane}: {told}")
        middle = (points[0][0] + points[-1][0]) / 2
        self.drawing.text(middle, base - 3.5, told, size=10, anchor="middle", bold=True)

    def _draw_overlaps(self) -> None:
        if not self.cell.metrics.get("overlaps"):
            return
        numbers = [number for number, row in enumerate(self.rows) if row.kind == "thread"]
        top, bottom = self.top + ROW * min(numbers), self.top + ROW * (max(numbers) + 1)
        for start_s, stop_s in overlaps(self.rows, "thread", self.end_s):
            x, end = self.x_of(start_s), self.x_of(stop_s)
            self.drawing.bar(
                x, top, max(end - x, 3), bottom - top, RED, opacity=0.32, title="both at work"
            )
            told = "both inside"
            if width_of(told, 10) < x - LEFT:
                self.drawing.text(x - 4, bottom - 5, told, size=10, anchor="end", colour=RED)

    def _row_of(self, event: Event) -> int | None:
        """The row that an event stands in: of two that hold it, the one whose bar ends first."""
        holding = [number for number, row in enumerate(self.rows) if row.holds(event)]

        def ends_s(number: int) -> float:
            ends = [bar.reaches_s(self.end_s) for bar in self.rows[number].bars]
            return min((end_s for end_s in ends if end_s >= event.at_s), default=self.end_s)

        return min(holding, key=ends_s, default=None)

    def _draw_event(self, event: Event, number: int) -> None:
        x, y = self.x_of(event.at_s), self.top + ROW * number + 2 + BAR / 2
        if event.kind == APPLY:
            late = self.closed_s is not None and event.at_s > self.closed_s
            if self.rows[number].crowd and not late:
                return  # it says how many
            title = "applied after closed" if late else f"applied, {self.ms(event.at_s)}"
            _diamond(self.drawing, x, y, RED if late else "currentColor", title)
        elif self.rows[number].crowd:
            pass  # what became of each is too much
        elif event.kind == CANCEL:
            for way in (1, -1):
                self.drawing.line(x - 3, y - 3 * way, x + 3, y + 3 * way, colour=RED, width=1.4)
        elif event.kind == MARK:
            self.drawing.line(x, y - BAR / 2, x, y + BAR / 2, width=1.2)
            if x + 4 + width_of(event.label, 10) < WIDTH:
                self.drawing.text(x + 4, y + 3.5, event.label, size=10)


def _diamond(drawing: Drawing, x: float, y: float, colour: str, title: str) -> None:
    points = [(x - 4, y), (x, y - 4), (x + 4, y), (x, y + 4)]
    drawing.polygon(points, colour, title=title)
