"""A histogram of durations in fixed memory: what a p99 may be read from after a million jobs.

Rules:

1. ``count`` and ``max`` are exact, ``total`` is exact but for the rounding of a sum of floats.
2. A quantile is off by 1/64 of the true one at most, from a nanosecond to 48 days. Anything
   shorter than a nanosecond is read as 0, and above 48 days only ``max`` is exact.
3. Memory never grows: 1,666 counters, whatever is recorded.

The buckets are log-linear, an idea of HdrHistogram: every power of two is cut into 32 equal parts.
``math.frexp`` gives the power and the place within it, so finding the bucket takes no logarithm and
no search. A bucket is at most 1/32 as wide as its lower end, and its middle stands for all of it.

Why a lock around four additions: ``+=`` is a read and a write, and threads record at the same time.
It is held for a fraction of a microsecond, a thousandth of the shortest job, and never while
waiting for anything, so it can be taken inside any other lock.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate

PARTS = 32
"""Buckets to a power of two; a quantile's relative error is 1 / (2 × PARTS)."""

LOWEST, HIGHEST = -30, 22
"""As powers of two, in seconds: 0.9 ns, finer than any clock here, and 48 days."""

SHORTEST_S, LONGEST_S = 2.0**LOWEST, 2.0**HIGHEST
BUCKETS = 1 + (HIGHEST - LOWEST) * PARTS + 1
"""One for what is too short, the log-linear ones, one for what is too long."""

# frexp(x) is (m, e) with x = m × 2**e and 0.5 <= m < 1. So int(m × 64) is one of 32 … 63, and for
# the shortest duration, (0.5, LOWEST + 1), the sum below must be bucket 1.
_FIRST = 1 - (LOWEST + 1) * PARTS - PARTS


@dataclass(frozen=True, slots=True)
class HistogramStatistics:
    """Durations in seconds, at one instant; all 0 while there are none."""

    count: int
    total: float
    max: float
    p50: float
    p99: float


class Histogram:
    """Durations in seconds, recorded from any thread."""

    __slots__ = ("_count", "_counts", "_lock", "_max", "_total")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = [0] * BUCKETS
        self._count = 0
        self._total = 0.0
        self._max = 0.0

    def record(self, seconds: float) -> None:
        """Count one duration.

        Args:
            seconds: 0 or more, and finite.

        Raises:
            ValueError: it is negative, infinite or not a number; nothing is counted.
        """
        if SHORTEST_S <= seconds < LONGEST_S:
            mantissa, exponent = math.frexp(seconds)
            bucket = _FIRST + exponent * PARTS + int(mantissa * (2 * PARTS))
        else:
            bucket = _outer_bucket(seconds)
        with self._lock:
            self._counts[bucket] += 1
            self._count += 1
            self._total += seconds
            if seconds > self._max:
                self._max = seconds

    @property
    def count(self) -> int:
        """How many durations were recorded."""
        return self._count

    @property
    def total(self) -> float:
        """Their sum, in seconds."""
        return self._total

    @property
    def max(self) -> float:
        """The longest, in seconds; 0 while there is none."""
        return self._max

    def quantile(self, q: float) -> float:
        """The shortest recorded duration that at least the fraction ``q`` does not exceed.

        Args:
            q: from 0, the shortest, to 1, the longest; 0.5 is the median.

        Returns:
            Seconds, within rule 2; 0 while nothing is recorded.

        Raises:
            ValueError: ``q`` is not a fraction.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"a quantile is asked for by a fraction from 0 to 1, not {q}")
        with self._lock:
            counts, longest = self._counts.copy(), self._max
        return _quantile(list(accumulate(counts)), longest, q)

    def cumulative(self, powers: range) -> list[int]:
        """How many durations were shorter than each of these powers of two, in seconds.

        Exact, because every power of two is the edge of a bucket.

        Args:
            powers: exponents from ``LOWEST`` to ``HIGHEST``; ``range(-3, 2)`` is 1/8 s to 2 s.
        """
        with self._lock:
            counts = self._counts.copy()
        up_to = list(accumulate(counts))
        return [up_to[(power - LOWEST) * PARTS] for power in powers]

    def statistics(self) -> HistogramStatistics:
        """All figures of one instant."""
        with self._lock:
            counts = self._counts.copy()
            count, total, longest = self._count, self._total, self._max
        up_to = list(accumulate(counts))
        return HistogramStatistics(
            count=count,
            total=total,
            max=longest,
            p50=_quantile(up_to, longest, 0.5),
            p99=_quantile(up_to, longest, 0.99),
        )


def _outer_bucket(seconds: float) -> int:
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{seconds} is not a duration in seconds")
    return 0 if seconds < SHORTEST_S else BUCKETS - 1


def _quantile(up_to: list[int], longest: float, q: float) -> float:
    rank = max(1, math.ceil(q * up_to[-1]))
    bucket = bisect_left(up_to, rank)
    if bucket == 0:
        return 0.0
    if bucket >= BUCKETS - 1:
        return longest
    power, part = divmod(bucket - 1, PARTS)
    middle = math.ldexp(1 + (part + 0.5) / PARTS, LOWEST + power)
    return min(middle, longest)
