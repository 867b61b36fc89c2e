"""Plots that several experiments have: the queue over time, waits and holds, what workers did."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from .recording import cumulative
from .results import Axis, Lane, Mark, Plot, Series, Span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .recording import Recording

LANES_S = 0.6
"""Of a run's workers, so that a hold of 10 ms can be seen."""


def queue_over_time(
    recordings: Mapping[str, Recording], capacity: int, title: str, caption: str
) -> Plot:
    """Jobs queued and events refused, over the seconds since the first event.

    Args:
        recordings: by what they are called, such as "over sockets".
        capacity: of the queue.
        title: of the plot.
        caption: what to see.
    """
    series = []
    for name, recording in recordings.items():
        queued = tuple(recording.queue_depth())
        refused = tuple(recording.refusals())
        series += [
            Series(name=f"queued, {name}", role="queued", points=queued, style="steps", group=name),
            Series(
                name=f"refused so far, {name}",
                role="rejected",
                points=refused,
                style="steps",
                group=name,
            ),
        ]
    first = next(iter(recordings.values()))
    return Plot(
        kind="queue_over_time",
        title=title,
        x=Axis("time since the first event", "s"),
        y=Axis("jobs"),
        series=tuple(series),
        marks=(
            Mark("capacity", "y", capacity, "queued"),
            Mark("the flood ends", "x", round(first.ended_s - first.started_s, 6), "label"),
        ),
        caption=caption,
        alt=f"{title}: the queue fills to {capacity}, refusals rise until the flood ends, then it "
        "drains.",
    )


def waits_and_holds(recordings: Mapping[str, Recording], title: str, caption: str) -> Plot:
    """How long locks were waited for and held, cumulative."""
    series = []
    for name, recording in recordings.items():
        waits = cumulative(recording.waits_s(), 1000)
        holds = cumulative(recording.holds_s(), 1000)
        series += [
            Series(name=f"wait, {name}", role="wait", points=waits, group=name),
            Series(name=f"hold, {name}", role="hold", points=holds, group=name),
        ]
    return Plot(
        kind="distribution",
        title=title,
        x=Axis("time", "ms"),
        y=Axis("share of all passages"),
        series=tuple(series),
        caption=caption,
        alt=f"{title}: cumulative distributions of wait and hold.",
    )


def lanes(
    recording: Recording, work_s: float, title: str, caption: str, *, length_s: float = LANES_S
) -> Plot:
    """What each worker did from the first event on: work, wait for the lock, hold it.

    Args:
        recording: of a stage with timed locks.
        work_s: of a job before it asks for its lock.
        title: of the plot.
        caption: what to see.
        length_s: of the time shown.
    """
    start_s = recording.started_s
    passages = sorted(recording.passages, key=attrgetter("worker", "asked_s"))
    made = []
    for worker, own in groupby(passages, key=attrgetter("worker")):
        spans: list[Span] = []
        free_s = 0.0
        for passage in own:
            asked_s, got_s, left_s = (round(at - start_s, 6) for at in passage[2:])
            if asked_s >= length_s:
                break
            began_s = max(free_s, round(asked_s - work_s, 6))
            for from_s, to_s, what in (
                (began_s, asked_s, "work"),
                (asked_s, got_s, "wait"),
                (got_s, left_s, "hold"),
            ):
                if to_s > from_s:
                    spans.append(Span(from_s, to_s, what, passage.user))  # type: ignore[arg-type]
            free_s = left_s
        made.append(Lane(f"worker {worker}", tuple(spans)))
    return Plot(
        kind="lanes",
        title=title,
        x=Axis("time since the first event", "s"),
        y=Axis("worker"),
        lanes=tuple(made),
        caption=caption,
        alt=f"{title}: for each worker, spans of work, of waiting and of holding.",
    )
