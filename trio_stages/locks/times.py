"""What is measured about a lock: contention is invisible until somebody measures it.

Rules:

1. An acquisition is counted when it ends, its wait and its hold in one step, also when the body of
   the ``with`` raised. So in every snapshot the waits, the holds and the acquisitions are as many.
2. A wait that was given up is not an acquisition and leaves no trace.
3. The wait runs from asking to getting, the hold from getting until just before the release.

Counting happens while the lock is still held, after its hold has been measured: whoever gets the
lock next finds all before it counted, and a mutex keeps its own meter right as well. Only readers
in threads, who hold one lock together, need another one for that. It is no hot lock itself: it is
nearly always held for a fraction of a microsecond, and nobody waits inside.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from trio_stages.histogram import FRESH, Cumulative, Histogram, HistogramStatistics, taken_from

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class LockStatistics:
    """All locks that share one ``LockTimes``, at one instant; durations in seconds."""

    acquisitions: int
    wait: HistogramStatistics
    hold: HistogramStatistics


class LockTimes:
    """The waits and holds of one lock, or of several taken together; safe under threads."""

    def __init__(self) -> None:
        # As in a histogram, recording is one append; a pair, so that no snapshot has half of it.
        self._fresh: deque[tuple[float, float]] = deque()
        self._lock = threading.Lock()  # keeps the two histograms in step
        self._wait = Histogram()
        self._hold = Histogram()

    def record(self, wait_s: float, hold_s: float) -> None:
        """Count one acquisition: seconds waited, seconds held."""
        self._fresh.append((wait_s, hold_s))
        if len(self._fresh) > FRESH:
            with self._lock:
                self._count_fresh()

    def _count_fresh(self) -> None:
        if fresh := taken_from(self._fresh):
            waits_s, holds_s = zip(*fresh, strict=True)
            self._wait.extend(waits_s)
            self._hold.extend(holds_s)

    @property
    def wait(self) -> Histogram:
        """The waits."""
        with self._lock:
            self._count_fresh()
        return self._wait

    @property
    def hold(self) -> Histogram:
        """The holds."""
        with self._lock:
            self._count_fresh()
        return self._hold

    def cumulative(self, powers: range) -> tuple[Cumulative, Cumulative]:
        """Waits and holds, as ``Histogram.cumulative``, of one instant."""
        with self._lock:
            self._count_fresh()
            return self._wait.cumulative(powers), self._hold.cumulative(powers)

    def statistics(self) -> LockStatistics:
        """All figures of one instant."""
        with self._lock:
            self._count_fresh()
            wait, hold = self._wait.statistics(), self._hold.statistics()
        return LockStatistics(acquisitions=hold.count, wait=wait, hold=hold)


class LockTotals(NamedTuple):
    """One lock's own sums, in seconds."""

    acquisitions: int = 0
    wait_s: float = 0.0
    hold_s: float = 0.0


class Meter:
    """What one lock has cost so far; for its holder to record in, while nobody else holds it.

    Args:
        times: where the lock's times go too, beside those of other locks.
    """

    __slots__ = ("_times", "_totals")

    def __init__(self, times: LockTimes) -> None:
        self._times = times
        # Replaced as a whole, so that reading it takes no lock and the three belong together.
        self._totals = (0, 0.0, 0.0)

    @property
    def totals(self) -> LockTotals:
        """The sums so far."""
        return LockTotals(*self._totals)

    def record(self, wait_s: float, hold_s: float) -> None:
        """Count one acquisition: seconds waited, seconds held."""
        acquisitions, waits_s, holds_s = self._totals
        self._totals = (acquisitions + 1, waits_s + wait_s, holds_s + hold_s)
        self._times.record(wait_s, hold_s)


class SharedMeter(Meter):
    """A meter for threads that hold one lock together, as readers do."""

    __slots__ = ("_lock",)

    def __init__(self, times: LockTimes) -> None:
        super().__init__(times)
        self._lock = threading.Lock()

    def record(self, wait_s: float, hold_s: float) -> None:
        """Count one acquisition; waits for others that are at it."""
        with self._lock:
            super().record(wait_s, hold_s)


class Acquisition:
    """One passage through a lock: the wait begins when it is made, the hold is its ``with`` block.

    The lock makes it and enters it; its holder reads it.

    Args:
        meter: counts it at its end.
        clock: seconds.
    """

    __slots__ = ("_clock", "_meter", "_since_s", "hold_s", "wait_s")

    def __init__(self, meter: Meter, clock: Callable[[], float]) -> None:
        #: Seconds from asking for the lock to getting it.
        self.wait_s = 0.0
        #: Seconds that the lock was held, 0 until its release.
        self.hold_s = 0.0
        self._meter = meter
        self._clock = clock
        self._since_s = clock()

    def __enter__(self) -> Acquisition:
        now_s = self._clock()
        self.wait_s = now_s - self._since_s
        self._since_s = now_s
        return self

    def __exit__(self, *_: object) -> None:
        self.hold_s = self._clock() - self._since_s
        self._meter.record(self.wait_s, self.hold_s)
