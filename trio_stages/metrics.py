"""``GET /metrics``: the figures of a stage in Prometheus text, at next to no cost to the work.

Rules:

1. Nothing is counted twice: the ledger's integers are read when somebody asks, and only what it
   does not keep (how long a job took, how long the loop was busy) is measured here.
2. No counter here is a lock that workers wait for. Each worker has a histogram of its own; they are
   added up on reading. ``+=`` is not atomic, neither by the language (a thread may lose the GIL
   between the read and the write) nor on a free-threaded build, so each still has its lock; but
   recording is an append without it; one in 129 takes it to count them, and no other worker waits.
3. Rendering takes milliseconds, so it happens in a thread, at most once a second; who asks in
   between gets the same text.

Buckets are powers of two, because there, and only there, the histograms are exact. (They count what
is shorter than the bound, and ``le`` means no longer: a difference that no clock comes upon.)
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import trio
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from .histogram import Cumulative, Histogram
from .replies import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from .jobs import Job
    from .telemetry import Telemetry

PREFIX = "trio_stages_"
# 15 µs, the shortest wait worth telling apart, to 64 s.
BUCKET_POWERS = range(-16, 7)
FRESH_S = 1.0
WATCHED_TURNS, LOOK_AWAY_S = 50, 0.05


class LoopLag(trio.abc.Instrument):
    """How long a task that is ready may have to wait: the length of each turn of the event loop.

    Hooks on every task step would cost more than the steps, so only the wait for I/O has some, one
    on either side. Even these would make an empty turn two fifths dearer. So it is a sample:
    ``WATCHED_TURNS`` in a row, then none for ``LOOK_AWAY_S``; what lasts longer than that is seen
    all the same, from where the looking away should have ended.
    """

    def __init__(self) -> None:
        self.turns = Histogram()
        self._began_s = perf_counter()
        self._left = WATCHED_TURNS
        self._enough = trio.Event()

    async def watch(self) -> None:
        """Measure the current event loop until cancelled."""
        while True:
            trio.lowlevel.add_instrument(self)
            try:
                await self._enough.wait()
            finally:
                trio.lowlevel.remove_instrument(self)
            resumes_s = perf_counter() + LOOK_AWAY_S
            await trio.sleep(LOOK_AWAY_S)
            self._began_s = min(resumes_s, perf_counter())  # a turn that is late is under way
            self._left = WATCHED_TURNS
            self._enough = trio.Event()

    def before_io_wait(self, timeout: float) -> None:
        """A turn has ended, and with nothing to wait for the next one begins."""
        now_s = perf_counter()
        self.turns.append(now_s - self._began_s)
        self._began_s = now_s
        self._left -= 1
        if self._left <= 0 and not timeout:  # else the loop would wait, and not see that it is set
            self._enough.set()

    def after_io_wait(self, timeout: float) -> None:
        """A turn begins, unless it has begun already: looking for I/O is part of it."""
        if timeout:
            self._began_s = perf_counter()


class Metrics(Collector):
    """What one running stage has to show to Prometheus.

    Args:
        telemetry: of the stage.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._clock = telemetry.ledger.clock
        #: Seconds from taking a job to being done with it; worker ``n`` records in the ``n``-th.
        self.service = [Histogram() for _ in range(telemetry.settings.workers)]
        self.loop_lag = LoopLag()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._rendering = trio.Lock()
        self._reply: Reply | None = None
        self._stale_s = 0.0

    def served(self, worker: int, job: Job) -> None:
        """This worker is done with the job, which it has taken from the ledger."""
        self.service[worker].append(self._clock() - job.taken_at_s)

    async def reply(self) -> Reply:
        """Return the text, rendered within the last second.

        On cancellation a rendering that has begun is waited for.
        """
        async with self._rendering:
            if self._reply is None or trio.current_time() >= self._stale_s:
                text = await trio.to_thread.run_sync(generate_latest, self._registry)
                self._reply = Reply(200, text, content_type=CONTENT_TYPE_PLAIN_0_0_4)
                self._stale_s = trio.current_time() + FRESH_S
            return self._reply

    def collect(self) -> Iterator[Metric]:
        """Read everything; called by the registry, in any thread."""
        telemetry = self._telemetry
        ledger = telemetry.ledger.statistics()
        counters = {
            "events_received": (ledger.received, "Events that got an outcome."),
            "events_accepted": (ledger.accepted, "Events that became jobs."),
            "events_rejected": (ledger.rejected, "Events refused: no place, or stopping."),
            "events_invalid": (ledger.invalid, "Bodies that are no event."),
            "jobs_processed": (ledger.processed, "Jobs applied to the balances."),
            "jobs_failed": (ledger.failed, "Jobs that raised."),
            "jobs_abandoned": (ledger.abandoned, "Accepted jobs dropped by a stop."),
            "http_errors": (ledger.http_errors, "Other replies of 4xx and 5xx."),
            "connections_refused": (telemetry.connections_refused, "Too many connections."),
        }
        for name, (value, about) in counters.items():
            yield CounterMetricFamily(PREFIX + name, about, value=value)
        gauges = {
            "stage": (telemetry.settings.stage, "Number of the running stage."),
            "queue_depth": (ledger.queued, "Jobs accepted and in nobody's hand."),
            "queue_capacity": (telemetry.settings.capacity, "Jobs that the queue holds."),
            "jobs_in_hand": (ledger.in_hand, "Jobs being worked on."),
            "events_waiting": (ledger.waiting, "Events waiting for a place in the queue."),
            "workers": (telemetry.settings.workers, "Jobs that can be in hand at once."),
            "connections": (telemetry.connections, "Open connections."),
            "draining": (int(telemetry.draining), "1 while a graceful stop is under way."),
        }
        for name, (value, about) in gauges.items():
            yield GaugeMetricFamily(PREFIX + name, about, value=value)
        delay = telemetry.ledger.queue_delay.cumulative(BUCKET_POWERS)
        yield _histogram("queue_delay", "From accepted to taken by a worker.", delay)
        service = (cell.cumulative(BUCKET_POWERS) for cell in self.service)
        yield _histogram("job_service", "From taken by a worker to done.", *service)
        wait, hold = telemetry.lock.cumulative(BUCKET_POWERS)
        yield _histogram("lock_wait", "Waiting for a lock.", wait)
        yield _histogram("lock_hold", "Holding a lock.", hold)
        turns = self.loop_lag.turns.cumulative(BUCKET_POWERS)
        yield _histogram("event_loop_lag", "Turns of the event loop.", turns)


def _histogram(name: str, about: str, *cells: Cumulative) -> HistogramMetricFamily:
    rows, counts, totals = zip(*cells, strict=True)
    bounds = [str(2.0**power) for power in BUCKET_POWERS]
    up_to = [float(sum(column)) for column in zip(*rows, strict=True)]
    buckets = [*zip(bounds, up_to, strict=True), ("+Inf", float(sum(counts)))]
    return HistogramMetricFamily(
        PREFIX + name + "_seconds", about, buckets=buckets, sum_value=sum(totals)
    )
