"""One load in its steady state: what a recording shows of it, in virtual time, and the theory."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from clients.arrivals import schedule_s, users_of
from trio_stages.queueing import MMCK

from .recording import Recording, quantile
from .simulate import RandomTimes, flood, settings_of, simulate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clients.arrivals import Arrivals


WORKERS, JOB_MS, CAPACITY, USERS = 16, 11.0, 100, 100
RATE_PER_S = WORKERS / (JOB_MS / 1000)
# Of a run, before its steady state.
WARM_UP = 0.3


class Point(NamedTuple):
    """One load's steady state.

    Attributes:
        offered: multiples of the capacity.
        goodput_per_s: jobs done.
        refused_share: of the requests.
        delay_p99_s: in the queue.
        queued: jobs in the queue, on average, sampled.
        delay_s: in the queue, on average.
    """

    offered: float
    goodput_per_s: float
    refused_share: float
    delay_p99_s: float
    queued: float
    delay_s: float

    @classmethod
    def of(cls, offered: float, recording: Recording) -> Point:
        """Read a recording, from the end of the warm-up to the last arrival."""
        start_s, end_s = recording.started_s, recording.ended_s
        warm_s = start_s + WARM_UP * (end_s - start_s)

        def within(times_s: Sequence[float]) -> int:
            return sum(warm_s <= at <= end_s for at in times_s)

        delays = sorted(
            delay
            for at, delay in zip(recording.taken_s, recording.delays_s, strict=True)
            if warm_s <= at <= end_s
        )
        depth = [
            queued
            for at, queued in recording.queue_depth(2000)
            if warm_s - start_s <= at <= end_s - start_s
        ]
        refused, accepted = within(recording.rejected_s), within(recording.accepted_s)
        return cls(
            offered=offered,
            goodput_per_s=within(recording.completed_s) / (end_s - warm_s),
            refused_share=refused / (refused + accepted),
            delay_p99_s=quantile(delays, 0.99),
            queued=fmean(depth),
            delay_s=fmean(delays),
        )


def offered(
    load: float, arrivals: Arrivals, exponential: bool, jobs: int, places: int = CAPACITY
) -> Point:
    """So many requests at a multiple of the capacity, in virtual time."""
    settings = settings_of(
        8, workers=WORKERS, work_ms=JOB_MS, hold_ms=0.0, capacity=places, state="per-user"
    )
    if exponential:
        settings = RandomTimes.of(settings, seed=7)
    times_s = schedule_s(arrivals, jobs, load * RATE_PER_S, seed=3)
    simulated = simulate(8, flood(times_s, users_of(jobs, USERS)), settings, enough=0)
    return Point.of(load, simulated.recording)


def theory(load: float) -> MMCK:
    """The model of Poisson arrivals and exponential jobs."""
    return MMCK(load * RATE_PER_S, 1000 / JOB_MS, WORKERS, CAPACITY)
