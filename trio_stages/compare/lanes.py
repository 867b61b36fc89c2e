"""A cell's events as rows of bars on an axis of time: what a timeline draws, without the drawing.

Rules:

1. The axis keeps the order of events and is honest about nothing else: what matters may take 30 µs
   beside a wait of a second, so short spans are stretched and long ones compressed. Times stand in
   figures where they are needed.
2. Bars of one lane that overlap get rows of their own. Of a crowd, more than ``CROWD`` lanes that
   differ in their number alone, only how many there were at a time is kept.
3. A bar that never ended reaches the end of the axis and says so.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from .results import START, STOP

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .results import Event

#: So many lanes of one name get rows of their own.
CROWD = 4
#: Kinds of lanes from above to below: threads stand under the lock that is to guard them.
ORDER = ("lock", "thread", "task", "client")

# One span of the axis: at least 1, and 1 more for each power of ten above this.
SHORT_S = 0.0002


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that lasted.

    Attributes:
        start_s: when it began.
        stop_s: when it ended; None: not while anybody looked.
        label: what it is called.
    """

    start_s: float
    stop_s: float | None
    label: str

    def reaches_s(self, end_s: float) -> float:
        """Its end, or that of the record."""
        return end_s if self.stop_s is None else self.stop_s


@dataclass(slots=True)
class Row:
    """Bars side by side, with the name of their lane; or, of a crowd, how many at a time."""

    lane: str
    bars: list[Bar] = field(default_factory=list)
    crowd: list[tuple[float, int]] = field(default_factory=list)
    members: int = 0  #: of a crowd: how many came in all

    @property
    def kind(self) -> str:
        """``lock``, ``thread``, ``task``, …"""
        return self.lane.partition(":")[0]

    @property
    def name(self) -> str:
        """The lane's name without its kind."""
        return self.lane.partition(":")[2].strip() or self.lane

    def holds(self, event: Event) -> bool:
        """Whether an event may have happened in this row."""
        if self.crowd:
            return family_of(event.lane) == self.lane
        return event.lane == self.lane and any(
            bar.start_s <= event.at_s <= bar.reaches_s(math.inf) for bar in self.bars
        )

    @property
    def largest(self) -> int:
        """Of a crowd: how many there were at most."""
        return max((count for _, count in self.crowd), default=0)


def bars_of(events: Iterable[Event]) -> dict[str, list[Bar]]:
    """Pair the starts and the stops of each lane: the first that began is the first that ended."""
    waiting: dict[tuple[str, str], list[float]] = defaultdict(list)
    bars: dict[str, list[Bar]] = defaultdict(list)
    for event in events:
        key = (event.lane, event.label)
        if event.kind == START:
            waiting[key].append(event.at_s)
        elif event.kind == STOP and waiting[key]:
            bars[event.lane].append(Bar(waiting[key].pop(0), event.at_s, event.label))
    for (lane, label), starts in waiting.items():
        bars[lane] += (Bar(start_s, None, label) for start_s in starts)
    return {lane: sorted(found, key=lambda bar: bar.start_s) for lane, found in bars.items()}


def rows_of(events: Sequence[Event]) -> list[Row]:
    """Lay out all lanes but the server's own, which are lines across all rows."""
    families: dict[str, dict[str, list[Bar]]] = defaultdict(dict)
    for lane, bars in bars_of(events).items():
        if lane.partition(":")[0] in ORDER:
            families[family_of(lane)][lane] = bars
    rows: list[Row] = []
    for family in sorted(families, key=lambda name: _rank(name, families[name])):
        lanes = families[family]
        if len(lanes) > CROWD:
            rows.append(_crowd(family, [bar for bars in lanes.values() for bar in bars]))
        else:
            for lane in sorted(lanes, key=lambda lane: lanes[lane][0].start_s):
                rows += _packed(lane, lanes[lane])
    return rows


def family_of(lane: str) -> str:
    """A lane's name without its numbers: ``thread: job`` of ``thread: job 3-17``."""
    return re.sub(r"([ -]?[0-9]+)+$", "", lane)


def _rank(family: str, lanes: dict[str, list[Bar]]) -> tuple[int, float]:
    first_s = min(bars[0].start_s for bars in lanes.values())
    return (ORDER.index(family.partition(":")[0]), first_s)


def _packed(lane: str, bars: Iterable[Bar]) -> list[Row]:
    rows: list[Row] = []
    for bar in bars:
        for row in rows:
            if row.bars[-1].reaches_s(math.inf) <= bar.start_s:
                row.bars.append(bar)
                break
        else:
            rows.append(Row(lane, [bar]))
    return rows


def _crowd(lane: str, bars: Sequence[Bar]) -> Row:
    steps: list[tuple[float, int]] = []
    for bar in bars:
        steps.append((bar.start_s, 1))
        if bar.stop_s is not None:
            steps.append((bar.stop_s, -1))
    row, count = Row(lane, members=len(bars)), 0
    for at_s, step in sorted(steps, key=lambda step: (step[0], -step[1])):
        count += step  # of a moment, who comes before who goes: so nobody was there for nothing
        row.crowd.append((at_s, count))
    return row


def overlaps(rows: Iterable[Row], kind: str, end_s: float) -> list[tuple[float, float]]:
    """The spans in which two bars or more of this kind ran at a time."""
    steps = sorted(
        step
        for row in rows
        if row.kind == kind
        for bar in row.bars
        for step in ((bar.start_s, 1), (bar.reaches_s(end_s), -1))
    )
    spans, count, since_s = [], 0, 0.0
    for at_s, step in steps:
        if count == 1 and step == 1:
            since_s = at_s
        elif count == 2 and step == -1 and at_s > since_s:
            spans.append((since_s, at_s))
        count += step
    return spans


class Axis:
    """Seconds to a place between 0 and 1.

    Args:
        moments_s: those that must be told apart.
    """

    def __init__(self, moments_s: Iterable[float]) -> None:
        self._at_s = sorted(set(moments_s)) or [0.0]
        places = [0.0]
        for before_s, after_s in pairwise(self._at_s):
            places.append(places[-1] + 1 + math.log10(1 + (after_s - before_s) / SHORT_S))
        self._places = [place / (places[-1] or 1.0) for place in places]

    def place(self, at_s: float) -> float:
        """Where a moment is; one between two others is in proportion."""
        right = bisect_right(self._at_s, at_s)
        if right == 0:
            return 0.0
        if right == len(self._at_s):
            return 1.0
        before_s, after_s = self._at_s[right - 1], self._at_s[right]
        share = (at_s - before_s) / (after_s - before_s)
        return self._places[right - 1] + share * (self._places[right] - self._places[right - 1])
