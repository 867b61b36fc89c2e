"""How fast is the backlog worked off once the flood has ended?

The rate is taken between completions: from the first rise of ``processed`` that was seen to the
last one while jobs were still queued. Before the first and after the last nobody knows how far a
job had come, and with an empty queue workers idle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trio

from .http import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .http import Connection

# Often enough to see a backlog of 0.7 s in fifty steps, seldom enough to cost the server nothing.
POLL_S = 0.015
SLOWEST_POLL_S = 0.1
POLLS_PER_JOB = 5


@dataclass(frozen=True, slots=True)
class Drain:
    """How a backlog went away.

    Attributes:
        duration_s: until nothing was queued or in hand.
        jobs: completions between the first and the last observed one.
        span_s: seconds between these two.
        stalled: it did not go away: no job came to its end for too long.
        stats: ``/stats`` at the end.
    """

    duration_s: float
    jobs: int
    span_s: float
    stalled: bool
    stats: dict[str, Any]

    @property
    def rate_per_s(self) -> float | None:
        """Jobs per second; None if fewer than two completions were seen."""
        return self.jobs / self.span_s if self.jobs and self.span_s > 0 else None


def between_completions(samples: Iterable[tuple[float, int, int]]) -> tuple[int, float]:
    """The completions between the first and the last one seen with jobs still queued.

    Args:
        samples: (seconds, processed, queued), in the order of time.

    Returns:
        Jobs, and the seconds between; (0, 0.0) if there were not two.
    """
    marks: list[tuple[float, int]] = []
    last = None
    for at_s, processed, queued in samples:
        if last is not None and processed != last and queued:
            marks.append((at_s, processed))
        last = processed
    if len(marks) < 2:
        return 0, 0.0
    (first_s, first), (last_s, final) = marks[0], marks[-1]
    return final - first, last_s - first_s


async def watch_drain(
    connection: Connection,
    expected_per_s: float,
    *,
    stall_s: float,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> Drain:
    """Poll ``/stats`` until nothing is queued, waiting or in hand.

    Args:
        connection: to the server; kept open between the polls.
        expected_per_s: jobs per second; slow stages are asked less often.
        stall_s: give up when no job has come to its end for so many seconds.
        on_progress: called after each poll with the jobs done and those there were at first.

    Raises:
        NoReply: the server has gone.
    """
    interval_s = min(SLOWEST_POLL_S, max(POLL_S, 1 / (POLLS_PER_JOB * expected_per_s)))
    started = since = trio.current_time()
    over_before = None
    samples: list[tuple[float, int, int]] = []
    while True:
        stats = await read_stats(connection)
        at = trio.current_time()
        over = stats["processed"] + stats["failed"] + stats["abandoned"]
        if over != over_before:
            over_before, since = over, at
        samples.append((at, stats["processed"], stats["queued"]))
        left = stats["queued"] + stats["waiting"] + stats["in_hand"]
        done = stats["processed"] - samples[0][1]
        on_progress(done, done + left)
        stalled = at - since >= stall_s
        if not left or stalled:
            break
        await trio.sleep(interval_s)
    jobs, span_s = between_completions(samples)
    return Drain(at - started, jobs, span_s, stalled, stats)


async def stats_of(connection: Connection) -> dict[str, Any] | None:
    """``GET /stats``; None where there is none, as in stages 1 and 2.

    Raises:
        ClientError: they are none of ours.
        NoReply: the server has gone.
    """
    stats = await connection.get_json("/stats")
    if not isinstance(stats, dict):
        return None
    if not stats.keys() >= {"stage", "config", "accepted", "processed"}:
        raise ClientError(f"{connection.target.url}: its /stats are those of some other server")
    return stats


async def read_stats(connection: Connection) -> dict[str, Any]:
    """``GET /stats`` of a server that is known to have it.

    Raises:
        ClientError: it has it no longer.
        NoReply: the server has gone.
    """
    stats = await connection.get_json("/stats")
    if not isinstance(stats, dict):
        raise ClientError(f"{connection.target.url}: no /stats any more")
    return stats


def rise_per_s(before: dict[str, Any], after: dict[str, Any], duration_s: float) -> float:
    """Jobs processed per second between two readings of ``/stats``."""
    done: int = after["processed"] - before["processed"]
    return done / duration_s if duration_s > 0 else math.nan
