"""A histogram of durations in fixed memory: what a p99 may be read from after a million jobs.

Rules:

1. ``count`` and ``max`` are exact, ``total`` is exact but for the rounding of a sum of floats.
2. A quantile is off by 1/64 of the true one at most, from a nanosecond to 48 days. Anything
   shorter than a nanosecond is read as 0, and above 48 days only ``max`` is exact.
3. Memory never grows: 1,666 counters and the last ``FRESH`` durations, whatever is recorded.

The buckets are log-linear, an idea of HdrHistogram: every power of two is cut into 32 equal parts.
A float is written down like that, too: its exponent and the first five bits behind it are the
number of its bucket, so finding that takes no logarithm and no search. A bucket is at most 1/32 as
wide as its lower end, and its middle stands for all of it.

Recording is one ``append``, which needs no lock in any thread (with and without the GIL it is one
step of a deque), and so it is no hot lock itself. What has been appended is counted when somebody
reads, or when it has become too much: a hundred in a row cost a third of one by one. Counting takes
a lock, for ``+=`` is a read and a write; it is never held while waiting for anything, so it can be
taken inside any other lock.
"""

from __future__ import annotations

import math
import threading
from array import array
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection

PARTS = 32
"""Buckets to a power of two; a quantile's relative error is 1 / (2 × PARTS)."""

LOWEST, HIGHEST = -30, 22
"""As powers of two, in seconds: 0.9 ns, finer than any clock here, and 48 days."""
BUCKETS = 1 + (HIGHEST - LOWEST) * PARTS + 1
"""One for what is too short, the log-linear ones, one for what is too long."""

FRESH = 128
"""Durations that may wait to be counted."""

T = TypeVar("T")
Cumulative = tuple[list[int], int, float]
"""How many were shorter than each of some durations, how many there are, and their sum."""

# A double is its sign, 11 bits of exponent (of 2, plus 1023) and 52 of what follows the leading 1.
# So the bits down to the fifth of these, read as an integer, count the parts of powers of two.
_BITS_WITHIN = 52 - (PARTS.bit_length() - 1)
_BELOW = (LOWEST + 1023) * PARTS - 1
"""That integer for bucket 0; those below go there too."""


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

    __slots__ = ("_count", "_counts", "_fresh", "_lock", "_max", "_total")

    def __init__(self) -> None:
        self._fresh: deque[float] = deque()
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
        if not 0 <= seconds < math.inf:
            raise ValueError(f"{seconds} is not a duration in seconds")
        self.append(seconds)

    def append(self, seconds: float) -> None:
        """``record``, unchecked: for the difference of two readings of one monotonic clock."""
        fresh = self._fresh
        fresh.append(seconds)
        if len(fresh) > FRESH:
            with self._lock:
                self._count_fresh()

    def extend(self, durations: Collection[float]) -> None:
        """Count several durations, in seconds; each of them as in ``append``."""
        with self._lock:
            self._count_all(durations)

    # With the lock held

    def _count_fresh(self) -> None:
        self._count_all(taken_from(self._fresh))

    def _count_all(self, durations: Collection[float]) -> None:
        if not durations:
            return
        counts, shortest, longest = self._counts, _BELOW, _BELOW + BUCKETS - 1
        doubles = array("d", filter(None, durations))
        counts[0] += len(durations) - len(doubles)  # nobody waits for a lock that is free
        for bits in memoryview(doubles).cast("B").cast("q"):
            place = bits >> _BITS_WITHIN
            if place <= shortest:
                counts[0] += 1
            elif place >= longest:
                counts[-1] += 1
            else:
                counts[place - shortest] += 1
        self._count += len(durations)
        self._total = sum(doubles, self._total)
        self._max = max(self._max, max(doubles, default=0.0))

    @property
    def count(self) -> int:
        """How many durations were recorded."""
        return self.statistics().count

    @property
    def total(self) -> float:
        """Their sum, in seconds."""
        return self.statistics().total

    @property
    def max(self) -> float:
        """The longest, in seconds; 0 while there is none."""
        return self.statistics().max

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
            self._count_fresh()
            counts, longest = self._counts.copy(), self._max
        return _quantile(list(accumulate(counts)), longest, q)

    def cumulative(self, powers: range) -> Cumulative:
        """How many durations were shorter than each of these powers of two, in seconds.

        Exact, because every power of two is the edge of a bucket.

        Args:
            powers: exponents from ``LOWEST`` to ``HIGHEST``; ``range(-3, 2)`` is 1/8 s to 2 s.

        Returns:
            One number for each of ``powers``, the number of all, and their sum in seconds.
        """
        with self._lock:
            self._count_fresh()
            counts, count, total = self._counts.copy(), self._count, self._total
        up_to = list(accumulate(counts))
        return [up_to[(power - LOWEST) * PARTS] for power in powers], count, total

    def statistics(self) -> HistogramStatistics:
        """All figures of one instant."""
        with self._lock:
            self._count_fresh()
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


def taken_from(fresh: deque[T]) -> list[T]:
    """What the deque holds now, taken out of it; what other threads append meanwhile stays."""
    return [fresh.popleft() for _ in range(len(fresh))]


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
